-- Pages of ours that ask for a code: who made them, what they ask for, and the browser that has each.

CREATE TABLE code_page (
    n INTEGER PRIMARY KEY,
    token_digest BLOB NOT NULL UNIQUE,  -- 32 octets; the token itself is in an address alone
    tenant INTEGER NOT NULL,
    made_for BLOB NOT NULL UNIQUE,      -- a verification's id
    asks_for BLOB NOT NULL,             -- a verification's id
    browser BLOB,                       -- 32 octets: digest of the secret in a cookie
    number_changes INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,        -- ms since 1970
    finished_at INTEGER,                -- ms since 1970
    record TEXT NOT NULL                -- JSON: everything else, which never changes
) STRICT;
CREATE INDEX code_page_expiry ON code_page (expires_at);
