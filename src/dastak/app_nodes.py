"""Wire what nodes on one database share: who lives, who holds which binds, who has which message in hand."""

import random
import socket
from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import partial
from typing import Any, Final

from dastak.app_stop import LEFT_BY_S, MESSAGES_BY_S, StopStack
from dastak.carriers.fleet import Fleet
from dastak.carriers.outages import Outages
from dastak.config import ConfigError, Settings
from dastak.core.message import Message
from dastak.core.node import Beat, Does, Lease, NodeStore, Role, does, for_others, in_hand, read_roles
from dastak.core.ports import Ports
from dastak.core.verification import Verification
from dastak.core.way_out import Queue, Route
from dastak.delivery.routing import RouteTable
from dastak.delivery.time_to_leave import TimeToLeave, waits
from dastak.flows.settle import Settlement
from dastak.flows.worker import Worker, every
from dastak.nodes.bind_shares import BindShares
from dastak.nodes.pulse import Pulse
from dastak.nodes.queues_elsewhere import is_away, queues_elsewhere
from dastak.telemetry.metrics import Metrics

# A receipt may come to another node than the answer to its submit, and overtake it.
EARLY_EVERY_S: Final = 1.0


class Among:
    """This node among the others.

    Args:
        settings: As read at start.
        store: Where nodes are written down.

    Raises:
        ConfigError: That is no role, or the database has one process only and this one shall not do all.

    Attributes:
        work: What this node does.
        worker: What sends here.
        living: How many nodes lived at the last beat, this one too.
    """

    def __init__(self, settings: Settings, store: NodeStore) -> None:
        self._store = store
        try:
            self._roles = read_roles(settings.server.role)
        except ValueError as error:
            raise ConfigError(f"server.role: {error}.") from error
        if store.alone and self._roles != (Role.ALL,):
            raise ConfigError(
                f"server.role: {settings.server.role!r} shares the work with others, which needs PostgreSQL. "
                "Next: export DASTAK_DATABASE_URL=postgresql://USER@HOST/NAME, or leave the role out"
            )
        self._name = f"{socket.gethostname()} {settings.server.listen}"
        self._shares: BindShares | None = None
        self.worker = Worker(retention=timedelta(days=settings.store.retention_days))
        self._elsewhere: Mapping[str, Queue] = {}
        self.work = does(self._roles)
        self.living = 1
        self._lost = False

    @property
    def shared(self) -> Does | None:
        """What this node does of the work that nodes share; None where there can be no other."""
        return None if self._store.alone else self.work

    def lease(self, now: datetime) -> Lease:
        """See `Ports.lease`. A lost node takes nothing in hand: it may be dead to the others."""
        takes = self.work.sends and not self._lost
        return in_hand(now, self._store.number) if takes else for_others(now)

    def hand_over(self, verification: Verification, message: Message) -> None:
        """See `Ports.hand_over`. What is not in the hands of this node now, whoever lives finds.

        A lost node sends nothing, for another may have it by then: it waits until it is heard again.
        """
        if message.owner != self._store.number:
            return
        if self._lost:
            self.worker.look_for(message)
        else:
            self.worker.hand_over(verification, message)

    def slots(self) -> int:
        """Return how many binds this node holds of those that nodes share."""
        return 0 if self._shares is None else self._shares.slots()

    def queue_of(self, route: Route) -> Queue | None:
        """Return who waits for a route, here or where its messages go from here; None is nobody."""
        here = self.worker.queue_of(route.name)
        if here is not None or (self.work.sends and not is_away(route)):
            return here
        return self._elsewhere.get(route.name)

    def time_to_leave(self, settings: Settings, table: RouteTable, outages: Outages) -> TimeToLeave:
        """Make what refuses what could not leave in time."""
        self._time_to_leave = TimeToLeave(
            table,
            queue_of=self.queue_of,
            down_s=outages.down_s,
            share=settings.routing.wait_share,
            chance=random.random,
        )
        return self._time_to_leave

    def watch(self, metrics: Metrics) -> None:
        """Have the figures of nodes and of who waits here read."""
        metrics.watch("dastak_binds_held", self.slots)
        metrics.watch("dastak_nodes_living", lambda: self.living)
        metrics.watch_each("dastak_lane_wait_seconds", lambda: waits(self.worker.queues()))
        metrics.watch_each("dastak_starts_too_late", self._time_to_leave.counts)

    def told(self) -> dict[str, Any]:
        """Return what its operator shall see."""
        return {
            "number": self._store.number,
            "roles": self._roles,
            "living": self.living,
            "slots": self.slots(),
        }

    async def join(self, stack: StopStack, fleet: Fleet) -> None:
        """Live from now on; the stack has it leave when all routes are closed."""
        shares = self._shares = BindShares(self._store, lambda: fleet.entries)

        def on_beat(beat: Beat) -> None:
            self._lost = False
            self.living = max(1, len(beat.nodes))
            carriers = [carrier for carrier, _ in fleet.entries]
            self._elsewhere = queues_elsewhere(carriers, beat, self._store.number)
            shares.on_beat(beat)

        def on_lost() -> None:
            self._lost = True
            self.worker.let_go()
            shares.on_lost()

        pulse = Pulse(
            self._store,
            name=self._name,
            roles=self._roles,
            up=shares.up,
            queues=self.worker.queues,
            on_beat=on_beat,
            on_lost=on_lost,
        )
        stack.by_s = LEFT_BY_S
        await stack.enter_async_context(pulse)

    async def set_to_work(self, stack: StopStack, ports: Ports, settlement: Settlement) -> None:
        """Take this node's share of the binds and of what is due."""
        if not self._store.alone:
            assert self._shares is not None
            await stack.enter_async_context(self._shares)
            await stack.enter_async_context(every(EARLY_EVERY_S, partial(settlement.look_again, ports)))
        stack.by_s = MESSAGES_BY_S
        if self.work.sends:
            await (await stack.enter_async_context(self.worker)).run(ports)
            await self._store.listen(self.worker.look_now)
