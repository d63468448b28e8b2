-- Calls are paid by their length.

-- What is set aside for a call until it is over, as JSON; NULL: nothing.
ALTER TABLE message ADD COLUMN reserve TEXT;
-- What counts against other caps than a tenant's: `service:7`, `prefix:44`.
CREATE TABLE spend_account (
    name TEXT NOT NULL,
    day INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (name, day)
) STRICT, WITHOUT ROWID;
