-- Which process each node is, for the next one on its machine to see that it is gone.
-- Programs that know 0021_experiments run on this.

ALTER TABLE node ADD COLUMN process TEXT NOT NULL DEFAULT '';
