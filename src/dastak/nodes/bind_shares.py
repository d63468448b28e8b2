"""Hold this node's share of every carrier's binds, and know which node holds the others.

1. A bind is opened after its slot was taken, and its slot given back after it was closed: over all nodes a
   carrier never sees more binds than it allows.
2. What this node holds is what it took and has not given back, whatever an older look at the database says.
   A slot that it took or gave back without hearing the answer it gives back, and takes it anew.
3. Who is lost closes all binds at once. Their slots stay its own as long as the others let it live, and none
   of them is bound again before that.
"""

import asyncio
import logging
from collections.abc import Callable, Collection, Sequence
from types import TracebackType
from typing import Self

from dastak.core.carrier import Carrier
from dastak.core.errors import DastakError
from dastak.core.node import Beat, NodeStore, does, fair_share
from dastak.core.way_out import Route
from dastak.nodes.away_route import AwayRoute
from dastak.nodes.queues_elsewhere import senders
from dastak.sms.esme import OVER_S_MAX
from dastak.sms.smpp_route import SmppRoute

log = logging.getLogger("dastak.nodes")


class BindShares:
    """The binds of this node, as an async context.

    Args:
        store: Where it is written down who holds which.
        entries: Returns every open route with its carrier.
    """

    def __init__(self, store: NodeStore, entries: Callable[[], Sequence[tuple[Carrier, Route]]]) -> None:
        self._store, self._entries = store, entries
        self._number = 0
        self._held: dict[str, set[int]] = {}
        # Since when carriers are not used any more: their binds are closing.
        self._unused: dict[str, float] = {}
        self._beat: Beat | None = None
        self._news = asyncio.Event()
        self._doing: asyncio.Task[None] | None = None
        self._letting_go: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Begin to follow the beats."""
        self._doing = asyncio.get_running_loop().create_task(self._go_on())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Follow no more beats, and close all binds."""
        self._beat = None
        if self._doing is not None:
            self._doing.cancel()
            await asyncio.gather(self._doing, return_exceptions=True)
        await asyncio.gather(*(route.hold(()) for route in self._routes()), *self._letting_go)

    def up(self) -> Collection[str]:
        """Return the carriers that this node is bound to."""
        return [route.name for route in self._routes() if route.bound]

    def slots(self) -> int:
        """Return how many binds this node holds."""
        return sum(len(held) for held in self._held.values())

    def on_beat(self, beat: Beat) -> None:
        """Take over who lives now and what they hold."""
        self._beat = beat
        if self._number != self._store.number:
            self._number = self._store.number
            self._held.clear()
        for carrier, route in self._entries():
            if isinstance(route, SmppRoute | AwayRoute):
                route.elsewhere = self._sender(carrier, beat)
        self._news.set()

    def on_lost(self) -> None:
        """Close all binds at once; what is on its way may end."""
        self._beat = None
        for route in self._routes():
            task = asyncio.get_running_loop().create_task(route.hold(()))
            self._letting_go.add(task)
            task.add_done_callback(self._letting_go.discard)

    def _routes(self) -> list[SmppRoute]:
        return [route for _, route in self._entries() if isinstance(route, SmppRoute)]

    def _sender(self, carrier: Carrier, beat: Beat) -> int:
        """Return another node that can send by a carrier now; 0 if none can."""
        others = sorted(set(senders(carrier, beat)) - {self._number})
        # Each node begins with another one, so that not all pass to the same.
        return others[self._number % len(others)] if others else 0

    async def _go_on(self) -> None:
        while True:
            await self._news.wait()
            self._news.clear()
            if self._beat is not None:
                await self._give_back_unknown(self._beat)
            if self._beat is not None:
                await asyncio.gather(*(self._share(route, self._beat) for route in self._routes()))
                await self._give_up_unused()

    async def _give_back_unknown(self, beat: Beat) -> None:
        """Give back the slots that are written down as this node's though it does not hold them."""
        unknown: dict[str, set[int]] = {}
        for slot in beat.slots:
            if slot.node == self._number and slot.slot not in self._held.get(slot.carrier, ()):
                unknown.setdefault(slot.carrier, set()).add(slot.slot)
        for name, slots in unknown.items():
            await self._release(name, slots)

    async def _share(self, route: SmppRoute, beat: Beat) -> None:
        """Take or give back slots of a carrier until this node holds its share, and have just those bound."""
        await self._let_go()
        held, number = self._held.setdefault(route.name, set()), self._number
        binders = [node.n for node in beat.nodes if does(node.roles).binds]
        share = fair_share(route.name, route.allowance, binders, number)
        allowed = sorted(slot for slot in held if slot < route.allowance)[:share]
        surplus = held - set(allowed)
        try:
            if surplus:
                await route.hold(allowed)
                held -= surplus
                await self._store.release(route.name, surplus)
            if len(held) < share:
                got = await self._store.claim(route.name, route.allowance, share - len(held))
                if number != self._store.number:
                    await self._store.release(route.name, got)
                    return
                held |= set(got)
        except DastakError as error:
            log.warning("binds of carrier %s are not shared: %s", route.name, error.detail)
            return
        await self._let_go()
        # Much may have happened meanwhile.
        if self._beat is not None and number == self._store.number and route.held != held:
            await route.hold(frozenset(held))

    async def _let_go(self) -> None:
        """Wait until what was closed when this node was lost is closed: a carrier sees no bind twice."""
        while self._letting_go:
            await asyncio.wait(self._letting_go)

    async def _give_up_unused(self) -> None:
        """Give back the slots of carriers that are not used any more, when their binds must be closed."""
        now = asyncio.get_running_loop().time()
        unused = self._held.keys() - {route.name for route in self._routes()}
        self._unused = {name: self._unused.get(name, now) for name in unused}
        for name in [name for name, since in self._unused.items() if now - since >= OVER_S_MAX]:
            await self._release(name, self._held.pop(name, set()))

    async def _release(self, name: str, slots: Collection[int]) -> None:
        """Give back slots that this node does not hold any more; what is not done is seen at a later beat."""
        try:
            await self._store.release(name, slots)
        except DastakError as error:
            log.warning("slots of carrier %s are not given back: %s", name, error.detail)
