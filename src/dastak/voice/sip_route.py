"""The way of calls over one SIP trunk: kept reachable by the voice process while the context lasts."""

from collections.abc import Iterable, Mapping
from types import TracebackType
from typing import Self

from dastak.voice.engine.engine_line import EngineLine
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.sip_settings import SipSettings
from dastak.voice.voice_route import TakeReceipt, TakeStep, VoiceRoute


class SipRoute(VoiceRoute):
    """A `VoiceRoute` that is an async context.

    Args:
        name: Of the carrier.
        settings: Of its trunk.
        take_receipt: Told what came of each call.
        take_step: Told what happens in each.
        engine: The voice process; None has one of its own for as long.
    """

    def __init__(
        self,
        name: str,
        settings: SipSettings,
        take_receipt: TakeReceipt,
        *,
        take_step: TakeStep,
        engine: EngineProcess | None = None,
    ) -> None:
        self._trunk = EngineLine(engine or EngineProcess(), settings)
        super().__init__(
            name,
            self._trunk,
            take_receipt=take_receipt,
            take_step=take_step,
            heard_within_s=settings.heard_within_s,
        )

    @property
    def reason(self) -> str:
        """Why it is available or not, in words."""
        return self._trunk.reason

    async def wait_bound(self) -> None:
        """Return as soon as the trunk can be reached."""
        await self._trunk.wait_open()

    @property
    def in_flight(self) -> int:
        """How many calls are under way."""
        return self._trunk.in_flight

    @property
    def junk(self) -> Mapping[str, int]:
        """How many messages at its SIP port were thrown away without an answer, by reason."""
        return self._trunk.junk

    async def __aenter__(self) -> Self:
        """Begin to reach the trunk."""
        await self._trunk.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Hang up what is under way, and close."""
        await self._trunk.__aexit__(kind, error, trace)


def sip_junk(entries: Iterable[tuple[object, object]]) -> dict[tuple[str, ...], float]:
    """Return how much junk came to the port of each SIP route, by reason, of carriers with their routes."""
    routes = (route for _, route in entries if isinstance(route, SipRoute))
    return {(route.name, why): float(count) for route in routes for why, count in route.junk.items()}
