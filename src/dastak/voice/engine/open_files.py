"""Raises how many files the voice process may open to what its calls need, or says clearly that it cannot."""

import logging
from typing import Final

try:
    import resource
except ImportError:  # not on Windows, which has no such limit
    resource = None  # type: ignore[assignment]

# Sound and its reports.
SOCKETS_A_CALL: Final = 2
# Signalling, the socket to the main program, logs, and what Python opens.
OTHER_FILES: Final = 64

log = logging.getLogger("dastak.voice")


class FileLimit:
    """The limit of this process."""

    def __init__(self) -> None:
        self._warned = 0

    def want_calls(self, calls: int) -> None:
        """Have room for so many calls at one time, as far as the system lets us."""
        if resource is None:
            return
        wanted = SOCKETS_A_CALL * calls + OTHER_FILES
        soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
        if soft == resource.RLIM_INFINITY or soft >= wanted:
            return
        most = wanted if hard == resource.RLIM_INFINITY else min(hard, wanted)
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))
        if most < wanted and calls > self._warned:
            self._warned = calls
            log.warning(
                "%d calls at once need %d open files and the system allows %d, so at most %d can speak; "
                "raise LimitNOFILE of the service, or lower calls_max",
                calls, wanted, most, max(0, most - OTHER_FILES) // SOCKETS_A_CALL,
            )  # fmt: skip
