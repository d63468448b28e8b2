"""End the program when memory is refused to it, so that its service manager starts it anew.

What such an error interrupted is in no known state: a transaction that is not rolled back, a lock that is not
given back, a library in C that did not look. A kill at any moment is a state that Dastak is made for.
"""

import logging
import os
from typing import Final

# EX_OSERR of sysexits.h. systemd starts again what ends with it.
EXIT_STATUS: Final = 71
LAST_WORDS: Final = (
    b'{"level": "critical", "logger": "dastak", "message": "no memory: it ends, to start anew"}\n'
)


def end_without_memory() -> None:
    """From now on the first record of a MemoryError in any log ends this process."""
    for handler in logging.getLogger().handlers:
        handler.addFilter(_look)


def _look(record: logging.LogRecord) -> bool:
    """See each record before it is written, which itself takes memory."""
    told = record.exc_info
    if told and told[0] is not None and issubclass(told[0], MemoryError):
        os.write(2, LAST_WORDS)
        os._exit(EXIT_STATUS)
    return True
