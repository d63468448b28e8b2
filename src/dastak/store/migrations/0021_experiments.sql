-- What came of one experiment of a landing page: of both variants in the words that it began with. `landing_count`
-- has all visits of a page, whenever they were.
-- Programs that know 0020_key_marks run on this.

CREATE TABLE landing_experiment_count (
    page INTEGER NOT NULL,
    experiment TEXT NOT NULL,
    variant TEXT NOT NULL,
    language TEXT NOT NULL,
    step TEXT NOT NULL,
    visits INTEGER NOT NULL,
    PRIMARY KEY (page, experiment, variant, language, step)
) STRICT, WITHOUT ROWID;
-- Empty where the visit is part of none; so are those that an older program begins.
ALTER TABLE landing_visit ADD COLUMN experiment TEXT NOT NULL DEFAULT '';
