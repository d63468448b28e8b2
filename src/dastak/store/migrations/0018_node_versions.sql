-- Which version of the program each node is, and how far its clock is ahead of the database's.
-- Programs that know 0017_tenant_voices run on this.

ALTER TABLE node ADD COLUMN version TEXT NOT NULL DEFAULT '';
-- As its last beat came; NULL is not told.
ALTER TABLE node ADD COLUMN ahead_ms INTEGER;
