"""Wire the limits on those who ask: what each node counts, what all share, and what the database judges."""

import hmac
from contextlib import AsyncExitStack
from datetime import timedelta
from typing import Final, NamedTuple

from dastak.config import Settings
from dastak.core.call_report import COOLING
from dastak.core.codes import KeyRing
from dastak.flows.worker import every
from dastak.guard.call_limits import CallLimits, counted
from dastak.guard.limits import SendLimits
from dastak.guard.shared_counts import SharedCounts
from dastak.steady_clock import SteadyClock
from dastak.store.database_url import is_postgres
from dastak.store.open_database import Database

SWEEP_EVERY_S: Final = 1.0
LIMITS_MEMORY: Final = timedelta(days=1)
# Reports of calls that other nodes heard are looked for so often, and so far back that none is missed.
REPORTS_EVERY_S: Final = 0.5
REPORTS_BACK: Final = timedelta(minutes=1)
# How many nodes there are is asked so often; it says what share of a rate is this node's own.
NODES_EVERY_S: Final = 5.0

_DOMAIN: Final = b"dastak/shared-counts/1"


class AllLimits(NamedTuple):
    """The limits of this node; `shared` is None where nobody else counts with it."""

    sends: SendLimits
    calls: CallLimits
    shared: SharedCounts | None

    def unshared(self) -> float:
        """Return how often this node had to go by its own counts, although they are shared."""
        return 0.0 if self.shared is None else float(self.shared.unshared)


class _Nodes:
    """How many nodes there were when the database was asked last."""

    def __init__(self, store: Database) -> None:
        self._store = store
        self._count = 1

    def count(self) -> int:
        return self._count

    async def look(self) -> None:
        self._count = max(1, await self._store.nodes_up())


async def make_limits(
    stack: AsyncExitStack, settings: Settings, store: Database, clock: SteadyClock, keys: KeyRing
) -> AllLimits:
    """Make the limits; where one node counts for all, count again what was before a restart."""
    wanted, judged = settings.limits, is_postgres(settings.store.url)
    nodes, shared = _Nodes(store), None
    if wanted.valkey_url is not None:
        password = None if wanted.valkey_password is None else wanted.valkey_password.reveal()
        secret = hmac.digest(keys.keys[keys.current], _DOMAIN, "sha256")
        shared = SharedCounts(wanted.valkey_url, password=password, secret=secret)
        await stack.enter_async_context(shared)
        await nodes.look()
        await stack.enter_async_context(every(NODES_EVERY_S, nodes.look))
    sends = SendLimits(live=wanted.live, test=wanted.test, judged=judged, shared=shared, nodes=nodes.count)
    if not judged:
        sends.seed(await store.sends_since(clock.now() - LIMITS_MEMORY))
    await stack.enter_async_context(every(SWEEP_EVERY_S, lambda: sends.sweep(clock.now())))
    return AllLimits(sends, await _calls(stack, settings, store, clock, judged=judged), shared)


async def _calls(
    stack: AsyncExitStack, settings: Settings, store: Database, clock: SteadyClock, *, judged: bool
) -> CallLimits:
    calls = CallLimits(live=counted(settings.limits.calls), judged=judged)
    calls.seed(await store.calls_since(clock.now() - LIMITS_MEMORY))
    calls.seed_reports(await store.reports_since(clock.now() - COOLING))
    if judged:

        async def hear() -> None:
            calls.seed_reports(await store.reports_since(clock.now() - REPORTS_BACK))

        await stack.enter_async_context(every(REPORTS_EVERY_S, hear))
    return calls
