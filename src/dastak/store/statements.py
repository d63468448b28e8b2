"""Read the named statements of queries.sql, once."""

import re
from collections.abc import Mapping
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


def load(name: str) -> Mapping[str, str]:
    """Return every statement of a file in this package by its name.

    Args:
        name: A file where a line `-- name: insert_message` stands before each statement.
    """
    script = resources.files("dastak.store").joinpath(name).read_text(encoding="utf-8")
    _, *parts = _NAME.split(script)
    return {name: sql.strip() for name, sql in zip(parts[::2], parts[1::2], strict=True)}
