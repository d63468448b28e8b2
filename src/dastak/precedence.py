"""Have threads run before everything else on this machine, where the operator wants that.

Linux shares a core fairly: who wakes and has had its share waits for the next tick, every 4 ms, however nice
the one is that runs. On a machine with one core that is what a code waits for while passwords are hashed.
A thread of real-time priority waits for none of that.

Source: sched(7), the Linux kernel's documentation of EEVDF.
"""

import os
from contextlib import suppress
from typing import Final

# The least of all real-time priorities. The kernel leaves 5 % of each second to all others.
PRIORITY: Final = 1


def go_first() -> bool:
    """Have this thread go first from now on, and say whether it does; what it starts does not.

    The system allows it with CAP_SYS_NICE, or by a limit on real-time priority of at least 1 (`LimitRTPRIO`).
    """
    try:
        os.sched_setscheduler(0, os.SCHED_RR | os.SCHED_RESET_ON_FORK, os.sched_param(PRIORITY))
    except (AttributeError, OSError):
        return False
    return True


def follow(leader: int) -> None:
    """Have this thread go first if a process does: its own one, or the one that started that."""
    # Where this cannot or may not be asked, nobody goes first.
    with suppress(AttributeError, OSError):
        if os.sched_getscheduler(leader) == os.SCHED_RR | os.SCHED_RESET_ON_FORK:
            go_first()
