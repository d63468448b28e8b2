"""What the machine says of itself: clock, disk, memory and limits, read once."""

import ctypes
import os
import resource
from pathlib import Path
from typing import Final

import msgspec

_STA_UNSYNC: Final = 0x0040
_MEMINFO: Final = Path("/proc/meminfo")
# The limit of a container, in the two places where Linux may keep it.
_MEMORY_LIMITS: Final = (
    Path("/sys/fs/cgroup/memory.max"),
    Path("/sys/fs/cgroup/memory/memory.limit_in_bytes"),
)


class HostFacts(msgspec.Struct, frozen=True, kw_only=True):
    """One look at the machine.

    Attributes:
        clock_synchronised: Whether something disciplines the clock; None when the machine does not say.
        disk_free_octets: Where the database is.
        inodes_free: Where the database is; None for file systems that do not count them.
        files_max: How many files and connections this user's processes may have open.
        memory_octets: What a new process may take; None when the machine does not say.
    """

    clock_synchronised: bool | None
    disk_free_octets: int
    inodes_free: int | None
    files_max: int
    memory_octets: int | None


def look_at_host(folder: Path) -> HostFacts:
    """Ask the machine; `folder` or the nearest one above it that exists says which disk."""
    while not folder.exists():
        folder = folder.parent
    disk = os.statvfs(folder)
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    return HostFacts(
        clock_synchronised=_clock_synchronised(),
        disk_free_octets=disk.f_bavail * disk.f_frsize,
        inodes_free=disk.f_favail if disk.f_files else None,
        files_max=2**31 if soft == resource.RLIM_INFINITY else soft,
        memory_octets=_memory_octets(),
    )


class _Timex(ctypes.Structure):
    """The beginning of `struct timex`; the kernel writes more than is read here."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_byte * 512),
    )


def _clock_synchronised() -> bool | None:
    """Ask the kernel whether a time service disciplines its clock.

    Source: adjtimex(2).
    """
    try:
        adjtimex = ctypes.CDLL(None, use_errno=True).adjtimex
    except (OSError, AttributeError):
        return None
    # With `modes` zero it only reads.
    state = _Timex()
    if adjtimex(ctypes.byref(state)) < 0:
        return None
    return not state.status & _STA_UNSYNC


def _memory_octets() -> int | None:
    known = [int(text) for path in _MEMORY_LIMITS if (text := _text(path).strip()).isdigit()]
    for line in _text(_MEMINFO).splitlines():
        name, _, rest = line.partition(":")
        if name == "MemAvailable":
            known.append(int(rest.split()[0]) * 1024)
    return min(known, default=None)


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
