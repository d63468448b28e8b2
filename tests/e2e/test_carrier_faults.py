"""Carriers that fail under load: nothing that was accepted is lost, and nothing happens twice uncounted.

Each scene sends many texts through the real program to two carriers, lets one of them (or the program) fail,
and closes the books. What must balance is in `Books.close`.
"""

import asyncio
import http.client
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any, NamedTuple

from bench.processes import free_port
from dastak.simulator.faults import Fate, Fault, FaultScript
from dastak.simulator.phone import Text
from dastak.simulator.smsc import Account, Smsc
from dastak.simulator.smsc_bind import SimMessage
from dastak.simulator.vendor_http.vendor_carrier import ACCOUNT_SID, VendorCarrier
from tests.support.api_client import ApiClient
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.serve_installation import Installation

ACCOUNT = Account(system_id="sim_1", password="s3cret-9")
SECRET = "0123456789abcdef0123456789abcdef"
CARRIERS = "/v1/admin/carriers"
CALLERS = 4
WINDOW = 100
# What goes on while something fails.
TEXTS = 1_000
BATCH = [f"+9171{n:08}" for n in range(TEXTS)]
# As many as a link can have outstanding.
HUNDRED = BATCH[:WINDOW]
KILLS = 3
# What a person should wait for at most while the first carrier says nothing (facts of the field say 5 s).
TO_PHONE_S_MAX = 5.0
ODD = (1, 3, 5, 7, 9)
SHUFFLE_S = 1.0
SLOW_S = 2.5
# So long that there are always texts to answer for.
ANSWER_S = 0.3
# How a refusal is told after which the carrier may have the text all the same.
IN_DOUBT = {"no_answer", "outcome_unknown"}
# How a message ends, as its events tell.
ENDS = {"delivered", "undelivered", "dropped"}


class Arrival(NamedTuple):
    """One text on one phone."""

    carrier: str
    code: str
    at_s: float


class Watched(FaultScript):
    """Faults that write down which texts came to the carrier."""

    def __init__(self, *faults: Fault) -> None:
        super().__init__(Random(1), faults=faults)
        self.numbers: list[str] = []

    @property
    def asked(self) -> int:
        return len(self.numbers)

    def fate_of(self, msisdn: str, account: str) -> Fate:
        self.numbers.append(msisdn)
        return super().fate_of(msisdn, account)


class Books:
    """What customers were answered, what phones got, and what the program tells of it."""

    def __init__(self, api: ApiClient) -> None:
        self.api = api
        self.accepted: dict[str, str] = {}
        self.begun_s: dict[str, float] = {}
        self.arrivals: dict[str, list[Arrival]] = defaultdict(list)

    def on_message(self, carrier: str, message: SimMessage) -> None:
        code = message.sm.short_message.decode("ascii").split()[0]
        self.arrivals[message.msisdn].append(Arrival(carrier, code, time.monotonic()))

    def on_text(self, carrier: str, text: Text) -> None:
        self.arrivals[text.msisdn].append(Arrival(carrier, text.text.split()[0], time.monotonic()))

    def start(self, api: ApiClient, number: str) -> None:
        """Ask for a code, by a key under which a second question gets the first answer."""
        self.begun_s[number] = time.monotonic()
        answer = api.post("/v1/verifications", {"to": number}, idempotency_key=number)
        assert answer.status == 201, answer
        self.accepted[number] = answer.body["id"]

    def start_all(self, numbers: Sequence[str]) -> None:
        each(self.api, numbers, self.start)

    def close(self) -> "Balance":
        """Close the books; every line of it is a promise."""
        told: dict[str, list[dict[str, Any]]] = {}

        def settle(api: ApiClient, number: str) -> None:
            told[number] = until(lambda: settled(api.timeline(self.accepted[number])), within_s=15)

        def approve(api: ApiClient, number: str) -> None:
            codes = {arrival.code for arrival in self.arrivals[number]}
            assert len(codes) == 1, "every copy has the same code"
            [code] = codes
            checks = [api.check(self.accepted[number], code) for _ in range(2)]
            assert [check.status for check in checks] == [200, 409]
            assert checks[0].body["approved"] is True
            assert checks[1].body.get("approved") is not True

        each(self.api, list(self.accepted), settle)
        # A carrier may still have texts on their way that it took before it failed.
        until(lambda: all(self.arrivals.get(number) for number in self.accepted))
        each(self.api, list(self.accepted), approve)
        copies = {number: len(self.arrivals[number]) for number in self.accepted}
        counted = {number: 1 + doubts(told[number]) for number in self.accepted}
        uncounted = {number: copies[number] for number in copies if copies[number] > counted[number]}
        assert uncounted == {}, "every text that is there twice was told to be in doubt"
        return Balance(told, copies)


class Balance(NamedTuple):
    """The events of each number, and how many texts its phone got."""

    told: dict[str, list[dict[str, Any]]]
    copies: dict[str, int]

    @property
    def ends(self) -> Counter[str]:
        return Counter(event["type"] for events in self.told.values() for event in events) & Counter(
            dict.fromkeys(ENDS, 10**6)
        )

    def doubles(self, numbers: Iterable[str]) -> int:
        """Return how many texts more than one these phones got."""
        return sum(self.copies[number] - 1 for number in numbers)

    def kinds(self, number: str) -> set[str]:
        return {event["type"] for event in self.told[number]}

    def refused(self, number: str) -> list[str]:
        return [event["status"] for event in self.told[number] if event["type"] == "refused"]

    def ways(self, number: str) -> set[str]:
        return {event["route"] for event in self.told[number] if event["type"] == "submitted"}


def each(api: ApiClient, numbers: Sequence[str], act: Callable[[ApiClient, str], None]) -> None:
    """Act on every number, by several callers with a connection each."""

    def part(mine: Sequence[str]) -> None:
        with ApiClient(api.url, api.key, kept=True) as kept:
            for number in mine:
                act(kept, number)

    with ThreadPoolExecutor(CALLERS) as pool:
        list(pool.map(part, (numbers[n::CALLERS] for n in range(CALLERS))))


def settled(events: list[dict[str, Any]]) -> list[dict[str, Any]] | None:
    """Return the events once one message was delivered, or each has ended with a reason."""
    ended: dict[int, str] = {}
    for event in events:
        if event["type"] in ENDS:
            assert event["type"] == "delivered" or event.get("outcome") or event.get("cause"), event
            ended[event["ordinal"]] = event["type"]
    queued = {event["ordinal"] for event in events if event["type"] == "queued"}
    done = "delivered" in ended.values() or queued == set(ended)
    return events if queued and done else None


def doubts(events: list[dict[str, Any]]) -> int:
    """Count how often another text had to follow although a carrier may have brought the one before."""
    refused = sum(event["type"] == "refused" and event["status"] in IN_DOUBT for event in events)
    return refused + sum(event["type"] in ("overdue", "resumed") for event in events)


class Scene:
    """The program between customers and two carriers; north is asked first."""

    def __init__(
        self, installation: Installation, books: Books, carriers: dict[str, Smsc], scripts: dict[str, Watched]
    ) -> None:
        self.installation, self.books = installation, books
        self.carriers, self.scripts = carriers, scripts
        self.loop = asyncio.get_running_loop()

    @property
    def asked(self) -> int:
        """How often a carrier was asked to take a text."""
        return sum(script.asked for script in self.scripts.values())

    def at_carrier(self, act: Callable[[], Any]) -> None:
        """Do something where the carriers live, and wait until it is done."""

        async def acting() -> None:
            done = act()
            if asyncio.iscoroutine(done):
                await done

        asyncio.run_coroutine_threadsafe(acting(), self.loop).result(10)


async def play(
    directory: Path, north: Sequence[Fault], scene: Callable[[Scene], None], south: Sequence[Fault] = ()
) -> None:
    """Play a scene with a faulty carrier first and another one second."""
    installation = Installation(directory / "dastak", **PLENTY)
    books = Books(ApiClient(installation.url, None))
    carriers: dict[str, Smsc] = {}
    scripts = {"north": Watched(*north), "south": Watched(*south)}
    async with AsyncExitStack() as stack:
        for priority, (name, script) in enumerate(scripts.items()):
            carriers[name] = await stack.enter_async_context(
                Smsc(
                    [ACCOUNT],
                    on_message=lambda message, name=name: books.on_message(name, message),
                    faults=script,
                )
            )
            installation.add_carrier(
                name,
                host="127.0.0.1",
                port=carriers[name].port,
                system_id="sim_1",
                password=ACCOUNT.password,
                priority=priority,
                window=WINDOW,
            )
        # The carriers live in the loop of this thread.
        await asyncio.to_thread(_run, Scene(installation, books, carriers, scripts), scene)


def _run(here: Scene, scene: Callable[[Scene], None]) -> None:
    here.books.api = here.installation.live_client()
    with here.installation:
        until(lambda: here.installation.program.log().count("bind 1 is bound") >= 2)
        scene(here)


def south_has(books: Books, number: str) -> bool:
    return any(arrival.carrier == "south" for arrival in books.arrivals.get(number, ()))


def from_begin_s(books: Books, number: str) -> float:
    """Return how long the first text of a number took to its phone."""
    return min(arrival.at_s for arrival in books.arrivals[number]) - books.begun_s[number]


async def test_link_cut_with_a_hundred_outstanding_sends_each_by_the_other_carrier(tmp_path: Path) -> None:
    def scene(here: Scene) -> None:
        here.books.start_all(HUNDRED)
        north = here.scripts["north"].numbers
        until(lambda: all(number in north or south_has(here.books, number) for number in HUNDRED))
        here.at_carrier(here.carriers["north"].drop_links)
        cut_s = time.monotonic()
        until(lambda: all(south_has(here.books, number) for number in HUNDRED))
        took_s = time.monotonic() - cut_s
        balance = here.books.close()

        assert took_s < TO_PHONE_S_MAX
        assert balance.ends["delivered"] >= WINDOW
        # North took the odd ones and told nobody; the even ones it never took. Few, if any, passed it by.
        assert len(set(north)) >= WINDOW * 9 // 10
        assert balance.copies == {number: 1 + (number in north and int(number) % 2) for number in HUNDRED}

    await play(tmp_path, [*(Fault(number=f"*{n}", unanswered=1.0) for n in ODD), Fault(silent=1.0)], scene)


async def test_blackhole_takes_no_longer_than_a_person_waits(tmp_path: Path) -> None:
    def scene(here: Scene) -> None:
        here.books.start_all(BATCH)
        balance = here.books.close()

        assert max(from_begin_s(here.books, number) for number in BATCH) < TO_PHONE_S_MAX
        # A machine that stands still may double a few; all were told.
        assert balance.doubles(BATCH) <= TEXTS // 20
        assert all(balance.ways(number) == {"south"} for number in BATCH)
        assert any("no_answer" in balance.refused(number) for number in BATCH)

    await play(tmp_path, [Fault(blackhole=1.0)], scene)


async def test_throttled_texts_go_by_the_other_carrier_and_none_is_dropped(tmp_path: Path) -> None:
    def scene(here: Scene) -> None:
        here.books.start_all(BATCH)
        balance = here.books.close()

        assert (balance.ends["delivered"], balance.ends["dropped"]) == (TEXTS, 0)
        assert max(from_begin_s(here.books, number) for number in BATCH) < TO_PHONE_S_MAX
        assert set(balance.copies.values()) == {1}
        # At once, and not when the clock of the silent rings: none stood in line where it was slow.
        refusals = {status for number in BATCH for status in balance.refused(number)}
        assert refusals <= {"ESME_RTHROTTLED", "carrier_full"}
        throttled = {number for number in BATCH if "ESME_RTHROTTLED" in balance.refused(number)}
        assert throttled
        assert {route for number in BATCH for route in balance.ways(number)} == {"north", "south"}
        assert all(balance.ways(number) == {"south"} for number in throttled)

    await play(tmp_path, [Fault(throttle=0.3)], scene)


async def test_receipts_doubled_shuffled_and_early_settle_each_text_once(tmp_path: Path) -> None:
    def scene(here: Scene) -> None:
        here.books.start_all(BATCH)
        balance = here.books.close()
        # The last copies of receipts come after the code was used.
        last = max(here.books.begun_s.values()) + SHUFFLE_S
        until(lambda: time.monotonic() > last)
        again = {number: here.books.api.timeline(here.books.accepted[number]) for number in BATCH}

        assert set(balance.copies.values()) == {1}
        for number in BATCH:
            kinds = Counter(event["type"] for event in again[number])
            assert (kinds["submitted"], kinds["delivered"], kinds["approved"]) == (1, 1, 1)
            assert (kinds["refused"], kinds["undelivered"], kinds["fallback"]) == (0, 0, 0)

    early = [Fault(number=f"*{n}", receipt_first=True, duplicates=4) for n in ODD]
    await play(tmp_path, [*early, Fault(duplicates=4, shuffle_s=SHUFFLE_S)], scene)


async def test_slow_carrier_doubles_its_own_texts_alone_and_holds_nobody_up(tmp_path: Path) -> None:
    def scene(here: Scene) -> None:
        here.books.start_all(BATCH)
        until(lambda: all(here.books.arrivals.get(number) for number in BATCH))
        slow = {number for number in here.scripts["north"].numbers if number.endswith("7")}
        rest = set(BATCH) - slow
        until(lambda: any(len(here.books.arrivals.get(number, ())) == 2 for number in slow))
        balance = here.books.close()
        doubled = [number for number in slow if balance.ways(number) == {"north", "south"}]

        # A carrier that is slow altogether is given few of them: the budget is spent, and the rest waits.
        assert doubled
        assert all(balance.refused(number) == ["no_answer"] for number in doubled)
        # A machine that stands still may double a few more; all were told.
        assert balance.doubles(rest) <= len(rest) // 20
        assert max(from_begin_s(here.books, number) for number in BATCH) < TO_PHONE_S_MAX

    await play(tmp_path, [Fault(number="*7", response=SLOW_S)], scene)


async def test_carrier_that_dies_under_load_loses_nothing(tmp_path: Path) -> None:
    def scene(here: Scene) -> None:
        north = here.carriers["north"]
        with ThreadPoolExecutor(1) as pool:
            starting = pool.submit(here.books.start_all, BATCH)
            until(lambda: here.scripts["north"].asked >= TEXTS // 3)
            here.at_carrier(lambda: north.__aexit__(None, None, None))
            starting.result()
        balance = here.books.close()

        assert len(balance.told) == TEXTS
        assert balance.ends["delivered"] + balance.ends["undelivered"] >= TEXTS
        carriers = Counter(arrival.carrier for number in BATCH for arrival in here.books.arrivals[number])
        assert carriers["north"] > 0
        assert carriers["south"] > 0

    await play(tmp_path, [Fault(response=0.05)], scene)


async def test_kills_under_load_with_two_carriers_lose_nothing_and_double_only_what_was_under_way(
    tmp_path: Path,
) -> None:
    def scene(here: Scene) -> None:
        books, program = here.books, here.installation.program
        for kill in range(KILLS):
            ask_until_killed(here, BATCH[kill::KILLS])
            known = dict(books.accepted)
            here.installation.start()
            # Who was not answered asks again under the same key; who was, gets the same answer.
            books.start_all(BATCH[kill::KILLS])
            assert {number: books.accepted[number] for number in known} == known
            until(lambda: all(books.arrivals.get(number) for number in books.accepted))
        balance = books.close()

        resumed = {number for number in BATCH if "resumed" in balance.kinds(number)}
        assert len(resumed) >= KILLS, "nothing was under way, so that the kills prove nothing"
        assert balance.ends["delivered"] >= TEXTS
        assert program.log().count("continuing ") == KILLS

    await play(tmp_path, [Fault(throttle=0.3, response=ANSWER_S)], scene, [Fault(response=ANSWER_S)])


def ask_until_killed(here: Scene, numbers: Sequence[str]) -> None:
    """Start from all sides, and kill the program while carriers have texts to answer for."""
    before = here.asked
    with ThreadPoolExecutor(1) as pool:
        starting = pool.submit(here.books.start_all, numbers)
        until(lambda: here.asked >= before + 40)
        here.installation.program.kill()
        error = starting.exception()
    assert isinstance(error, OSError | http.client.HTTPException), "it was killed in the middle of the load"


async def test_http_carrier_that_hangs_hangs_up_and_talks_nonsense_loses_nothing(tmp_path: Path) -> None:
    north = Watched(
        Fault(number="*1", unanswered=1.0, missing_receipt=1.0),
        Fault(number="*3", garbage=1.0, missing_receipt=1.0),
        Fault(number="*5", http_status=500),
        Fault(number="*7", drop_link=1.0),
        # The tenth, and no more: it gets half as many after each.
        Fault(number="*09", throttle=1.0),
        Fault(number="*2", receipt_first=True, duplicates=2),
        Fault(duplicates=2, shuffle_s=0.5),
    )

    def scene(books: Books) -> None:
        # So few that it is asked for each of them, whatever it does.
        first = BATCH[:9]
        books.start_all(first)
        until(lambda: set(first) <= set(north.numbers))
        books.start_all(BATCH[len(first) :])
        balance = books.close()

        # It fails so often that some texts are not even offered to it.
        asked = set(north.numbers)
        failed = {number for number in asked if number[-1] in "1357" or number.endswith("09")}
        assert {number[-1] for number in asked} >= set("12357")
        assert BATCH[9] in asked
        # It took the texts that it did not answer for, or not in words; it did not take the others.
        doubled = {number for number in asked if number[-1] in "13"}
        assert balance.copies == {number: 2 if number in doubled else 1 for number in BATCH}
        assert all(balance.ways(number) == {"north"} for number in asked - failed)
        assert all(balance.ways(number) == {"south"} for number in set(BATCH) - (asked - failed))
        for number in BATCH:
            delivered = [event for event in balance.told[number] if event["type"] == "delivered"]
            assert len(delivered) == 1

    await play_http(tmp_path, north, scene)


async def play_http(directory: Path, north: FaultScript, scene: Callable[[Books], None]) -> None:
    """Play a scene with a faulty Twilio first and a sound MSG91 second."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    installation = Installation(directory / "dastak", port=port, DASTAK__SERVER__PUBLIC_URL=url, **PLENTY)
    books = Books(ApiClient(url, None))
    async with AsyncExitStack() as stack:
        carriers = {
            name: await stack.enter_async_context(
                VendorCarrier(
                    secret=SECRET, on_text=lambda text, name=name: books.on_text(name, text), faults=script
                )
            )
            for name, script in (("north", north), ("south", Watched()))
        }
        await asyncio.to_thread(_run_http, installation, carriers, books, scene)


def _run_http(
    installation: Installation,
    carriers: dict[str, VendorCarrier],
    books: Books,
    scene: Callable[[Books], None],
) -> None:
    books.api = installation.live_client()
    made = installation.command("keys", "create", "--name", "boss", "--mode", "live", "--scope", "operator")
    operator = ApiClient(installation.url, made["key"])
    vendors = {
        "north": {"profile": "twilio", "account": ACCOUNT_SID, "sender": "+12025550150"},
        "south": {"profile": "msg91", "options": {"flow_id": "64a1b2c3d4e5f60718293a4b"}},
    }
    with installation:
        for priority, (name, vendor) in enumerate(vendors.items()):
            settings = {**vendor, "secret": SECRET, "base_url": carriers[name].access.url, "window": WINDOW}
            wanted = {"name": name, "kind": "http", "settings": settings, "lane": {"priority": priority}}
            assert operator.post(CARRIERS, wanted).status == 201
        until(lambda: all(operator.get(f"{CARRIERS}/{name}").body["available"] for name in vendors))
        carriers["south"].set_webhook(installation.command("carrier", "hook", "south")["url"])
        scene(books)
