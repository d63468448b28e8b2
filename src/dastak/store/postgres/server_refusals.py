"""Tell why a PostgreSQL server cannot be used, and what to type first."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final, NamedTuple

import psycopg
from psycopg.conninfo import conninfo_to_dict

from dastak.core.errors import Overloaded


class Refusal(NamedTuple):
    """Why the server cannot be used.

    Attributes:
        what: Names the server; it has no password in it.
        command: The first step to mend it.
    """

    what: str
    command: str


# libpq tells a failed connection in words alone. The first row whose words are in them says what it was.
_KNOWN: Final = (
    (
        ("password authentication failed", "no password supplied"),
        "the password of {user} is wrong or missing",
        "write it to store.password_file, or into DASTAK_DATABASE_URL",
    ),
    (
        ("no pg_hba.conf entry",),
        "its pg_hba.conf lets {user} not into {dbname} from this machine, or not without TLS",
        "psql '{url}', after a line in the server's pg_hba.conf",
    ),
    (("role",), "it knows no user {user}", "createuser -h {host} -p {port} --pwprompt {user}"),
    (("database",), "it has no database {dbname}", "createdb -h {host} -p {port} --owner {user} {dbname}"),
    (
        ("too many clients", "remaining connection slots", "too many connections"),
        "all of its connections are taken",
        "psql '{url}' -c 'SHOW max_connections'",
    ),
    (
        ("certificate", "does not support SSL", "SSL error", "SSL negotiation"),
        "TLS fails: {said}",
        "psql '{url}', after setting sslmode and sslrootcert in store.url",
    ),
    (
        ("failed to resolve", "could not translate host name"),
        "nobody knows the name {host}",
        "getent hosts {host}",
    ),
    (
        ("session is read-only", "hot standby"),
        "it can only be read",
        "name the primary in store.url, or all hosts: postgresql://{user}@first,second/{dbname}",
    ),
    (
        ("Connection refused", "No such file or directory", "timeout", "starting up", "shutting down"),
        "it does not answer: {said}",
        "pg_isready -h {host} -p {port}",
    ),
    (
        ("permission denied",),
        "{user} may not make tables in {dbname}",
        "psql -h {host} -p {port} -c 'ALTER DATABASE {dbname} OWNER TO {user}' postgres",
    ),
)
_MISSING: Final = "does not exist"


def refusal_of(error: Exception, url: str) -> Refusal:
    """Return what an error of psycopg means to an operator.

    Args:
        error: When connecting, or at the first statements.
        url: What was connected to.
    """
    lines = str(error).strip().splitlines() or [type(error).__name__]
    said = lines[0].removeprefix("connection failed: ")
    given = conninfo_to_dict(url)
    given.pop("password", None)
    at = {"user": "postgres", "host": "localhost", "port": "5432", **given}
    at = {"dbname": at["user"], **at, "said": said, "url": url}
    server = f"PostgreSQL at {at['host']}:{at['port']}"
    for words, what, command in _KNOWN:
        found = any(word in str(error) for word in words)
        if words[0] in ("role", "database"):
            found = found and f'{words[0]} "' in str(error) and _MISSING in str(error)
        if found:
            return Refusal(f"{server}: {what.format(**at)}", command.format(**at))
    return Refusal(f"{server}: {said}", f"psql '{url}'")


@contextmanager
def told(url: str) -> Iterator[None]:
    """Tell an operator what goes wrong within. Raises: Overloaded."""
    try:
        yield
    except psycopg.Error as error:
        what, command = refusal_of(error, url)
        raise Overloaded(f"{what}. Next: {command}") from error
