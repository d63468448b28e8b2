"""What a migration says of older programs is true of what it does, and every program can tell."""

import re

import pytest

from dastak.core.errors import Conflict
from dastak.store import migrate
from dastak.store.statements import load
from tests.support.schema_ahead import contracted, expanded

SAYS = "-- Programs that know 0001_first run on this.\n"
FIRST = {"0001_first.sql": "CREATE TABLE t (n INTEGER);"}
# All that an expansion may do: an older program writes rows without its columns, and reads by column.
ALLOWED = (
    r"CREATE TABLE (?P<table>\w+) \(.*",
    r"CREATE (UNIQUE )?INDEX \w+ ON (?P<indexed>\w+) \(.*",
    r"CREATE VIEW \w+ AS .*",
    r"CREATE TRIGGER \w+ AFTER \w+ ON (?P<watched>\w+) .*",
    r"ALTER TABLE \w+ ADD COLUMN \w+ (TEXT|INTEGER|BLOB)",
    r"ALTER TABLE \w+ ADD COLUMN \w+ (TEXT|INTEGER|BLOB) NOT NULL DEFAULT (\d+|'\w*'|x'')",
    r"INSERT INTO (?P<filled>\w+) .*",
)


def breaks(script: str) -> list[str]:
    """Return the statements of an expansion that an older program would notice."""
    bare = re.sub(r"--[^\n]*", "", script)
    said = [re.sub(r"\s+", " ", statement).strip("; ") for statement in migrate.statements_of(bare)]
    own: set[str] = set()
    broken = []
    for statement in filter(None, said):
        match = next((m for allowed in ALLOWED if (m := re.fullmatch(allowed, statement))), None)
        groups = match.groupdict() if match else {}
        own |= {groups["table"]} if groups.get("table") else set()
        # An index on a table with rows is a file of its own, for it is built beside the work of others.
        foreign = groups.get("indexed") not in (None, *own)
        alone = len(list(filter(None, said))) == 1 and "UNIQUE" not in statement
        strange = {groups.get("watched"), groups.get("filled")} - {None, "meta", *own}
        if match is None or (foreign and not alone) or strange:
            broken.append(statement)
    return broken


@pytest.mark.parametrize(
    "script",
    [
        "DROP TABLE message;",
        "DROP INDEX message_due;",
        "ALTER TABLE message DROP COLUMN tried;",
        "ALTER TABLE message RENAME COLUMN tried TO handed;",
        "ALTER TABLE message ADD COLUMN heard INTEGER NOT NULL;",
        "UPDATE message SET due_at = NULL;",
        "CREATE TABLE t (n INTEGER);\nCREATE INDEX i ON message (tried);",
        "CREATE UNIQUE INDEX i ON message (tried);",
        "CREATE TRIGGER g AFTER DELETE ON message BEGIN\n    DELETE FROM reply;\nEND;",
        "INSERT INTO reply (n) VALUES (1);",
        "DROP VIEW held;\nCREATE VIEW held AS SELECT 1;",
    ],
)
def test_what_an_older_program_would_notice_is_found(script: str) -> None:
    assert breaks(script) != []


@pytest.mark.parametrize("known", [migrate.scripts(), expanded()])
def test_migration_that_says_older_programs_run_on_it_takes_nothing_from_them(known: dict[str, str]) -> None:
    found = {name: breaks(known[name]) for name in known if not migrate.shuts_out(known, name)}

    assert {name: broken for name, broken in found.items() if broken} == {}


def test_no_statement_depends_on_how_many_columns_a_table_has() -> None:
    tables = re.findall(r"CREATE TABLE (\w+)", "\n".join(migrate.scripts().values()))
    said = {**load(), **load("postgres")}

    every = {
        name: found
        for name, sql in said.items()
        if (found := re.findall(rf"^SELECT \* FROM (?:{'|'.join(tables)})\b|INTO \w+ (?:VALUES|SELECT)", sql))
    }
    assert every == {}


@pytest.mark.parametrize(
    ("later", "needed"),
    [
        ([], 1),
        (["CREATE TABLE u (n INTEGER);"], 2),
        ([SAYS], 1),
        ([SAYS, "DROP TABLE t;"], 3),
        ([SAYS, "DROP TABLE t;", SAYS], 3),
        ([SAYS, "-- Programs that know 0002_x run on this.\nDROP TABLE t;"], 2),
    ],
)
def test_schema_needs_the_newest_program_that_any_step_of_it_needs(later: list[str], needed: int) -> None:
    known = FIRST | {f"{n:04}_x.sql": script for n, script in enumerate(later, start=2)}

    assert migrate.runs_from(known, len(known)) == needed


@pytest.mark.parametrize("named", ["0002_x", "0003_unheard_of"])
def test_migration_can_only_name_one_before_it(named: str) -> None:
    known = FIRST | {"0002_x.sql": f"-- Programs that know {named} run on this."}

    with pytest.raises(ValueError, match=named):
        migrate.runs_from(known, 2)


def test_only_what_raises_the_need_shuts_older_programs_out() -> None:
    known = contracted()

    assert [name for name in known if name.startswith("900") and migrate.shuts_out(known, name)] == [
        "9003_gone.sql"
    ]


@pytest.mark.parametrize(("version", "needed"), [(13, 13), (14, 13), (13, None)])
def test_program_that_knows_too_little_is_refused(version: int, needed: int | None) -> None:
    with pytest.raises(Conflict, match=f"schema {version}, for programs that know 13"):
        migrate.refuse_if_newer(version, needed, 12)


@pytest.mark.parametrize(("version", "needed"), [(12, None), (13, 12), (99, 3)])
def test_program_that_knows_enough_may_go_on(version: int, needed: int | None) -> None:
    migrate.refuse_if_newer(version, needed, 12)
