-- Login for other sites: the sites, the browsers that log in, what a site was given, and the keys that sign it.

CREATE TABLE oidc_client (
    n INTEGER PRIMARY KEY AUTOINCREMENT,  -- a number is never given again, or old grants would be a new client's
    id TEXT NOT NULL UNIQUE,
    tenant INTEGER NOT NULL,
    record TEXT NOT NULL       -- JSON: everything else
) STRICT;
CREATE INDEX oidc_client_of ON oidc_client (tenant, n);

CREATE TABLE oidc_visit (
    digest BLOB PRIMARY KEY,   -- of the secret in the browser's cookie
    ends_at INTEGER NOT NULL,
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX oidc_visit_over ON oidc_visit (ends_at);

CREATE TABLE oidc_grant (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,   -- 16 octets
    client INTEGER NOT NULL,
    visit BLOB,                -- NULL: it outlives the browser's session
    ends_at INTEGER NOT NULL,
    revoked_at INTEGER,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX oidc_grant_of ON oidc_grant (client);
CREATE INDEX oidc_grant_in ON oidc_grant (visit) WHERE visit IS NOT NULL;
CREATE INDEX oidc_grant_over ON oidc_grant (ends_at);

CREATE TABLE oidc_token (
    digest BLOB PRIMARY KEY,
    grant_n INTEGER NOT NULL,
    kind INTEGER NOT NULL,     -- 0 code, 1 access, 2 refresh
    ends_at INTEGER NOT NULL,
    used_at INTEGER
) STRICT, WITHOUT ROWID;
CREATE INDEX oidc_token_of ON oidc_token (grant_n);
CREATE INDEX oidc_token_over ON oidc_token (ends_at) WHERE kind = 1;

CREATE TABLE oidc_consent (
    client INTEGER NOT NULL,
    subject TEXT NOT NULL,
    scopes TEXT NOT NULL,
    at INTEGER NOT NULL,
    PRIMARY KEY (client, subject)
) STRICT, WITHOUT ROWID;

CREATE TABLE oidc_key (
    n INTEGER PRIMARY KEY,
    record TEXT NOT NULL,
    sealed BLOB NOT NULL
) STRICT;

CREATE TABLE oidc_seed (
    n INTEGER PRIMARY KEY CHECK (n = 1),
    sealed BLOB NOT NULL
) STRICT;
