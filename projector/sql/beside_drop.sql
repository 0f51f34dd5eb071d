-- Its checkpoint, what it parked and its place beside go with it.
WITH lanes AS (DELETE FROM memferry.lane WHERE projection = %(name)s)
DELETE FROM memferry.projection WHERE name = %(name)s
