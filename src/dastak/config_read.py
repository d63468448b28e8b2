"""Read the settings: one TOML file, then the environment over it, then the command line over both.

1. An unknown key is an error, in the file and in the environment, and is told with the nearest real one.
2. Every value knows where it came from, and a wrong one is told with its whole path.
3. `NAME_file` stands for the secret `NAME`: its content is read here, once, if only its owner can read it.
"""

import difflib
import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final, get_args, get_origin

import msgspec

from dastak.config import CARRIER_NAME, CarrierSettings, ConfigError, Secret, Settings
from dastak.store import database_url

ENVIRONMENT_PREFIX: Final = "DASTAK__"
# What platforms call it; store.url and store.password in one.
DATABASE_URL: Final = "DASTAK_DATABASE_URL"
# A private key with its chain is the longest of them.
SECRET_FILE_OCTETS_MAX: Final = 64 * 1024
SEARCHED: Final = (Path("dastak.toml"), Path(".dastak/dastak.toml"), Path("/etc/dastak/dastak.toml"))

Keys = tuple[str, ...]


class Given(msgspec.Struct, frozen=True):
    """One value somebody wrote.

    Attributes:
        lax: It is text from the environment, so "12" may be a number.
    """

    keys: Keys
    value: Any
    origin: str
    lax: bool = False


class Loaded(msgspec.Struct, frozen=True):
    """The settings, and where each came from.

    Attributes:
        file: The TOML file that was read; None when there was none.
        origins: By dotted path; what is not in it is a default.
    """

    settings: Settings
    file: Path | None
    origins: dict[str, str]

    def origin_of(self, path: str) -> str:
        """Say where a setting came from."""
        return self.origins.get(path, "default")


def load(
    file: Path | None, environment: Mapping[str, str], overrides: Mapping[str, Any] | None = None
) -> Loaded:
    """Read everything, once.

    Args:
        file: The TOML file; None looks in the places of `SEARCHED`.
        environment: Of it only `DASTAK__...` and `DASTAK_DATABASE_URL` are read.
        overrides: From the command line, by dotted path; None is not given.

    Raises:
        ConfigError: Something in it cannot be used.
    """
    file = file or next((path for path in SEARCHED if path.is_file()), None)
    chosen: dict[Keys, Given] = {}
    for given in (*_from_file(file), *_from_environment(environment), *_from_command_line(overrides or {})):
        chosen.pop(_twin(given.keys), None)
        chosen[given.keys] = given
    values = {keys: _convert(given) for keys, given in chosen.items()}
    settings = _with_passwords(_build(Settings, values, ()))
    return Loaded(settings, file, {".".join(keys): given.origin for keys, given in chosen.items()})


def read_secret_file(path: Path, *, wanted_by: str) -> str:
    """Return a secret file's text without its last line end.

    Raises:
        ConfigError: It cannot be read, everybody can read it, or it is no short text.
    """
    try:
        if path.stat().st_mode & 0o007:
            raise ConfigError(
                f"{wanted_by}: everybody on this machine may read {path}. Next: chmod 600 {path}, and "
                "replace the secret, since it was open."
            )
        with path.open("rb") as opened:
            octets = opened.read(SECRET_FILE_OCTETS_MAX + 1)
        if len(octets) > SECRET_FILE_OCTETS_MAX:
            raise ConfigError(f"{wanted_by}: {path} is longer than a secret can be.")
        return octets.decode().rstrip("\r\n")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not text"
        raise ConfigError(f"{wanted_by}: {path} cannot be read ({reason}).") from error


def leaf_type(keys: Keys) -> Any:
    """Return the type of a setting, a section's record, or None when there is no such thing."""
    kind: Any = Settings
    for key in keys:
        if is_section(kind):
            kind = {field.name: field.type for field in msgspec.structs.fields(kind)}.get(key)
        elif get_origin(kind) is dict:
            kind = get_args(kind)[1]
        else:
            return None
    return kind


def is_section(kind: Any) -> bool:
    """Return whether a type is a table of the file with fixed keys."""
    return isinstance(kind, type) and issubclass(kind, msgspec.Struct)


def decode(kind: type, value: Any) -> Any:
    """Make what msgspec does not know from what TOML has."""
    if isinstance(value, str) and kind in (Path, Secret):
        return kind(value)
    raise msgspec.ValidationError(f"Expected `str`, got `{type(value).__name__}`")


def _from_file(file: Path | None) -> Iterator[Given]:
    if file is None:
        return
    try:
        tree = tomllib.loads(file.read_text())
    except OSError as error:
        raise ConfigError(f"{file} cannot be read ({error.strerror}). Next: dastak init") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file} is not TOML: {error}.") from error
    yield from _flatten(tree, (), file.name)


def _flatten(table: Mapping[str, Any], above: Keys, origin: str) -> Iterator[Given]:
    for key, value in table.items():
        keys = (*above, key)
        kind = leaf_type(keys)
        if kind is None:
            raise _unknown(keys, origin)
        if is_section(kind) or get_origin(kind) is dict:
            if not isinstance(value, dict):
                raise ConfigError(f"{'.'.join(keys)} in {origin} is a table; write [{'.'.join(keys)}].")
            yield from _flatten(value, keys, origin)
        else:
            yield Given(keys, value, origin)


def _from_environment(environment: Mapping[str, str]) -> Iterator[Given]:
    if DATABASE_URL in environment:
        url, password = database_url.apart(environment[DATABASE_URL])
        origin = f"environment {DATABASE_URL}"
        yield Given(("store", "url"), url, origin, lax=True)
        if password is not None:
            yield Given(("store", "password"), password, origin, lax=True)
    for name in sorted(environment):
        if name.startswith(ENVIRONMENT_PREFIX):
            keys = tuple(name.removeprefix(ENVIRONMENT_PREFIX).lower().split("__"))
            kind = leaf_type(keys)
            if kind is None or is_section(kind) or get_origin(kind) is dict:
                raise _unknown(keys, "the environment")
            yield Given(keys, environment[name], f"environment {name}", lax=True)


def _from_command_line(overrides: Mapping[str, Any]) -> Iterator[Given]:
    for path, value in overrides.items():
        if value is not None:
            yield Given(tuple(path.split(".")), value, "command line")


def _twin(keys: Keys) -> Keys:
    """Return the other way to give the same secret: of `x.password` it is `x.password_file`, and back."""
    *above, last = keys
    return (*above, last.removesuffix("_file") if last.endswith("_file") else f"{last}_file")


def _convert(given: Given) -> Any:
    kind = leaf_type(given.keys)
    # What may be absent is absent when it is empty: compose files set variables to nothing.
    if given.value == "" and type(None) in get_args(kind):
        return None
    try:
        return msgspec.convert(given.value, kind, strict=not given.lax, dec_hook=decode)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{'.'.join(given.keys)} ({given.origin}): {error}.") from error


def _build(kind: Any, values: Mapping[Keys, Any], above: Keys, base: Any = None) -> Any:
    """Make a section's record, and those below it, from the values under its path.

    `base` is the record that holds where nothing is written; None where something must be.
    """
    fields: dict[str, Any] = {}
    for field in msgspec.structs.fields(kind):
        keys = (*above, field.name)
        default = getattr(base, field.name) if base is not None else field.default
        if keys in values:
            fields[field.name] = values[keys]
        elif is_section(field.type):
            fields[field.name] = _build(field.type, values, keys, default)
        elif get_origin(field.type) is dict:
            names = _names(values, keys)
            fields[field.name] = {name: _build_carrier(values, (*keys, name)) for name in names}
        elif default is not msgspec.NODEFAULT:
            fields[field.name] = default
        else:
            raise ConfigError(f"{'.'.join(keys)} is missing.")
    try:
        return kind(**fields)
    except ValueError as error:
        raise ConfigError(f"{'.'.join(above)}: {str(error).rstrip('.')}.") from error


def _with_passwords(settings: Settings) -> Settings:
    """Read the passwords of servers that stand in files of their own."""
    store, limits = settings.store, settings.limits
    if store.password_file is not None:
        clear = Secret(read_secret_file(store.password_file, wanted_by="store.password_file"))
        store = msgspec.structs.replace(store, password=clear)
    if limits.valkey_password_file is not None:
        wanted_by = "limits.valkey_password_file"
        clear = Secret(read_secret_file(limits.valkey_password_file, wanted_by=wanted_by))
        limits = msgspec.structs.replace(limits, valkey_password=clear)
    return msgspec.structs.replace(settings, store=store, limits=limits)


def _names(values: Mapping[Keys, Any], above: Keys) -> list[str]:
    below = len(above)
    return list(dict.fromkeys(keys[below] for keys in values if keys[:below] == above))


def _build_carrier(values: Mapping[Keys, Any], above: Keys) -> CarrierSettings:
    path = ".".join(above)
    if not CARRIER_NAME.fullmatch(above[-1]):
        raise ConfigError(f"{path}: a carrier's name is lower-case letters, digits and single _.")
    carrier: CarrierSettings = _build(CarrierSettings, values, above)
    if carrier.password_file is None:
        return carrier
    clear = read_secret_file(carrier.password_file, wanted_by=f"{path}.password_file")
    return msgspec.structs.replace(carrier, password=Secret(clear))


def _unknown(keys: Keys, origin: str) -> ConfigError:
    """Say which key is unknown and which real one is nearest."""
    known = next((n for n in range(len(keys)) if leaf_type(keys[: n + 1]) is None), len(keys))
    above, wrong = keys[:known], "".join(keys[known : known + 1])
    kind = leaf_type(above)
    siblings = [field.name for field in msgspec.structs.fields(kind)] if is_section(kind) else []
    near = difflib.get_close_matches(wrong, siblings, n=1)
    nearest = (*above, *near) if near else _elsewhere(wrong)
    if nearest:
        shown = _spell(nearest, origin)
        return ConfigError(f"{_spell(keys, origin)} in {origin} is unknown; did you mean `{shown}`?")
    return ConfigError(
        f"{_spell(keys, origin)} in {origin} is unknown; "
        + (f"known here: {', '.join(siblings)}." if siblings else "it is not a table.")
    )


def _elsewhere(wrong: str) -> Keys:
    """Find a key of another section that is spelled like this."""
    paths = {keys[-1]: keys for keys in setting_keys(Settings, ())}
    near = difflib.get_close_matches(wrong, paths, n=1, cutoff=0.8)
    return paths[near[0]] if near else ()


def setting_keys(kind: Any, above: Keys) -> Iterator[Keys]:
    """Yield the path of every setting; a carrier's name is NAME."""
    for field in msgspec.structs.fields(kind):
        keys = (*above, field.name)
        if is_section(field.type):
            yield from setting_keys(field.type, keys)
        elif get_origin(field.type) is dict:
            yield from setting_keys(get_args(field.type)[1], (*keys, "NAME"))
        else:
            yield keys


def _spell(keys: Keys, origin: str) -> str:
    if origin == "the environment":
        return ENVIRONMENT_PREFIX + "__".join(keys).upper()
    return ".".join(keys)
