"""Read the named statements of the .sql files, once: their names are one namespace."""

import re
from collections.abc import Mapping
from functools import cache
from importlib import resources
from typing import Final

_NAME: Final = re.compile(r"^-- name: (\w+)$", re.MULTILINE)


@cache
def load(folder: str = "") -> Mapping[str, str]:
    """Return every statement by its name.

    Args:
        folder: Of this package; in each of its .sql files a line `-- name: insert_message` stands before
            each statement.

    Raises:
        ValueError: Two statements have one name.
    """
    place = resources.files("dastak.store").joinpath(folder)
    found: dict[str, str] = {}
    for file in sorted(place.iterdir(), key=lambda entry: entry.name):
        if not file.name.endswith(".sql"):
            continue
        _, *parts = _NAME.split(file.read_text(encoding="utf-8"))
        for name, sql in zip(parts[::2], parts[1::2], strict=True):
            if name in found:
                raise ValueError(f"Two statements are named {name}; one is in {file.name}.")
            found[name] = sql.strip()
    return found
