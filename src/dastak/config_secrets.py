"""The key file: the random keys that codes are derived with, outside the database and readable by one user.

A key is never taken out while a code made with it can still live, so rotation only adds.
"""

import logging
import os
import secrets
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import msgspec

from dastak.config import ConfigError, Settings, is_placeholder
from dastak.config_read import read_secret_file
from dastak.core.codes import KeyRing

KEY_OCTETS: Final = 32
SECRET_MODE: Final = 0o600
NEXT_OTHER_KEYS: Final = "copy the key file of another node, or of your safe; docs/how-to/rotate-keys.md"

log = logging.getLogger("dastak.secrets")


class KeyFile(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The file as it stands: which key is used now, and all keys in hexadecimal."""

    current: int
    keys: dict[int, str]

    def __repr__(self) -> str:
        return f"KeyFile(current={self.current})"


def read_keys(settings: Settings) -> KeyRing:
    """Return the keys of an installation.

    Raises:
        ConfigError: There is no key file, others may read it, or a key in it is short or not random.
    """
    file = settings.secrets.file
    if file is None:
        raise ConfigError("secrets.file is not set; codes need a key. Next: dastak init")
    kept = _read(file)
    try:
        keys = {number: bytes.fromhex(key) for number, key in kept.keys.items()}
        return KeyRing(current=kept.current, keys=keys)
    except ValueError as error:
        # `fromhex` says where, never what.
        raise ConfigError(f"secrets.file: {file}: {error} Next: rm {file} && dastak init") from error


def refuse_other_keys(settings: Settings, ring: KeyRing, known: Mapping[int, bytes]) -> None:
    """Refuse a key file that this database was not used with: to its node every code would be wrong.

    Args:
        settings: Name the file.
        ring: Its keys.
        known: The marks of the keys that the database was used with.

    Raises:
        ConfigError: A key of the file is another one than the key of that number.
    """
    for key_id, mark in ring.marks().items():
        if known.get(key_id, mark) != mark:
            raise ConfigError(
                f"secrets.file: key {key_id} of {settings.secrets.file} is not the key {key_id} that this"
                f" database was used with. Next: {NEXT_OTHER_KEYS}"
            )


def lacking_keys(settings: Settings, ring: KeyRing, known: Mapping[int, bytes]) -> str:
    """Say which keys that a database was used with a file lacks; nothing where it has all of them."""
    lacking = ", ".join(str(key_id) for key_id in sorted(known.keys() - ring.keys.keys()))
    return f"{settings.secrets.file} lacks key {lacking} of this database" if lacking else ""


def warn_of_lacking_keys(settings: Settings, ring: KeyRing, known: Mapping[int, bytes]) -> None:
    """Tell the log of them: the file may be on its way to this node, after which it starts again."""
    if lacking := lacking_keys(settings, ring, known):
        log.warning("%s. Next: %s", lacking, NEXT_OTHER_KEYS)


def check_carrier_secrets(settings: Settings) -> None:
    """Refuse a carrier whose password is missing or a placeholder, or whose private key is open to everybody.

    Raises:
        ConfigError: The first such carrier.
    """
    for name, carrier in settings.carriers.items():
        path = f"carriers.{name}"
        if carrier.password is None:
            raise ConfigError(
                f"{path}.password is not set. Next: export DASTAK__CARRIERS__{name.upper()}__PASSWORD=..."
            )
        if is_placeholder(carrier.password.reveal()):
            raise ConfigError(f"{path}.password is a placeholder; write the one the carrier gave you.")
        if carrier.tls.key_file is not None:
            read_secret_file(carrier.tls.key_file, wanted_by=f"{path}.tls.key_file")


def make_key_file(file: Path) -> None:
    """Write a new key file, for its owner only.

    Raises:
        ConfigError: There is one already; without it no code on its way could be checked.
    """
    if file.exists():
        raise ConfigError(f"{file} exists and is not overwritten. Next: dastak secrets rotate")
    _write(file, KeyFile(1, {1: secrets.token_hex(KEY_OCTETS)}))


def add_key(file: Path) -> int:
    """Add a key and return its number; nothing is made with it yet.

    Raises:
        ConfigError: The file cannot be used as it is.
    """
    kept = _read(file)
    number = max(kept.keys, default=0) + 1
    _write(file, KeyFile(kept.current, {**kept.keys, number: secrets.token_hex(KEY_OCTETS)}))
    return number


def use_key(file: Path, number: int) -> None:
    """Have everything new be made with a key of the file; the other ones stay.

    Raises:
        ConfigError: The file cannot be used as it is, or has no such key.
    """
    kept = _read(file)
    if number not in kept.keys:
        there = ", ".join(map(str, sorted(kept.keys)))
        raise ConfigError(f"{file} has no key {number}, but {there}. Next: copy the file that has it")
    _write(file, KeyFile(number, kept.keys))


def write_private(file: Path, text: str) -> None:
    """Replace a file by one that only its owner can read; a crash leaves the old one or the new one."""
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = file.with_name(f".{file.name}.{os.getpid()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, SECRET_MODE)
    try:
        with os.fdopen(descriptor, "w") as opened:
            opened.write(text)
            opened.flush()
            os.fsync(opened.fileno())
        beside.replace(file)
    except OSError:
        beside.unlink(missing_ok=True)
        raise


def _read(file: Path) -> KeyFile:
    text = read_secret_file(file, wanted_by="secrets.file")
    try:
        return msgspec.json.decode(text, type=KeyFile)
    except msgspec.DecodeError as error:
        # The error's own words could repeat a piece of a key.
        raise ConfigError(f"secrets.file: {file} is no key file. Next: dastak init") from error


def _write(file: Path, kept: KeyFile) -> None:
    write_private(file, msgspec.json.format(msgspec.json.encode(kept), indent=2).decode() + "\n")
