-- Calls are paid by their length, and people may report one that they did not ask for.

-- What is set aside for a call until it is over, as JSON; NULL: nothing.
ALTER TABLE message ADD COLUMN reserve TEXT;
-- What counts against other caps than a tenant's: `service:7`, `prefix:44`.
CREATE TABLE spend_account (
    name TEXT NOT NULL,
    day INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (name, day)
) STRICT, WITHOUT ROWID;
CREATE TABLE call_report (
    n INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    verification BLOB NOT NULL,
    mode INTEGER NOT NULL,
    msisdn INTEGER NOT NULL,
    at INTEGER NOT NULL
) STRICT;
CREATE INDEX call_report_of ON call_report (tenant, n);
CREATE INDEX call_report_at ON call_report (at);
