-- The nodes that share a database, the binds to carriers that each holds, and the messages in their hands.
-- A file of SQLite has one process, and these tables stay empty in it.
-- Programs that know 0011_counts_by_route run on this.

CREATE TABLE node (
    n INTEGER PRIMARY KEY AUTOINCREMENT,
    name TEXT NOT NULL,
    roles TEXT NOT NULL,    -- with commas
    since INTEGER NOT NULL,
    beat_at INTEGER NOT NULL,
    dead INTEGER NOT NULL
) STRICT;

-- One row for each bind of a carrier's allowance that a node took; it counts as long as that node lives.
CREATE TABLE carrier_lease (
    carrier TEXT NOT NULL,
    slot INTEGER NOT NULL,
    node INTEGER NOT NULL,
    is_up INTEGER NOT NULL,
    PRIMARY KEY (carrier, slot)
) STRICT, WITHOUT ROWID;

-- Who has a message in hand while it is queued; NULL is nobody. The fence rises whenever somebody else takes it.
ALTER TABLE message ADD COLUMN owner INTEGER;
ALTER TABLE message ADD COLUMN fence INTEGER NOT NULL DEFAULT 0;
