-- What Dastak remembers.
-- Instants are milliseconds since 1970 UTC, numbers are the digits of an MSISDN, and `state`, `mode` and `channel`
-- are the numbers that store/rows.py gives them. Nothing here holds a code in clear.

CREATE TABLE meta (name TEXT PRIMARY KEY, value INTEGER NOT NULL) STRICT, WITHOUT ROWID;
-- A restored backup raises the epoch.
INSERT INTO meta (name, value) VALUES ('epoch', 0), ('tenancy_revision', 0);

-- Who asks: few, read whole, so their fields stay together as JSON.
CREATE TABLE tenant (n INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE, record TEXT NOT NULL) STRICT;
CREATE TABLE service (
    n INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    name TEXT NOT NULL,
    record TEXT NOT NULL,
    UNIQUE (tenant, name)
) STRICT;
CREATE TABLE api_key (id TEXT PRIMARY KEY, record TEXT NOT NULL) STRICT, WITHOUT ROWID;

-- Each policy in use, once; thousands of verifications share one.
CREATE TABLE policy (n INTEGER PRIMARY KEY, body TEXT NOT NULL UNIQUE) STRICT;

CREATE TABLE verification (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL,
    tenant INTEGER NOT NULL,
    service INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    msisdn INTEGER NOT NULL,
    state INTEGER NOT NULL,
    policy INTEGER NOT NULL,
    key_id INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    last_sent_at INTEGER,   -- NULL: when it was created
    attempts INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    sends INTEGER NOT NULL,
    own_code_digest BLOB,
    own_code_sealed BLOB,
    particulars TEXT,       -- JSON without defaults; NULL: all defaults
    timeline TEXT NOT NULL  -- one event a line
) STRICT;
-- Half of an id is random enough to find it by, and takes half the room.
CREATE INDEX verification_id ON verification (substr(id, 1, 8));
-- Finds the pending one that a new one replaces, however long the history of the number.
CREATE INDEX verification_number ON verification (tenant, msisdn, state);
CREATE INDEX verification_expiring ON verification (expires_at) WHERE state = 0;

CREATE TABLE message (
    verification INTEGER NOT NULL,
    ordinal INTEGER NOT NULL,
    channel INTEGER NOT NULL,
    generation INTEGER NOT NULL,
    segments INTEGER NOT NULL,
    state INTEGER NOT NULL,
    tries INTEGER NOT NULL,
    due_at INTEGER,
    route TEXT,
    carrier_ref TEXT,
    trace TEXT NOT NULL,    -- one event a line
    PRIMARY KEY (verification, ordinal)
) STRICT, WITHOUT ROWID;
CREATE INDEX message_due ON message (due_at) WHERE state = 0;
-- Only what a receipt can still move: a delivered message is not looked for any more.
CREATE INDEX message_carrier ON message (route, carrier_ref) WHERE state IN (1, 3);

-- The wrong attempts of a number; numbers without any have no row.
CREATE TABLE tally (
    tenant INTEGER NOT NULL,
    msisdn INTEGER NOT NULL,
    wrong TEXT NOT NULL,    -- core.lockout.Tally as JSON
    last_at_s INTEGER NOT NULL,
    PRIMARY KEY (tenant, msisdn)
) STRICT, WITHOUT ROWID;
CREATE INDEX tally_last ON tally (last_at_s);

CREATE TABLE spend (
    tenant INTEGER NOT NULL,
    day INTEGER NOT NULL,
    micros INTEGER NOT NULL,
    PRIMARY KEY (tenant, day)
) STRICT, WITHOUT ROWID;

CREATE TABLE idempotency (
    key BLOB PRIMARY KEY,
    fingerprint BLOB NOT NULL,
    answer BLOB NOT NULL,
    since INTEGER NOT NULL  -- when the request came
) STRICT, WITHOUT ROWID;
CREATE INDEX idempotency_since ON idempotency (since);

-- A verification as a rule sees it.
CREATE VIEW held AS
SELECT
    v.n, v.id, v.tenant, v.service, v.mode, v.msisdn, v.state, p.body AS policy, v.key_id,
    v.created_at, v.expires_at, v.last_sent_at, v.attempts, v.generation, v.sends,
    v.own_code_digest, v.own_code_sealed, v.particulars, t.wrong
FROM verification AS v
CROSS JOIN policy AS p ON p.n = v.policy
LEFT JOIN tally AS t ON t.tenant = v.tenant AND t.msisdn = v.msisdn;
