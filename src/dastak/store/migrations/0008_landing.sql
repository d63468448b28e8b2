-- Landing pages: what people see, who came how far, and who proved a number.

CREATE TABLE landing_page (
    n INTEGER PRIMARY KEY,
    tenant INTEGER NOT NULL,
    slug TEXT NOT NULL UNIQUE,
    host TEXT UNIQUE,
    edition INTEGER NOT NULL,
    live INTEGER NOT NULL,
    record TEXT NOT NULL,   -- the rest, as JSON
    draft BLOB NOT NULL
) STRICT;
CREATE INDEX landing_page_of ON landing_page (tenant, n);
-- Never changed: going back appends the former octets again.
CREATE TABLE landing_version (
    page INTEGER NOT NULL,
    version INTEGER NOT NULL,
    at INTEGER NOT NULL,
    author TEXT NOT NULL,
    reason TEXT NOT NULL,
    body BLOB NOT NULL,
    PRIMARY KEY (page, version)
) STRICT, WITHOUT ROWID;
CREATE TABLE landing_image (
    page INTEGER NOT NULL,
    name TEXT NOT NULL,
    kind TEXT NOT NULL,
    width INTEGER NOT NULL,
    height INTEGER NOT NULL,
    octets BLOB NOT NULL,
    PRIMARY KEY (page, name)
) STRICT;
-- What was typed before the number is proved; deleted within hours, when only counts stay.
CREATE TABLE landing_visit (
    token_digest BLOB PRIMARY KEY,
    page INTEGER NOT NULL,
    at INTEGER NOT NULL,
    variant TEXT NOT NULL,
    language TEXT NOT NULL,
    verification BLOB,
    entered INTEGER NOT NULL,
    lead INTEGER NOT NULL,
    record TEXT NOT NULL    -- the rest, as JSON
) STRICT, WITHOUT ROWID;
CREATE INDEX landing_visit_at ON landing_visit (at);
CREATE INDEX landing_visit_page ON landing_visit (page);
-- How far each visit came that is still there. Half of a verification's id finds it.
CREATE VIEW landing_reached AS
SELECT v.token_digest, v.page, v.at, v.variant, v.language,
    v.verification IS NOT NULL AS given,
    EXISTS (SELECT 1 FROM verification AS q JOIN message AS m ON m.verification = q.n
        WHERE substr(q.id, 1, 8) = substr(v.verification, 1, 8) AND q.id = v.verification
            AND m.state IN (1, 2, 3)) AS sent,
    EXISTS (SELECT 1 FROM verification AS q JOIN message AS m ON m.verification = q.n
        WHERE substr(q.id, 1, 8) = substr(v.verification, 1, 8) AND q.id = v.verification
            AND m.state = 2) AS delivered,
    v.entered,
    v.lead > 0 AS approved
FROM landing_visit AS v;
CREATE TABLE landing_count (
    page INTEGER NOT NULL,
    variant TEXT NOT NULL,
    language TEXT NOT NULL,
    step TEXT NOT NULL,
    visits INTEGER NOT NULL,
    PRIMARY KEY (page, variant, language, step)
) STRICT, WITHOUT ROWID;
CREATE TABLE landing_lead (
    n INTEGER PRIMARY KEY,
    page INTEGER NOT NULL,
    at INTEGER NOT NULL,
    gone_at INTEGER NOT NULL,
    variant TEXT NOT NULL,
    language TEXT NOT NULL,
    msisdn INTEGER NOT NULL,
    verification BLOB NOT NULL UNIQUE,
    record TEXT NOT NULL,   -- the rest, as JSON
    exchange BLOB,          -- SHA-256 of a one-time token, until it is used
    exchange_until INTEGER NOT NULL
) STRICT;
CREATE INDEX landing_lead_of ON landing_lead (page, n);
CREATE INDEX landing_lead_gone ON landing_lead (gone_at);
CREATE UNIQUE INDEX landing_lead_exchange ON landing_lead (exchange) WHERE exchange IS NOT NULL;
