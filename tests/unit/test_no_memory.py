"""The first record of a MemoryError ends the program, whoever writes it; other records do not."""

import subprocess
import sys

import pytest

from dastak.telemetry.no_memory import EXIT_STATUS

PROGRAM = """
import asyncio, logging
from dastak.telemetry.logs import setup_logs
from dastak.telemetry.no_memory import end_without_memory

async def main():
    async def fail():
        raise {error}
    if {in_task}:
        asyncio.get_running_loop().create_task(fail())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    else:
        try:
            await fail()
        except Exception:
            logging.getLogger("dastak.edge").exception("a request could not be answered")

setup_logs("info", "json")
end_without_memory()
asyncio.run(main())
print("goes on")
"""


@pytest.mark.parametrize(
    ("error", "in_task", "ends"),
    [
        ("MemoryError", False, True),
        ("MemoryError", True, True),
        ("ValueError", False, False),
        ("ValueError", True, False),
    ],
)
def test_program_ends_with_the_first_record_of_a_memory_error(error: str, in_task: bool, ends: bool) -> None:
    program = PROGRAM.format(error=error, in_task=in_task)
    ended = subprocess.run(
        [sys.executable, "-c", program],
        capture_output=True,
        text=True,
        check=False,
        timeout=20,
    )

    assert (ended.returncode, ended.stdout) == ((EXIT_STATUS, "") if ends else (0, "goes on\n"))
    assert ("no memory: it ends" in ended.stderr) is ends
