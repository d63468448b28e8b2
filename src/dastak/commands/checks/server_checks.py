"""Whether the PostgreSQL server keeps what it says, locks, has room for this node, and is of our time."""

from typing import Final

from dastak.commands.checks.diagnosis import Check, Fault, Scene
from dastak.commands.checks.server_facts import COMMITS, ServerFacts
from dastak.commands.checks.store_checks import COMMIT_MS_MAX

# The oldest that its makers still mended when this was written.
VERSION_MIN: Final = 13
# What one node keeps open: two for batches, one to find a verification, one for what is seldom written, two
# for reading, one for lists, one for its beats, one for the bell. The one that looks at the schema is closed
# before them.
NODE_CONNECTIONS: Final = 9
# Nodes judge each other's instants. Above the first somebody should look, above the second codes suffer.
CLOCK_MS_MAX: Final = 500.0
CLOCK_MS_WRONG: Final = 2000.0
# With any other, a crash of the server takes acknowledged commits with it.
DURABLE: Final = ("on", "remote_apply")


def is_server(scene: Scene) -> bool:
    """Apply where the database is a server."""
    return scene.server is not None


def answers(scene: Scene) -> bool:
    """Apply where the server could be asked."""
    return scene.server is not None and scene.server.refusal is None


def reachable(scene: Scene) -> Fault | None:
    """Find a server that cannot be asked."""
    refusal = _server(scene).refusal
    return None if refusal is None else Fault(*refusal)


def version(scene: Scene) -> Fault | None:
    """Find a server that is too old, or does not keep Unicode."""
    server = _server(scene)
    if server.version < VERSION_MIN * 10_000:
        what = (
            f"the server is PostgreSQL {server.version // 10_000}; {VERSION_MIN} is the oldest that will do"
        )
        return Fault(what, "pg_upgrade --check")
    if server.settings["server_encoding"] != "UTF8":
        what = f"the database is encoded in {server.settings['server_encoding']} and cannot keep every text"
        return Fault(what, "createdb --template template0 --encoding UTF8 dastak")
    return None


def schema(scene: Scene) -> Fault | None:
    """Find a schema that is older or newer than this program."""
    server = _server(scene)
    if server.conflict is not None:
        return Fault(server.conflict, "dastak version")
    if not server.missing:
        return None
    return Fault(f"the database still needs {', '.join(server.missing)}", "dastak migrate")


def durable(scene: Scene) -> Fault | None:
    """Find a server that answers before the disk has what it answered."""
    settings = _server(scene).settings
    for name in ("fsync", "full_page_writes"):
        if settings[name] != "on":
            mend = f"psql '{scene.settings.store.url}' -c 'ALTER SYSTEM SET {name} = on'"
            return Fault(f"{name} of the server is {settings[name]}", mend)
    if settings["synchronous_commit"] not in DURABLE:
        what = f"synchronous_commit is {settings['synchronous_commit']}, though we ask for on"
        return Fault(what, "let store.url lead to the server itself, or to a pooler that keeps `options`")
    return None


def connections(scene: Scene) -> Fault | None:
    """Find a server without connections for another node."""
    server = _server(scene)
    free = server.connections - server.others
    if free >= NODE_CONNECTIONS:
        return None
    what = f"the server has {free} of {server.connections} connections free; a node takes {NODE_CONNECTIONS}"
    raised = 2 * (server.connections + NODE_CONNECTIONS)
    mend = f"psql '{scene.settings.store.url}' -c 'ALTER SYSTEM SET max_connections = {raised}'"
    return Fault(what, mend, warning=server.others > 0)


def commit(scene: Scene) -> Fault | None:
    """Find a server on which a durable commit takes long."""
    took_ms = _server(scene).commit_ms
    if took_ms <= COMMIT_MS_MAX:
        return None
    what = f"a durable commit takes {took_ms:.0f} ms from here (median of {COMMITS})"
    return Fault(what, f"psql '{scene.settings.store.url}' -c '\\timing' -c 'SELECT 1'", warning=True)


def clock(scene: Scene) -> Fault | None:
    """Find a clock that is not the server's."""
    ahead_ms = _server(scene).clock_ahead_ms
    if abs(ahead_ms) <= CLOCK_MS_MAX:
        return None
    how = "ahead of" if ahead_ms > 0 else "behind"
    what = f"the clock of the database is {abs(ahead_ms):.0f} ms {how} this machine's"
    return Fault(what, "timedatectl set-ntp true, on both", warning=abs(ahead_ms) <= CLOCK_MS_WRONG)


def locks(scene: Scene) -> Fault | None:
    """Find a server that gives one lock to two sessions."""
    if _server(scene).excludes:
        return None
    what = "the server gives one advisory lock to two sessions at once, so a code could be approved twice"
    return Fault(what, "let store.url lead to PostgreSQL itself, or to what keeps pg_advisory_xact_lock")


def _server(scene: Scene) -> ServerFacts:
    assert scene.server is not None
    return scene.server


CHECKS: Final = (
    Check(
        "postgres.reachable",
        "the PostgreSQL server answers and lets us in",
        "nothing works without it",
        reachable,
        applies=is_server,
    ),
    Check(
        "postgres.version",
        "the server is new enough and keeps every text",
        "statements that it does not know fail when a customer needs them",
        version,
        applies=answers,
    ),
    Check(
        "postgres.schema",
        "the schema is the one of this program",
        "an older schema is brought forward at the next start; a newer one is refused",
        schema,
        applies=answers,
    ),
    Check(
        "postgres.durable",
        "what the server acknowledges is on its disk",
        "after a crash of the server, verifications are lost, and used codes are good again",
        durable,
        applies=answers,
    ),
    Check(
        "postgres.connections",
        "the server has connections for one more node",
        "the next node, or the next version beside this one, does not start",
        connections,
        applies=answers,
    ),
    Check(
        "postgres.commit",
        "a durable commit is fast",
        "every start waits for one; a slow server makes a slow API and, under load, 503",
        commit,
        applies=answers,
    ),
    Check(
        "postgres.clock",
        "this machine and the database have one time",
        "codes end too early or too late, depending on the node that is asked",
        clock,
        applies=answers,
    ),
    Check(
        "postgres.locks",
        "a lock of one session keeps the others out",
        "two nodes judge one code at the same time, and both approve it; the service refuses to start",
        locks,
        applies=answers,
    ),
)

# The start itself tells of a server that does not answer, and mends the schema.
AT_START: Final = tuple(check for check in CHECKS if check.run not in (reachable, schema))
REFUSED_AT_START: Final = (version, locks)
