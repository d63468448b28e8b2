"""Whether the server in which all nodes count together answers, and soon enough to be asked."""

import asyncio
import time
from typing import Final

from dastak.commands.checks.diagnosis import Check, Fault, Scene
from dastak.core.errors import Conflict
from dastak.guard.shared_counts import ANSWER_S_MAX, client_of

LOOKS: Final = 5


def is_shared(scene: Scene) -> bool:
    """Apply where counts are shared."""
    return scene.settings.limits.valkey_url is not None


def shared(scene: Scene) -> Fault | None:
    """Find a server that does not answer, or answers later than anybody waits."""
    wanted = scene.settings.limits
    assert wanted.valkey_url is not None
    password = None if wanted.valkey_password is None else wanted.valkey_password.reveal()
    show = "dastak config show --origin  (compare limits.valkey_url and its password)"
    try:
        took_s = asyncio.run(_look(wanted.valkey_url, password))
    except Conflict as error:
        what, _, command = error.detail.partition(" Next: ")
        return Fault(what, command)
    except Exception as error:  # whatever its client raises, this is what it is about
        return Fault(f"the server of the shared counts does not answer: {type(error).__name__}", show)
    if took_s <= ANSWER_S_MAX:
        return None
    took_ms, most_ms = took_s * 1000, ANSWER_S_MAX * 1000
    what = f"the server of the shared counts takes {took_ms:.0f} ms; a node waits {most_ms:.0f}"
    return Fault(what, f"redis-cli -u '{wanted.valkey_url}' --latency", warning=True)


async def _look(url: str, password: str | None) -> float:
    """Return how long the quickest of some answers took."""
    client = client_of(url, password)
    try:
        taken = []
        for _ in range(LOOKS):
            began = time.perf_counter()
            await client.ping()
            taken.append(time.perf_counter() - began)
        return min(taken)
    finally:
        await client.aclose()


CHECKS: Final = (
    Check(
        "limits.shared",
        "the server in which all nodes count together answers in time",
        "each node limits those who ask by itself, at its share of the rates",
        shared,
        applies=is_shared,
    ),
)
