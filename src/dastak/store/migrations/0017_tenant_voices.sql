-- What tenants recorded for their calls.
-- Programs that know 0016_ends_and_links run on this.

CREATE TABLE own_voice (
    tenant INTEGER NOT NULL,
    language TEXT NOT NULL,     -- its tag; or "brands"
    pack BLOB NOT NULL,
    revision INTEGER NOT NULL,
    PRIMARY KEY (tenant, language)
) STRICT;
-- One small row, so that a look for changes reads no pack.
CREATE TABLE own_voice_revision (n INTEGER PRIMARY KEY, revision INTEGER NOT NULL) STRICT;
INSERT INTO own_voice_revision (n, revision) VALUES (1, 0);
