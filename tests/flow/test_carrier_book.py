"""What an operator does with carriers is checked, kept with its reason, and shows no secret."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec
import pytest

from dastak.carriers.carrier_book import NAME_CHARACTERS_MAX, WHY_CHARACTERS_MAX, Act, CarrierBook, Wish
from dastak.core.carrier import CARRIERS_MAX, CarrierKind, CarrierState, Lane
from dastak.core.errors import Conflict, DastakError, InvalidRequest, NotFound
from dastak.store.seal import AesGcmSealer
from dastak.store.sqlite import SqliteStore
from tests.support.samples import NOW, RING
from tests.support.stores import open_sqlite

PASSWORD = "pAssw0rd"
SETTINGS = {"host": "smsc.example.in", "port": 2775, "system_id": "acme", "password": PASSWORD}


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SqliteStore]:
    async with open_sqlite(tmp_path) as opened:
        yield opened


@pytest.fixture
def book(store: SqliteStore) -> CarrierBook:
    return CarrierBook(store, AesGcmSealer(RING), fixed=("filed",))


def act(why: str = "as agreed") -> Act:
    return Act(who="cli", why=why, at=NOW)


async def added(book: CarrierBook, name: str = "north", **wish: Any) -> None:
    await book.add(name, CarrierKind.SMPP, Wish(settings=SETTINGS, **wish), act())


async def test_secret_is_sealed_and_comes_back_only_when_it_is_asked_for(book: CarrierBook) -> None:
    await added(book)

    carrier = await book.find("north")

    assert PASSWORD not in repr(carrier)
    assert PASSWORD.encode() not in msgspec.json.encode(carrier)
    assert book.revealed(carrier) == SETTINGS


async def test_secret_of_one_carrier_opens_for_no_other(book: CarrierBook) -> None:
    await added(book)
    stolen = msgspec.structs.replace(await book.find("north"), name="south")

    with pytest.raises(DastakError):
        book.revealed(stolen)


async def test_history_says_who_and_why_and_no_secret(book: CarrierBook) -> None:
    await added(book)
    await book.change("north", Wish(settings={"password": "another1", "window": 20}), act("more traffic"))
    await book.change("north", Wish(state=CarrierState.DRAINING), act("late receipts"))

    history = await book.history("north")

    assert [(line.who, line.what, line.why) for line in history] == [
        ("cli", "state", "late receipts"),
        ("cli", "settings", "more traffic"),
        ("cli", "added", "as agreed"),
    ]
    assert not {PASSWORD, "another1"} & set(msgspec.json.encode(history).decode().split(chr(34)))
    assert book.revealed(await book.find("north")) == {**SETTINGS, "password": "another1", "window": 20}


async def test_setting_that_is_taken_back_has_its_default_again(book: CarrierBook) -> None:
    await book.add("north", CarrierKind.SMPP, Wish(settings={**SETTINGS, "window": 20}), act())

    changed = await book.change("north", Wish(settings={"window": None}), act())

    assert "window" not in changed.settings


async def test_lane_changes_in_part(book: CarrierBook) -> None:
    await added(book, lane={"priority": 10, "countries": ["IN"]})

    changed = await book.change("north", Wish(lane={"weight": 30}), act())

    assert changed.lane == Lane(priority=10, countries=("IN",), weight=30)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({**SETTINGS, "windw": 3}, "Did you mean `window`?"),
        ({**SETTINGS, "port": "smpp"}, "port"),
        ({**SETTINGS, "window": 0}, "window"),
        ({"host": "h", "port": 1}, "system_id"),
        ({**SETTINGS, "tls": {"ca": "x"}}, "tls"),
    ],
)
async def test_settings_that_are_not_valid_are_refused_with_their_place(
    book: CarrierBook, settings: dict[str, Any], said: str
) -> None:
    with pytest.raises(InvalidRequest, match=said.replace("?", r"\?")) as refused:
        await book.add("north", CarrierKind.SMPP, Wish(settings=settings), act())

    assert PASSWORD not in refused.value.detail
    assert await book.listed() == ()


@pytest.mark.parametrize(
    "name",
    [
        "",
        "North",
        "9north",
        "north-1",
        "_north",
        "north__1",
        "sim_1",
        "a" * (NAME_CHARACTERS_MAX + 1),
        "nörd",
    ],
)
async def test_name_that_cannot_be_a_route_is_refused(book: CarrierBook, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await added(book, name)


@pytest.mark.parametrize(
    "lane", [{"weight": 1001}, {"weight": -1}, {"countries": ["in"]}, {"prefixes": ["+91"]}, {"x": 1}]
)
async def test_lane_that_is_not_valid_is_refused(book: CarrierBook, lane: dict[str, Any]) -> None:
    with pytest.raises(InvalidRequest):
        await added(book, lane=lane)


async def test_name_of_the_settings_file_is_taken_and_changes_only_there(book: CarrierBook) -> None:
    with pytest.raises(Conflict):
        await added(book, "filed")
    with pytest.raises(Conflict, match="settings file"):
        await book.change("filed", Wish(state=CarrierState.OFF), act())


@pytest.mark.parametrize("why", ["", "  ", "x" * (WHY_CHARACTERS_MAX + 1)])
async def test_act_without_a_reason_is_refused(book: CarrierBook, why: str) -> None:
    await added(book)

    with pytest.raises(InvalidRequest):
        await book.change("north", Wish(state=CarrierState.OFF), act(why))

    assert (await book.find("north")).state is CarrierState.ACTIVE


async def test_change_of_nothing_is_refused(book: CarrierBook) -> None:
    await added(book)

    with pytest.raises(InvalidRequest):
        await book.change("north", Wish(), act())


async def test_active_carrier_is_not_removed(book: CarrierBook) -> None:
    await added(book)

    with pytest.raises(Conflict, match="drain"):
        await book.remove("north", act())
    await book.change("north", Wish(state=CarrierState.DRAINING), act())
    await book.remove("north", act("contract ended"))

    with pytest.raises(NotFound):
        await book.find("north")
    assert (await book.history("north"))[0].why == "contract ended"


async def test_number_of_carriers_is_bounded(book: CarrierBook) -> None:
    for n in range(CARRIERS_MAX):
        await added(book, f"c{n}")

    with pytest.raises(Conflict):
        await added(book, "one_more")
