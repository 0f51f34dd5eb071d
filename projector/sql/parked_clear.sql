-- A replay parks anew what it cannot apply, by the same rules.
DELETE FROM memferry.parked WHERE projection = %s
