"""What a check is given, and what it says."""

from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path
from types import MappingProxyType
from typing import NamedTuple

import msgspec

from dastak.app_store import sqlite_file_of
from dastak.commands.checks.host_facts import HostFacts
from dastak.commands.checks.server_facts import ServerFacts
from dastak.config import Settings
from dastak.config_read import Loaded
from dastak.core.carrier import Carrier
from dastak.core.ports import Tenancy


class Fault(NamedTuple):
    """Something that is wrong.

    Attributes:
        what: Names the thing.
        command: Mends it, or is the first step to it.
        warning: It works, but not as it should.
        mend: Does what is safe to do unasked; `--fix` calls it.
    """

    what: str
    command: str
    warning: bool = False
    mend: Callable[[], object] | None = None


class Scene(msgspec.Struct, frozen=True, kw_only=True):
    """One installation on one machine at one moment.

    Attributes:
        loaded: Its settings.
        tenancy: Its tenants, services and keys; None while its database cannot be read.
        stored: The carriers in its database that are not off.
        latest_at: The newest instant its database knows.
        due_at: When the message that waits longest was due.
        key_marks: Of the keys that its database was used with.
        server: Its PostgreSQL server; None where the database is a file.
    """

    loaded: Loaded
    host: HostFacts
    now: datetime
    tenancy: Tenancy | None = None
    stored: tuple[Carrier, ...] = ()
    latest_at: datetime | None = None
    due_at: datetime | None = None
    key_marks: Mapping[int, bytes] = MappingProxyType({})
    server: ServerFacts | None = None

    @property
    def settings(self) -> Settings:
        """The settings."""
        return self.loaded.settings

    @property
    def in_a_file(self) -> bool:
        """Whether the database is a file."""
        return self.server is None

    @property
    def database(self) -> Path:
        """The file of the database, where it is one."""
        return sqlite_file_of(self.settings)

    @property
    def has_carriers(self) -> bool:
        """Whether any carrier is used, of the settings file or of the database."""
        return bool(self.settings.carriers or self.stored)


def always(_: Scene) -> bool:
    """Apply everywhere."""
    return True


def in_a_file(scene: Scene) -> bool:
    """Apply where the database is a file."""
    return scene.in_a_file


def database_read(scene: Scene) -> bool:
    """Apply where the database could be read."""
    return scene.tenancy is not None


class Check(NamedTuple):
    """One row of the doctor's table.

    Attributes:
        name: Stable, for scripts.
        title: What is well when it passes.
        why: What happens to whom when it does not.
        run: Returns what is wrong, or None.
        applies: Whether there is something to look at; else it is skipped.
    """

    name: str
    title: str
    why: str
    run: Callable[[Scene], Fault | None]
    applies: Callable[[Scene], bool] = always
