"""Whether the machine has what the service needs."""

from typing import Final

from dastak.api.door import DESCRIPTORS_RESERVED
from dastak.commands.checks.diagnosis import Check, Fault, Scene, in_a_file

MIB: Final = 1024 * 1024
# The write-ahead log may grow to 25,000 pages of 4 KiB before it is folded back (store/sqlite_file.py).
LOG_OCTETS: Final = 25_000 * 4096
# The database, its log, their copies and the files beside them are a dozen; leave room for a few backups.
INODES_MIN: Final = 100
# Three connections keep 64 MiB of pages each (store/sqlite_file.py); the idle program takes 50 (measured).
MEMORY_OCTETS_MIN: Final = (3 * 64 + 50) * MIB
# From the second on, codes of TOTP and the order of receipts suffer (security facts, S-104).
CLOCK_BACK_S_MAX: Final = 2.0


def clock(scene: Scene) -> Fault | None:
    """Find a clock that goes wrong or went back."""
    if scene.latest_at is not None:
        back_s = (scene.latest_at - scene.now).total_seconds()
        if back_s > CLOCK_BACK_S_MAX:
            what = f"the clock is {back_s:.0f} s behind the newest instant in the database"
            return Fault(what, "timedatectl set-ntp true")
    if scene.host.clock_synchronised is False:
        what = "the kernel says that nothing keeps its clock right"
        return Fault(what, "timedatectl set-ntp true", warning=True)
    return None


def disk(scene: Scene) -> Fault | None:
    """Find a disk without room for the log and one copy of the database."""
    size = scene.database.stat().st_size if scene.database.exists() else 0
    needed = size + LOG_OCTETS
    free = scene.host.disk_free_octets
    folder = scene.database.parent
    if free < needed:
        what = f"{folder} has {free // MIB} MiB free; the log and one copy need {needed // MIB} MiB"
        return Fault(what, f"df -h {folder}")
    if scene.host.inodes_free is not None and scene.host.inodes_free < INODES_MIN:
        return Fault(f"{folder} has only {scene.host.inodes_free} inodes free", f"df -i {folder}")
    return None


def open_files(scene: Scene) -> Fault | None:
    """Find a limit on open files below the connections that are allowed."""
    needed = scene.settings.server.door.connections_max + DESCRIPTORS_RESERVED
    limit = scene.host.files_max
    if limit >= needed:
        return None
    what = f"{limit} files may be open; server.door.connections_max and the rest need {needed}"
    return Fault(what, f"ulimit -n {needed}  (systemd: LimitNOFILE={needed})", warning=True)


def memory(scene: Scene) -> Fault | None:
    """Find too little memory."""
    available = scene.host.memory_octets
    if available is None or available >= MEMORY_OCTETS_MIN:
        return None
    what = (
        f"{available // MIB} MiB of memory are free; caches and program take {MEMORY_OCTETS_MIN // MIB} MiB"
    )
    return Fault(what, "free -m", warning=True)


CHECKS: Final = (
    Check(
        "host.clock",
        "the clock is right",
        "codes would live too long or too short, and receipts stand in the wrong order",
        clock,
    ),
    Check(
        "host.disk",
        "the disk has room for the log and a copy of the database",
        "on a full disk every start is refused with 503, and no upgrade can make its copy",
        disk,
        applies=in_a_file,
    ),
    Check(
        "host.open_files",
        "as many files may be open as connections are allowed",
        "customers are turned away with `too_many_connections` earlier than the settings say",
        open_files,
    ),
    Check(
        "host.memory",
        "there is enough memory",
        "the system may end the process in the middle of the day",
        memory,
    ),
)
