"""The schema of programs newer than this one: one that leaves it its place, and one that does not."""

import re
from collections.abc import Mapping
from typing import Final

from dastak.store import migrate

# What the expansion gives to each table there is.
COLUMNS: Final = ("later TEXT", "later_count INTEGER NOT NULL DEFAULT 0")
INDEX: Final = "message_later"


def expanded() -> Mapping[str, str]:
    """Return the migrations of a program that adds to every table, and builds an index on a large one."""
    known = migrate.scripts()
    needed = list(known)[migrate.runs_from(known, len(known)) - 1].removesuffix(".sql")
    says = f"-- Programs that know {needed} run on this.\n"
    tables = dict.fromkeys(re.findall(r"CREATE TABLE (\w+)", "\n".join(known.values())))
    added = [f"ALTER TABLE {table} ADD COLUMN {column};\n" for table in tables for column in COLUMNS]
    more = "CREATE TABLE later (n INTEGER PRIMARY KEY, note TEXT) STRICT;\n"
    index = f"CREATE INDEX {INDEX} ON message (later) WHERE later IS NOT NULL;\n"
    return {**known, "9001_later.sql": says + "".join(added) + more, "9002_later_index.sql": says + index}


def contracted() -> Mapping[str, str]:
    """Return the migrations of a program that also takes away what this one reads."""
    return {**expanded(), "9003_gone.sql": "ALTER TABLE message RENAME COLUMN tries TO tried_times;\n"}
