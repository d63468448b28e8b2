-- What ends with a person's sessions, links by which somebody chooses a new password, and secrets that rotate.
-- An older program would make grants without an account, which then outlive the sessions of their person.

-- Of the person whose password was right; NULL where no password was asked for.
ALTER TABLE oidc_grant ADD COLUMN account TEXT;
UPDATE oidc_grant SET account = substr(record, instr(record, '"account":"') + 11, 32)
WHERE instr(record, '"account":"') > 0;
CREATE INDEX oidc_grant_account ON oidc_grant (account) WHERE account IS NOT NULL;

-- By the digest of its token; the token is nowhere.
CREATE TABLE password_link (
    digest BLOB PRIMARY KEY,
    person BLOB NOT NULL UNIQUE, -- a new link takes the place of the one before it
    over_at INTEGER NOT NULL,    -- ms
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX password_link_over ON password_link (over_at);

-- The secret before this one, sealed, and until when requests are signed with it as well (ms).
ALTER TABLE lead_hook ADD COLUMN old_secret BLOB;
ALTER TABLE lead_hook ADD COLUMN old_until INTEGER;
