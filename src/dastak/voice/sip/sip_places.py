"""The places of one trunk: found by its name when they are needed, and followed for as long as that holds."""

import asyncio
from collections.abc import Callable
from contextlib import suppress
from typing import Final

from dastak.voice.sip.sip_message import Address
from dastak.voice.sip.sip_names import FOREVER, Names
from dastak.voice.sip.sip_sockets import LineSettings, TrunkUnreachable
from dastak.voice.sip.sip_targets import Targets

# When a name could not be looked up again; until then what is known stays.
AGAIN_S: Final = 30.0


class Places:
    """The targets of a trunk, kept as its name says.

    Args:
        settings: Of the line.
        follow: Told when the name was looked up anew.

    Attributes:
        targets: What is known; empty until `find`.
    """

    def __init__(self, settings: LineSettings, follow: Callable[[], None]) -> None:
        self.targets = Targets()
        self._settings, self._follow = settings, follow
        self._names = Names(settings.name_server)
        self._keeping: asyncio.Task[None] | None = None

    async def find(self) -> None:
        """Know at least one place; where that is so already this does nothing. Raises: TrunkUnreachable."""
        if self.targets.addresses:
            return
        ttl_s = await self._find()
        if ttl_s < FOREVER:
            self._keeping = asyncio.get_running_loop().create_task(self._keep(ttl_s))

    async def look_up(self, host: str, port: int) -> Address:
        """Return where another host is, that the trunk named. Raises: TrunkUnreachable."""
        found = await self._names.find(host, port, self._settings.trunk.transport)
        return found.addresses[0]

    async def stop(self) -> None:
        """Follow the name no more; twice is fine."""
        if self._keeping is not None:
            self._keeping.cancel()
            with suppress(asyncio.CancelledError):
                await self._keeping

    async def _find(self) -> float:
        wanted = self._settings
        found = await self._names.find(wanted.host, wanted.port, wanted.trunk.transport)
        self.targets.replace(found.addresses)
        return found.ttl_s

    async def _keep(self, ttl_s: float) -> None:
        while True:
            await asyncio.sleep(ttl_s)
            try:
                ttl_s = await self._find()
            except TrunkUnreachable:
                ttl_s = AGAIN_S
            else:
                self._follow()
