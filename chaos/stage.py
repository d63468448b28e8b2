"""Where a scene is played: two carriers, the program between, people who come and go, and their books."""

import asyncio
import socket
import time
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any, Final

import msgspec

from bench.postgres_cluster import PostgresServer
from chaos.api_lines import ApiLines
from chaos.books import GONE, TERMINAL, Books, Findings, Told
from chaos.code_traces import traces
from chaos.fault_proxy import FaultProxy
from chaos.outcome_table import Outcome
from chaos.patroni_cluster import PatroniCluster
from chaos.people import PATH, Crowd, Habits
from chaos.server_database import new_database, port_of, through
from chaos.victim import Victim
from chaos.watched_carrier import Phones, WatchedCarrier, until
from dastak.simulator.faults import Fault

CONNECTIONS: Final = 256
BIND_S_MAX: Final = 20.0
SETTLE_S_MAX: Final = 60.0
# How long a look at one verification may be refused before it counts as gone.
LOOK_REFUSED_S_MAX: Final = 15.0
TTL_S: Final = 300.0
# How many verifications are asked after at once when the books are closed.
ASKERS: Final = 32
NUMBERS_EACH: Final = 1_000_000
# Verifications that another tenant asks for.
STRANGE_QUESTIONS_MAX: Final = 50

# By when it must be well again, as the facts of the field ask for; of F1 and F2 that is a second process.
RECOVERS_S_MAX: Final[Mapping[str, float]] = {
    "F3": 10.0, "F6": 5.0, "F7": 5.0, "F10": 5.0, "F12": 2.0,
    "F13": 30.0, "F19": 10.0, "F20": 10.0, "F23": 10.0, "F27": 60.0, "F35": 10.0,
}  # fmt: skip


class Scale(msgspec.Struct, frozen=True, kw_only=True):
    """How much of everything.

    Attributes:
        requests_min: What is asked inside the fault at least, or the scene does not count.
        kills: How often the program is killed.
        per_s: People a second; None measures what the machine can and takes six tenths.
        pending: Rows that wait when a full house is killed.
        overload_s: How long far too many come.
        flood_per_s: How many of them a second; None is ten times what goes.
        soak_s: How long a soak lasts.
        settle_s: How long a fault lasts that needs time.
        freeze_s: How long the program is stopped; a lease is thirty seconds.
        waits_for_expiry: Whether there is a minute to wait until a code is over.
        judges_speed: Whether a time that is too long counts as a breach.
    """

    requests_min: int
    kills: int
    per_s: float | None
    pending: int
    overload_s: float
    flood_per_s: float | None
    soak_s: float
    settle_s: float
    freeze_s: float
    waits_for_expiry: bool
    judges_speed: bool


FULL: Final = Scale(
    requests_min=1_000,
    kills=20,
    per_s=None,
    pending=100_000,
    overload_s=60.0,
    flood_per_s=None,
    soak_s=600.0,
    settle_s=15.0,
    freeze_s=35.0,
    waits_for_expiry=True,
    judges_speed=True,
)
QUICK: Final = Scale(
    requests_min=60,
    kills=2,
    per_s=40.0,
    pending=300,
    overload_s=1.0,
    # More than any machine takes: on one that is busy with other tests, what goes cannot be measured.
    flood_per_s=10_000.0,
    soak_s=3.0,
    settle_s=3.0,
    freeze_s=3.0,
    waits_for_expiry=False,
    judges_speed=False,
)


class CannotPlay(Exception):  # noqa: N818 - said to people, not raised at them
    """This machine lacks what a scene needs; the sentence says what."""


class House:
    """Everything that runs in one scene.

    Attributes:
        north: The carrier that is asked first.
        south: The other one.
        broken: What the scene itself found wrong, by promise.
        recoveries: How long each recovery took.
        per_s: How many people come a second.
        database_line: What is between the program and the server of its database, where there is one.
    """

    def __init__(self, stage: "Stage", victim: Victim, phones: Phones) -> None:
        self.stage, self.victim = stage, victim
        self.books, self.phones = Books(), phones
        self.north: WatchedCarrier
        self.south: WatchedCarrier
        self.lines: ApiLines
        self.crowd: Crowd
        self.database_line: FaultProxy | None = None
        self.broken: dict[str, list[str]] = {}
        self.recoveries: list[float] = []
        self.per_s = stage.per_s
        self.figures: dict[str, float] = {}
        self.fault_began_s = self.fault_ended_s = time.monotonic()

    @asynccontextmanager
    async def load(self) -> AsyncIterator[None]:
        """Let people come while the context lasts, and wait until all have finished."""
        over = False
        coming = self.crowd.stream(self.per_s, until=lambda: over)
        streaming = asyncio.create_task(coming)
        try:
            yield
        finally:
            over = True
            await streaming
        await self.crowd.leave(within_s=self.crowd.habits.patience_s + self.crowd.habits.text_s)

    async def until_accepted(self, count: int) -> None:
        """Wait until so many more starts were accepted."""
        wanted = len(self.books.accepted) + count
        await until(lambda: len(self.books.accepted) >= wanted, within_s=60, what=f"{count} accepted starts")

    async def until_asked(self, count: int, *, since_s: float | None = None) -> None:
        """Wait until so many requests were answered or lost since the fault began, or since then."""
        began_s = self.fault_began_s if since_s is None else since_s
        await until(
            lambda: self.books.requests_between(began_s, time.monotonic()) >= count,
            within_s=300,
            what=f"{count} requests inside the fault",
        )

    def fault_begins(self) -> None:
        """From now on requests are asked inside the fault."""
        self.fault_began_s = time.monotonic()

    async def recovered(self, since_s: float, *, within_s: float = 60.0) -> None:
        """Wait for a 2xx to a request that was asked after `since_s`, and note how long it took."""
        await until(
            lambda: self.books.first_good_after(since_s) is not None, within_s=within_s, what="a 2xx again"
        )
        self.fault_ended_s = time.monotonic()
        good_s = self.books.first_good_after(since_s)
        assert good_s is not None
        self.recoveries.append(good_s - since_s)

    def breach(self, promise: str, sentence: str) -> None:
        """Note a promise that did not hold."""
        self.broken.setdefault(promise, []).append(sentence)

    def expect(self, promise: str, so: bool, sentence: str) -> None:
        """Note a breach unless something is so."""
        if not so:
            self.breach(promise, sentence)

    def expect_within(self, what: str, measured: float, most: float) -> None:
        """Note a breach where speed is judged and something is more than it may be."""
        slow = self.stage.scale.judges_speed and measured > most
        self.expect("speed", not slow, f"{what}: {measured:,.2f}, and {most:g} at most")

    async def told(self, *, settle_s: float = SETTLE_S_MAX) -> dict[str, Told]:
        """Read all that the program tells of what it accepted, once it has come to rest."""
        give_up_s = time.monotonic() + settle_s
        room = asyncio.Semaphore(ASKERS)
        found: dict[str, Told] = {}

        async def look(number: str, verification: str) -> None:
            async with room:
                found[number] = await self._settled(verification, give_up_s)

        await asyncio.gather(*(look(number, id_) for number, id_ in self.books.accepted.items()))
        return found

    async def close(self, *, ttl_s: float = TTL_S, settle_s: float = SETTLE_S_MAX) -> Findings:
        """Close the books.

        Args:
            ttl_s: How long a code lives.
            settle_s: How long a verification may take to end; zero takes all as they are.
        """
        return await self.join(await self.told(settle_s=settle_s), ttl_s=ttl_s)

    async def join(self, told: Mapping[str, Told], *, ttl_s: float = TTL_S) -> Findings:
        """Close the books with what was told already."""
        await self._look_for_codes()
        await self._ask_as_a_stranger()
        return self.books.close(told, ttl_s=ttl_s)

    async def _look_for_codes(self) -> None:
        """I10: no code that reached a phone lies in a file of the installation."""
        codes = tuple(self.phones.codes.values())
        for file, count in (await asyncio.to_thread(traces, codes, self.victim.directory)).items():
            self.breach("I10", f"{count} codes are in {file}")

    async def _ask_as_a_stranger(self) -> None:
        """I13: another tenant is told of nobody's verification."""
        strange = ApiLines(self.lines.port, self.victim.stranger_key, connections=ASKERS)
        try:
            asked = list(self.books.accepted.values())[-STRANGE_QUESTIONS_MAX:]
            answers = await asyncio.gather(*(strange.ask("GET", f"{PATH}/{id_}") for id_ in asked))
        finally:
            strange.close()
        told = sum(answer.status == 200 for answer in answers)
        self.expect("I13", not told, f"another tenant was told of {told} verifications")
        ruled = sum(answer.status == 404 for answer in answers)
        self.expect("I13", ruled > 0 or not asked, "a stranger got no answer, so nothing was tried")

    async def _settled(self, verification: str, give_up_s: float) -> Told:
        # Of all that is asked a busy program refuses looks first, which says nothing of what it has.
        refused_until_s = max(give_up_s, time.monotonic() + LOOK_REFUSED_S_MAX)
        while True:
            view = await self.lines.ask("GET", f"{PATH}/{verification}")
            timeline = await self.lines.ask("GET", f"{PATH}/{verification}/timeline")
            if view.status == 200 and timeline.status == 200:
                told = Told(state=view.body["state"], events=timeline.body["events"])
                if told.state in TERMINAL or time.monotonic() >= give_up_s:
                    return told
            elif view.status == 404 or time.monotonic() >= refused_until_s:
                return Told(state=GONE, events=())
            await asyncio.sleep(0.1)


class Stage:
    """How scenes are played in this run.

    Args:
        directory: For all their files.
        scale: How much of everything.
        seed: Of all chance.
        database_url: Of a PostgreSQL server on this machine, in which each scene makes a database of its own;
            None keeps rows in a SQLite file of each scene.
        server: That server, where it is this run's own and may be killed.
        cluster: Three database machines for the scenes that break them; None makes new ones for each of them.
    """

    def __init__(
        self,
        directory: Path,
        *,
        scale: Scale,
        seed: int,
        database_url: str | None = None,
        server: PostgresServer | None = None,
        cluster: PatroniCluster | None = None,
    ) -> None:
        self.directory, self.scale, self.seed = directory, scale, seed
        self.database_url = database_url if server is None else server.url
        self.server, self.cluster = server, cluster
        self.per_s = scale.per_s or 0.0
        self._houses = 0

    def chance(self, purpose: str) -> Random:
        """Return chance that depends on the seed and on what it is for, and on nothing else."""
        return Random(f"{self.seed}-{purpose}")

    @asynccontextmanager
    async def house(
        self,
        name: str,
        *,
        north: Sequence[Fault] = (),
        south: Sequence[Fault] = (),
        habits: Habits | None = None,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        database_url: str | None = None,
        door: socket.socket | None = None,
        phones: Phones | None = None,
        started_by: Sequence[str] = (),
        **carrier: str | float,
    ) -> AsyncIterator[House]:
        """Open a house of two carriers, with the program running.

        Args:
            name: Of the scene.
            north: What goes wrong at the carrier that is asked first.
            south: What goes wrong at the other one.
            habits: How people behave.
            environment: For the program.
            directory: Where the installation is, instead of a new directory.
            database_url: Of an empty database, instead of a new one where this run keeps its rows.
            door: Where the carrier that is asked first is found, instead of a port of this machine.
            phones: Of all people, instead of ones that show every text.
            started_by: A command that becomes the program.
            carrier: Settings of both carriers.
        """
        self._houses += 1
        async with AsyncExitStack() as stack:
            url, proxy = database_url, None
            if url is None and self.database_url is not None:
                proxy = await stack.enter_async_context(FaultProxy(port_of(self.database_url)))
                url = through(proxy.port, await new_database(self.database_url))
            victim = Victim(directory or self.directory / name, database_url=url)
            victim.environment.update(environment or {})
            victim.started_by = started_by
            house = House(self, victim, phones or Phones())
            house.database_line = proxy
            key = await victim.install()
            for priority, (side, faults) in enumerate((("north", north), ("south", south))):
                watched = WatchedCarrier(
                    side,
                    house.books,
                    house.phones,
                    password=victim.password,
                    chance=self.chance(f"{name}-{side}"),
                    faults=faults,
                    door=door if side == "north" else None,
                )
                setattr(house, side, await stack.enter_async_context(watched))
                victim.add_carrier(watched, **{"priority": priority, "window": 100, **carrier})
            house.lines = ApiLines(victim.port, key, connections=CONNECTIONS)
            stack.callback(house.lines.close)
            stack.callback(victim.kill)
            house.crowd = Crowd(
                house.lines,
                house.books,
                house.phones,
                chance=self.chance(f"{name}-people"),
                first=9_000_000_000 + self._houses * NUMBERS_EACH,
                habits=habits or Habits(),
            )
            await victim.start()
            await until(
                lambda: house.north.bound and house.south.bound, within_s=BIND_S_MAX, what="both are bound"
            )
            yield house

    def outcome(self, fault: str, title: str, house: House, findings: Findings, **figures: float) -> Outcome:
        """Sum up a scene."""
        if house.recoveries and fault in RECOVERS_S_MAX:
            house.expect_within("seconds to recover", max(house.recoveries), RECOVERS_S_MAX[fault])
        in_fault = house.books.requests_between(house.fault_began_s, house.fault_ended_s)
        broken: dict[str, Any] = {**findings.broken}
        for promise, said in house.broken.items():
            broken[promise] = (*broken.get(promise, ()), *said)
        if findings.untold:
            broken["I3"] = (*broken.get("I3", ()), f"{findings.untold} copies are told by no timeline")
        if house.crowd.gave_up:
            last = ", ".join(f"{count} with {status}" for status, count in house.crowd.gave_up.items())
            broken["I1"] = (*broken.get("I1", ()), f"people gave up: {last}")
        return Outcome(
            fault=fault,
            title=title,
            seed=self.seed,
            per_s=house.per_s,
            in_fault=in_fault,
            requests=findings.requests,
            accepted=findings.accepted,
            lost=findings.lost,
            duplicated=findings.duplicated,
            untold=findings.untold,
            approved_twice=findings.approved_twice,
            recovery_s=max(house.recoveries, default=None),
            figures={**house.figures, **figures},
            broken=broken,
            counts=in_fault >= self.scale.requests_min,
        )
