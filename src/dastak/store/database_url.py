"""Read the URL of a database: a file, or a PostgreSQL server."""

from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

POSTGRES: Final = ("postgresql", "postgres")
EXAMPLES: Final = "sqlite:///var/lib/dastak/dastak.db or postgresql://dastak@db.example.in/dastak"


def check(url: str) -> None:
    """Raises: ValueError (it names no database, or has a password that everybody would see)."""
    if not is_postgres(url):
        sqlite_path(url)
    elif urlsplit(url).password is not None:
        raise ValueError(
            "it has a password in it; write that to store.password_file, or set DASTAK_DATABASE_URL"
        )


def sqlite_path(url: str) -> Path:
    """Return the file of a `sqlite:` URL.

    Raises:
        ValueError: It is another kind of database, or names no file.
    """
    scheme, colon, rest = url.partition(":")
    path = rest.removeprefix("//")
    if scheme != "sqlite" or not colon or not path or path.startswith(":memory:"):
        raise ValueError(f"{url!r} is not a database this version keeps; write {EXAMPLES}")
    return Path(path)


def is_postgres(url: str) -> bool:
    """Say whether a URL names a PostgreSQL database."""
    return url.partition("://")[0] in POSTGRES


def apart(url: str) -> tuple[str, str | None]:
    """Return a URL without its password, and the password."""
    parts = urlsplit(url)
    if parts.password is None:
        return url, None
    user, _, hosts = parts.netloc.rpartition("@")
    bare = parts._replace(netloc=f"{user.partition(':')[0]}@{hosts}").geturl()
    return bare, unquote(parts.password)
