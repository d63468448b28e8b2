"""The processes that a process has started, as the kernel tells them."""

from pathlib import Path


def children(pid: int) -> list[int]:
    """Return the ids of a process's living children."""
    tasks = Path(f"/proc/{pid}/task").glob("*/children")
    return sorted(int(child) for task in tasks for child in task.read_text().split())


def voice_processes(pid: int) -> list[int]:
    """Return those children of a program that speak calls; others read names of brands for a moment."""
    return [child for child in children(pid) if "dastak.voice_process" in command_line(child)]


def lives(pid: int) -> bool:
    """Say whether a process is there and has not ended."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def command_line(pid: int) -> list[str]:
    """Return the arguments it was started with; none when it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().rstrip("\0").split("\0")
    except FileNotFoundError:
        return []


def environment(pid: int) -> str:
    """Return the environment it was started with."""
    return Path(f"/proc/{pid}/environ").read_text()
