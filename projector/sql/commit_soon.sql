-- Commits do not wait for the disk. What a crash of PostgreSQL takes away is the last of them, rows
-- and checkpoint together: a rebuild goes on from there. Every later commit that does wait, as that
-- of a swap, has all before it on the disk too.
SET synchronous_commit = off
