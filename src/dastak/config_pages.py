"""Show the settings: effective values with their origin, the JSON Schema and the commented sample file.

All three are made from the records of `config.py`, so that none of them can fall behind.
"""

import inspect
import json
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec

from dastak.config import CarrierSettings, Secret, Settings
from dastak.config_read import Keys, Loaded, is_section

SCHEMA_FILE: Final = "dastak.schema.json"
WIDTH: Final = 100

# A section of which there may be many is shown with this name and these values of its required settings.
EXAMPLE_NAME: Final = "airtel"
EXAMPLE_VALUES: Final[Mapping[str, str]] = {"host": "smsc.example.net", "system_id": "ACME"}

_ATTRIBUTE: Final = re.compile(r"^    (\w+): (.*)$")


class Shown(msgspec.Struct, frozen=True):
    """One effective setting."""

    path: str
    value: Any
    origin: str


def effective(loaded: Loaded) -> list[Shown]:
    """Return every setting as it is used, secrets masked."""
    return list(_effective(loaded, loaded.settings, ()))


def json_schema() -> dict[str, Any]:
    """Return the JSON Schema of the file, for editors."""
    schema = msgspec.json.schema(Settings, schema_hook=_schema_of)
    schema["$schema"] = "https://json-schema.org/draft/2020-12/schema"
    kinds = {kind.__name__: kind for kind in _sections(Settings)}
    for name, described in schema["$defs"].items():
        if name not in kinds:
            continue
        described["description"] = _summary(kinds[name])
        described["additionalProperties"] = False
        # What is left out of any other table keeps its default.
        if kinds[name] is not CarrierSettings:
            described.pop("required", None)
        for key, text in attributes(kinds[name]).items():
            described["properties"][key]["description"] = text
    return schema


def sample(values: Mapping[str, Any] | None = None) -> str:
    """Return the commented sample file.

    Args:
        values: By dotted path; these are written as set, everything else as a comment with its default.
    """
    lines = [
        f"#:schema ./{SCHEMA_FILE}",
        "# Settings of Dastak. What is commented out shows its default.",
        "",
    ]
    lines += _sample_section(Settings, (), dict(values or {}))
    return "\n".join(lines).rstrip() + "\n"


def attributes(kind: type) -> dict[str, str]:
    """Return what a record's docstring says of each of its fields."""
    _, _, listed = inspect.cleandoc(kind.__doc__ or "").partition("Attributes:\n")
    told: dict[str, str] = {}
    for line in listed.splitlines():
        named = _ATTRIBUTE.match(line)
        if named:
            last = named[1]
            told[last] = named[2]
        elif line.strip():
            told[last] += " " + line.strip()
    return told


def _schema_of(kind: type) -> dict[str, str]:
    """Describe what JSON Schema does not know: paths and secrets are written as texts."""
    assert kind in (Path, Secret)
    return {"type": "string"}


def _summary(kind: type) -> str:
    return inspect.cleandoc(kind.__doc__ or "").partition("\n")[0]


def _effective(loaded: Loaded, record: Any, above: Keys) -> Iterator[Shown]:
    items = record if isinstance(record, dict) else msgspec.structs.asdict(record)
    for name, value in items.items():
        keys = (*above, name)
        if isinstance(value, msgspec.Struct | dict):
            yield from _effective(loaded, value, keys)
        else:
            path = ".".join(keys)
            plain = msgspec.to_builtins(value, enc_hook=repr if isinstance(value, Secret) else str)
            yield Shown(path, plain, loaded.origin_of(path))


def _sections(kind: Any) -> Iterator[type]:
    yield kind
    for field in msgspec.structs.fields(kind):
        below = get_args(field.type)[1] if get_origin(field.type) is dict else field.type
        if is_section(below):
            yield from _sections(below)


def _sample_section(kind: Any, above: Keys, values: Mapping[str, Any], base: Any = None) -> list[str]:
    """Write the settings of a section, then the sections below it: TOML wants this order."""
    own: list[str] = []
    below: list[str] = []
    told = attributes(kind)
    for field in msgspec.structs.fields(kind):
        keys = (*above, field.name)
        many = get_origin(field.type) is dict
        default = getattr(base, field.name) if base is not None else field.default
        comment = told.get(field.name)
        if many:
            below += _sample_table(get_args(field.type)[1], (*keys, EXAMPLE_NAME), values, comment, None)
        elif is_section(field.type):
            below += _sample_table(field.type, keys, values, comment, default)
        else:
            own += _sample_line(keys, values, comment, default)
    return own + ([""] if own else []) + below


def _sample_table(
    kind: Any, keys: Keys, values: Mapping[str, Any], comment: str | None, base: Any
) -> list[str]:
    path = ".".join(keys)
    example = EXAMPLE_NAME in keys and not any(key.startswith(f"{path}.") for key in values)
    head = [f"# {comment or _summary(kind)}", f"{'#' if example else ''}[{path}]"]
    return head + _sample_section(kind, keys, values, base)


def _sample_line(keys: Keys, values: Mapping[str, Any], comment: str | None, default: Any) -> list[str]:
    path, name = ".".join(keys), keys[-1]
    told = [f"# {comment}"] if comment else []
    if path in values:
        return [*told, f"{name} = {_toml(values[path])}"]
    return [*told, f"#{name} = {_toml(EXAMPLE_VALUES[name] if default is msgspec.NODEFAULT else default)}"]


def _toml(value: Any) -> str:
    """Write a value as TOML; what has no default is shown as an empty text."""
    if value is None:
        return '""'
    # A JSON string, number or boolean is the same in TOML.
    return json.dumps(value if isinstance(value, bool | int | float) else str(value), ensure_ascii=False)
