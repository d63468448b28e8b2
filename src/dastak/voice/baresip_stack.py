"""The one runtime of the library baresip-python in this process, shared by all trunks that go by it.

1. The library keeps its state for the whole process, so that addresses and ports are those of all its trunks.
2. It is started for the first trunk and closed with the last.
3. What it logs may hold numbers, so that nothing of it reaches our log.
"""

import asyncio
import logging
from importlib.util import find_spec
from typing import Any, Final, NamedTuple

log = logging.getLogger("dastak.trunk")


class BaresipTrouble(Exception):  # noqa: N818 - what it is
    """The library cannot be used now; the text says why."""


class StackPlace(NamedTuple):
    """Where the runtime is heard.

    Attributes:
        address: Our own one, in digits; empty lets the library choose.
        rtp_ports: The first and the last one for sound.
    """

    address: str
    rtp_ports: tuple[int, int]


def baresip_installed() -> bool:
    """Say whether the extra `voice-baresip` is there."""
    return find_spec("baresip") is not None


class BaresipStack:
    """The runtime and who uses it.

    Attributes:
        died: Whether its thread ended by itself; the library cannot be started again in this process.
    """

    def __init__(self) -> None:
        self._runtime: Any = None
        self._place: StackPlace | None = None
        self._users = 0
        self._turn = asyncio.Lock()
        self.died = asyncio.Event()

    async def join(self, place: StackPlace) -> Any:
        """Return the runtime, started if this is its first trunk.

        Raises:
            BaresipTrouble: It cannot be started, or is heard elsewhere for another trunk.
        """
        import baresip  # noqa: PLC0415 - an extra, and large

        async with self._turn:
            if self._users and place != self._place:
                raise BaresipTrouble(
                    "trunks with adapter = baresip share one stack: give them one media_host and rtp_ports"
                )
            if not self._users:
                logging.getLogger("baresip").propagate = False
                runtime = baresip.Runtime()
                runtime.on_dead = self.died.set
                first, last = place.rtp_ports
                config = baresip.Config(
                    net_interface=place.address or None,
                    max_concurrent_calls=None,
                    native_log_level="error",
                    extra_config_text=f"rtp_ports {first}-{last}\n"
                    + (f"sip_listen {place.address}:0\n" if place.address else ""),
                )
                try:
                    await runtime.start(config)
                except baresip.BaresipError as error:
                    raise BaresipTrouble(f"baresip could not be started: {error}") from error
                self._runtime, self._place = runtime, place
            self._users += 1
            return self._runtime

    async def leave(self) -> None:
        """Let go of it; the last one closes it."""
        import baresip  # noqa: PLC0415 - as above

        async with self._turn:
            self._users -= 1
            if self._users:
                return
            runtime, self._runtime = self._runtime, None
            try:
                await runtime.close()
            except baresip.BaresipError as error:
                log.error("baresip was not closed in order: %s", error)


# The library allows one in a process, and so do we.
BARESIP_STACK: Final = BaresipStack()
