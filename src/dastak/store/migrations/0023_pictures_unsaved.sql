-- A picture of a landing page that nobody has saved yet is told from one that no version uses any more.
-- Programs that know 0021_experiments run on this.

-- When it was uploaded, until a draft names it; 0 after that, and where an older program wrote it.
ALTER TABLE landing_image ADD COLUMN unsaved_at INTEGER NOT NULL DEFAULT 0;
