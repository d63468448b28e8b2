-- The people who sign in to services, their browsers, and how often somebody tried.

CREATE TABLE person (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,  -- 16 octets
    service INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    name_key TEXT NOT NULL,   -- what all spellings of the username have in common
    record TEXT NOT NULL,     -- JSON: everything else; the password as argon2 writes it
    UNIQUE (service, mode, name_key)
) STRICT;

-- By the digest of the secret in its cookie; the secret is nowhere.
CREATE TABLE browser_session (
    digest BLOB PRIMARY KEY,
    person BLOB NOT NULL,
    over_at INTEGER NOT NULL, -- ms; it may end before
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX browser_session_of_person ON browser_session (person);
CREATE INDEX browser_session_over ON browser_session (over_at);

CREATE TABLE device (
    digest BLOB NOT NULL,
    person BLOB NOT NULL,
    over_at INTEGER NOT NULL,
    record TEXT NOT NULL,
    PRIMARY KEY (digest, person)
) STRICT, WITHOUT ROWID;
CREATE INDEX device_of_person ON device (person);
CREATE INDEX device_over ON device (over_at);

-- Keyed digests; a row stays when its code was used.
CREATE TABLE recovery_code (
    person BLOB NOT NULL,
    digest BLOB NOT NULL,
    used_at INTEGER,          -- ms
    PRIMARY KEY (person, digest)
) STRICT, WITHOUT ROWID;

CREATE TABLE sign_in (
    n INTEGER PRIMARY KEY,
    person BLOB NOT NULL,
    record TEXT NOT NULL
) STRICT;
CREATE INDEX sign_in_of_person ON sign_in (person, n);

-- By a keyed digest of whom it is about: neither names nor addresses can be read from it.
CREATE TABLE sign_in_tally (
    key BLOB PRIMARY KEY,
    over_at INTEGER NOT NULL, -- s; nothing in it counts from then
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
CREATE INDEX sign_in_tally_over ON sign_in_tally (over_at);

CREATE TABLE login_settings (
    service INTEGER PRIMARY KEY,
    record TEXT NOT NULL
) STRICT;

CREATE TABLE invitation (
    digest BLOB PRIMARY KEY,
    over_at INTEGER NOT NULL, -- ms
    record TEXT NOT NULL
) STRICT, WITHOUT ROWID;
