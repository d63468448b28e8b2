"""How much slower one core is while the other one works: two cores of a cloud machine may be one."""

import os
import subprocess
import sys
import timeit

from bench.processes import LOAD_CORE, SERVER_CORE

WORK = "{str(n): (n, [n]) for n in range(1000)}"
BUSY = f"while True: {WORK}"
BEST_OF = 30


def slowdown() -> float:
    """Return how many times as long the same Python takes; 1 is not at all."""
    mine = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {SERVER_CORE})
    try:
        alone_s = min(timeit.repeat(WORK, number=50, repeat=BEST_OF))
        with subprocess.Popen([sys.executable, "-c", BUSY]) as neighbour:
            os.sched_setaffinity(neighbour.pid, {LOAD_CORE})
            try:
                together_s = min(timeit.repeat(WORK, number=50, repeat=BEST_OF))
            finally:
                neighbour.kill()
    finally:
        os.sched_setaffinity(0, mine)
    return together_s / alone_s
