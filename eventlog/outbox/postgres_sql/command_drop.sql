-- Its events are void: it is recorded anew.
DELETE FROM {schema}.command WHERE id = %s
