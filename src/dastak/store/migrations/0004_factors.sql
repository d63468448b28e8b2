-- What a person proves a number with besides texts and calls: authenticators and printed lists.

CREATE TABLE factor (
    n INTEGER PRIMARY KEY,
    id BLOB NOT NULL UNIQUE,  -- 16 octets
    tenant INTEGER NOT NULL,
    mode INTEGER NOT NULL,
    msisdn INTEGER NOT NULL,
    state INTEGER NOT NULL,   -- 0 pending, 1 active, 2 removed
    chain_seed TEXT,          -- of a printed list; kept when it is removed
    sealed BLOB,              -- the seed of an authenticator
    record TEXT NOT NULL      -- JSON: everything else
) STRICT;
CREATE INDEX factor_of_number ON factor (tenant, msisdn, mode);
