CREATE TABLE IF NOT EXISTS people (
    n INTEGER PRIMARY KEY,
    username TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    msisdn TEXT NOT NULL,
    two_factor INTEGER NOT NULL DEFAULT 0,
    balance_paise INTEGER NOT NULL
) STRICT;

-- `person` is who is in; `question` is what a code is asked for at present, and by it who may come in next.
CREATE TABLE IF NOT EXISTS sessions (
    digest BLOB PRIMARY KEY,
    person INTEGER REFERENCES people (n),
    question TEXT,
    made_at REAL NOT NULL,
    seen_at REAL NOT NULL
) STRICT, WITHOUT ROWID;

CREATE TABLE IF NOT EXISTS payments (
    n INTEGER PRIMARY KEY,
    person INTEGER NOT NULL REFERENCES people (n),
    payee TEXT NOT NULL,
    amount_paise INTEGER NOT NULL,
    verification TEXT NOT NULL UNIQUE,
    made_at REAL NOT NULL
) STRICT;

CREATE TABLE IF NOT EXISTS tries (
    username TEXT NOT NULL,
    address TEXT NOT NULL,
    made_at REAL NOT NULL
) STRICT;
