-- Replies are found by number, repetitions by digest; what a virtual phone asks for binds test keys only.
-- Nothing was ever written into either table before.

ALTER TABLE reply ADD COLUMN digest BLOB NOT NULL DEFAULT x'';  -- of route, sender and words; tenant 0: nobody's
CREATE INDEX reply_of_number ON reply (msisdn, n);

DROP TABLE stopped;
CREATE TABLE stopped (
    n INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    msisdn INTEGER NOT NULL,
    test INTEGER NOT NULL,  -- 1: by a virtual phone
    since INTEGER NOT NULL,
    UNIQUE (tenant, msisdn, test)
) STRICT;
CREATE INDEX stopped_of ON stopped (tenant, n);
