-- Carriers that are added while the program runs, and messages that follow one that did not arrive.

-- How many messages followed another one by themselves; the next one has the number `sends + fallbacks`.
ALTER TABLE verification ADD COLUMN fallbacks INTEGER NOT NULL DEFAULT 0;
-- The routes its code was handed to before, with blanks between them; NULL: none.
ALTER TABLE message ADD COLUMN tried TEXT;

-- A submitted message is due as well: when its receipt should be there.
DROP INDEX message_due;
CREATE INDEX message_due ON message (due_at) WHERE due_at IS NOT NULL;
UPDATE message SET due_at = NULL WHERE state <> 0;

DROP VIEW held;
-- A verification as a rule sees it.
CREATE VIEW held AS
SELECT
    v.n, v.id, v.tenant, v.service, v.mode, v.msisdn, v.state, p.body AS policy, v.key_id,
    v.created_at, v.expires_at, v.last_sent_at, v.attempts, v.generation, v.sends, v.fallbacks,
    v.own_code_digest, v.own_code_sealed, v.particulars, t.wrong
FROM verification AS v
CROSS JOIN policy AS p ON p.n = v.policy
LEFT JOIN tally AS t ON t.tenant = v.tenant AND t.msisdn = v.msisdn;

-- Few, read whole, so their fields stay together as JSON.
CREATE TABLE carrier (
    n INTEGER PRIMARY KEY,
    name TEXT NOT NULL UNIQUE,
    record TEXT NOT NULL,
    sealed BLOB NOT NULL    -- passwords and keys, encrypted
) STRICT;
INSERT INTO meta (name, value) VALUES ('carrier_revision', 0);
-- Every change of a carrier, for good.
CREATE TABLE carrier_change (n INTEGER PRIMARY KEY, carrier TEXT NOT NULL, record TEXT NOT NULL) STRICT;
CREATE INDEX carrier_change_of ON carrier_change (carrier, n);

-- What was learned and may be lost, such as the scores of routes.
CREATE TABLE learned (name TEXT PRIMARY KEY, body BLOB NOT NULL) STRICT, WITHOUT ROWID;

-- Texts that phones sent back, and the numbers that want no more of a tenant.
CREATE TABLE reply (
    n INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    msisdn INTEGER NOT NULL,
    at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX reply_of ON reply (tenant, n);
CREATE TABLE stopped (
    tenant INTEGER NOT NULL,
    msisdn INTEGER NOT NULL,
    since INTEGER NOT NULL,
    PRIMARY KEY (tenant, msisdn)
) STRICT, WITHOUT ROWID;

-- What a tenant registered with India's DLT platforms, one JSON document.
CREATE TABLE dlt_register (tenant INTEGER PRIMARY KEY, record TEXT NOT NULL, revision INTEGER NOT NULL) STRICT;
