"""The client of HTTP carriers against a real server: yes, no, silence, cuts and floods."""

import asyncio
import gzip
import logging
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from bench.processes import free_port
from dastak.core.errors import (
    CarrierFull,
    CarrierRejected,
    CarrierUnavailable,
    MalformedRequest,
    Unauthenticated,
)
from dastak.core.message import CarrierRef
from dastak.http_carriers.hook_proof import Hook
from dastak.http_carriers.http_route import UNMAPPED_MAX, Callback, HttpRoute
from dastak.http_carriers.http_settings import PROFILES, read_http_settings
from dastak.http_carriers.warm_client import ANSWER_OCTETS_MAX
from tests.support.http_samples import CALLBACK_URL, NOW, is_foreign, some_carrier, some_hook, some_outgoing
from tests.support.vendor_server import Say, VendorServer

YES = Say(201, b'{"sid":"SM01","status":"queued"}')
NO = Say(400, b'{"code":21211,"message":"The number +919876543210 is not valid","status":400}')


TWO_PARTS = Say(200, b'{"messages":[{"status":"0","message-id":"0A0"},{"status":"0","message-id":"0A1"}]}')


def vonage_to(url: str, directory: Path) -> HttpRoute:
    """Return a route to a Vonage that signs nothing."""
    file = directory / "own.toml"
    file.write_text(
        (PROFILES.folder / "vonage.toml").read_text().replace('proof = "vonage"', 'proof = "path"')
    )
    given = {"profile_file": str(file), "account": "a", "secret": "s", "proof_secret": "p", "base_url": url}
    callback = Callback(("t0ken",), CALLBACK_URL)
    return HttpRoute("main", read_http_settings(given), callback, foreign=is_foreign)


def vonage(ref: str, status: str) -> Hook:
    return some_hook(f'{{"messageId":"{ref}","status":"{status}"}}')


def route_to(url: str, **settings: Any) -> HttpRoute:
    carrier = some_carrier("twilio", base_url=url, **settings)
    return HttpRoute("main", carrier, Callback(("t0ken", "0ld"), CALLBACK_URL), foreign=is_foreign)


async def test_message_is_taken_over_a_connection_that_was_warm() -> None:
    async with VendorServer(YES) as vendor, route_to(vendor.url) as route:
        await asyncio.wait_for(route.wait_warm(), 10)
        refs = [await route.submit(some_outgoing()) for _ in range(3)]

    assert refs == [CarrierRef("main", "SM01")] * 3
    assert vendor.connections == 1
    assert vendor.seen[0].target == "/2010-04-01/Accounts/acc0unt/Messages.json"
    assert b"Body=Your%20Acme%20code%20is%20482913." in vendor.seen[0].body


async def test_host_that_an_option_names_is_connected_to_before_the_first_message(tmp_path: Path) -> None:
    async with VendorServer(YES) as vendor:
        profile = (
            (PROFILES.folder / "twilio.toml").read_text().replace("https://api.twilio.com", "http://{host}")
        )
        file = tmp_path / "own.toml"
        file.write_text(profile.replace("[request]", '[options.host]\nabout = "yours"\n\n[request]'))
        given = {"profile_file": str(file), "account": "a", "secret": "s"}
        carrier = read_http_settings({**given, "options": {"host": vendor.url.removeprefix("http://")}})
        async with HttpRoute(
            "main", carrier, Callback(("t0ken",), CALLBACK_URL), foreign=is_foreign
        ) as route:
            await asyncio.wait_for(route.wait_warm(), 10)
            warm = vendor.connections
            await route.submit(some_outgoing())

    assert (warm, vendor.connections, route.fault) == (1, 1, "it is closed")


@pytest.mark.parametrize(
    ("reported", "outcomes"),
    [
        ([("0A0", "delivered"), ("0A1", "delivered")], ["enroute", "delivered"]),
        ([("0A1", "delivered"), ("0A1", "delivered"), ("0A0", "delivered")], ["enroute"] * 2 + ["delivered"]),
        ([("0A0", "delivered"), ("0A1", "rejected")], ["enroute", "operator_reject"]),
        ([("0A0", "expired")], ["expired"]),
    ],
)
async def test_long_text_is_delivered_when_all_its_parts_are(
    tmp_path: Path, reported: list[tuple[str, str]], outcomes: list[str]
) -> None:
    async with VendorServer(TWO_PARTS) as vendor, vonage_to(vendor.url, tmp_path) as route:
        taken = await route.submit(some_outgoing())
        receipts = [
            one for ref, status in reported for one in route.receive(vonage(ref, status), "t0ken", now=NOW)
        ]

    assert taken == CarrierRef("main", "0A1")
    assert [(one.carrier, one.outcome) for one in receipts] == [(taken, outcome) for outcome in outcomes]
    assert [one.evidence.rpartition(" ")[2] for one in receipts] == [
        f"part:{int(ref[-1]) + 1}/2" for ref, _ in reported
    ]


async def test_receipt_of_a_part_that_overtakes_the_answer_counts(tmp_path: Path) -> None:
    async with (
        VendorServer(Say(fault="silent"), TWO_PARTS) as vendor,
        vonage_to(vendor.url, tmp_path) as route,
    ):
        slow = asyncio.create_task(route.submit(some_outgoing()))
        await asyncio.wait_for(vendor.came.wait(), 10)
        route.receive(vonage("0A0", "delivered"), "t0ken", now=NOW)
        taken = await route.submit(some_outgoing())
        (last,) = route.receive(vonage("0A1", "delivered"), "t0ken", now=NOW)
        slow.cancel()
        await asyncio.gather(slow, return_exceptions=True)

    assert (last.carrier, last.outcome) == (taken, "delivered")


async def test_no_is_a_refusal_and_what_no_table_knows_is_counted() -> None:
    async with VendorServer(NO, Say(400, b'{"code":90001}')) as vendor, route_to(vendor.url) as route:
        with pytest.raises(CarrierRejected) as refused:
            await route.submit(some_outgoing())
        with pytest.raises(CarrierRejected):
            await route.submit(some_outgoing())

    assert (refused.value.status, refused.value.outcome) == ("21211", "unknown_number")
    assert dict(route.unmapped) == {"90001": 1}


@pytest.mark.parametrize("fault", ["silent", "cut", "half"])
async def test_answer_that_does_not_come_leaves_the_outcome_unknown(fault: str) -> None:
    say = Say(201, YES.body, fault)
    async with VendorServer(say) as vendor, route_to(vendor.url, total_s=0.3) as route:
        with pytest.raises(CarrierUnavailable) as unclear:
            await route.submit(some_outgoing())

    assert unclear.value.outcome_unknown


async def test_life_of_the_code_ends_the_wait_before_the_deadline() -> None:
    loop = asyncio.get_running_loop()
    async with VendorServer(Say(fault="silent")) as vendor, route_to(vendor.url, total_s=30) as route:
        begun = loop.time()
        with pytest.raises(CarrierUnavailable):
            await route.submit(some_outgoing(validity_s=1))
        assert loop.time() - begun < 10
        # Its end is not waited for either: nothing is under way.
        assert route.in_flight == 0


async def test_nobody_there_means_that_nothing_was_sent() -> None:
    async with route_to(f"http://127.0.0.1:{free_port()}") as route:
        with pytest.raises(CarrierUnavailable) as unavailable:
            await route.submit(some_outgoing())

    assert not unavailable.value.outcome_unknown


async def test_route_says_when_its_receipts_cannot_come_in() -> None:
    async with VendorServer(YES) as vendor:
        carrier = some_carrier("twilio", base_url=vendor.url)
        async with HttpRoute("main", carrier, Callback(("t0ken",)), foreign=is_foreign) as deaf:
            await asyncio.wait_for(deaf.wait_warm(), 10)
            told = deaf.reason
        async with route_to(vendor.url) as route:
            await asyncio.wait_for(route.wait_warm(), 10)
            assert route.reason == "Twilio Programmable Messaging is reached over HTTP"

    assert told.endswith("; its receipts cannot come in, for server.public_url is not set")


async def test_answer_without_end_is_cut_short() -> None:
    flood = Say(201, b" " * (ANSWER_OCTETS_MAX + 1) + YES.body)
    async with VendorServer(flood) as vendor, route_to(vendor.url) as route:
        with pytest.raises(CarrierUnavailable) as unclear:
            await route.submit(some_outgoing())

    assert unclear.value.outcome_unknown


async def test_redirect_is_not_followed() -> None:
    async with VendorServer(YES) as thief:
        away = Say(307, b"", headers=(f"location: {thief.url}/",))
        async with VendorServer(away) as vendor, route_to(vendor.url) as route:
            with pytest.raises(CarrierRejected) as refused:
                await route.submit(some_outgoing())

    assert (refused.value.status, thief.seen) == ("http_307", [])


async def test_full_window_sends_a_message_elsewhere_at_once() -> None:
    async with VendorServer(Say(fault="silent")) as vendor, route_to(vendor.url, window=1) as route:
        first = asyncio.create_task(route.submit(some_outgoing()))
        await asyncio.wait_for(vendor.came.wait(), 10)

        assert (route.available, route.in_flight, route.in_flight_max) == (True, 1, 1)
        with pytest.raises(CarrierFull) as busy:
            await route.submit(some_outgoing())
        first.cancel()
        await asyncio.gather(first, return_exceptions=True)

    assert not busy.value.outcome_unknown


async def test_rate_of_the_contract_leaves_little_room_and_its_end_is_told_at_once() -> None:
    async with VendorServer(YES) as vendor, route_to(vendor.url, rate_per_s=0.01) as route:
        before = route.in_flight_max
        await route.submit(some_outgoing())
        with pytest.raises(CarrierFull) as full:
            await route.submit(some_outgoing())
        room = (route.available, route.in_flight_max, route.in_flight)

    assert (before, room, len(vendor.seen)) == (2, (True, 0, 0), 1)
    assert not full.value.outcome_unknown


async def test_carrier_that_throttles_gets_half_of_what_it_got() -> None:
    throttle = Say(429, b'{"code":20429,"status":429}')
    async with VendorServer(*[YES] * 8, throttle) as vendor, route_to(vendor.url) as route:
        await asyncio.wait_for(route.wait_warm(), 10)
        for _ in range(8):
            await route.submit(some_outgoing())
        free = route.in_flight_max
        with pytest.raises(CarrierRejected) as refused:
            await route.submit(some_outgoing())
        slowed, told = route.in_flight_max, route.reason

    assert (free, refused.value.outcome) == (50, "throttled")
    assert slowed <= 2
    assert re.search(r"it throttles, so it gets [0-9.]+ requests/s at present$", told)


async def test_rate_of_the_profile_counts_where_the_carrier_has_none(tmp_path: Path) -> None:
    file = tmp_path / "own.toml"
    file.write_text("rate_per_s = 7\n" + (PROFILES.folder / "twilio.toml").read_text())
    given = {"profile_file": str(file), "account": "a", "secret": "s"}

    rates = [read_http_settings({**given, **more}).rate_per_s for more in ({}, {"rate_per_s": 9})]

    assert rates == [7.0, 9.0]


async def test_packed_answer_is_not_unpacked() -> None:
    packed = Say(201, gzip.compress(YES.body), headers=("content-encoding: gzip",))
    async with VendorServer(packed) as vendor, route_to(vendor.url) as route:
        with pytest.raises(CarrierUnavailable) as unclear:
            await route.submit(some_outgoing())

    assert unclear.value.outcome_unknown
    assert vendor.seen[0].headers["accept-encoding"] == "identity"


async def test_codes_without_end_are_counted_in_one_place() -> None:
    says = [Say(400, b'{"code":"x%d"}' % number) for number in range(UNMAPPED_MAX + 2)]
    refused = []
    async with VendorServer(*says) as vendor, route_to(vendor.url) as route:
        for _ in says:
            with pytest.raises(CarrierRejected) as refusal:
                await route.submit(some_outgoing())
            refused.append(refusal.value.status)

    assert len(set(refused)) == UNMAPPED_MAX + 1
    assert route.unmapped["others"] == 2


async def test_closed_route_takes_nothing() -> None:
    async with VendorServer(YES) as vendor:
        async with route_to(vendor.url) as route:
            pass

        assert (route.available, route.reason) == (False, "it is closed")
        with pytest.raises(CarrierUnavailable):
            await route.submit(some_outgoing())


async def test_number_code_and_secret_are_in_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with VendorServer(NO, Say(500, b"482913")) as vendor, route_to(vendor.url) as route:
        for _ in range(2):
            with pytest.raises((CarrierRejected, CarrierUnavailable)):
                await route.submit(some_outgoing())

    written = [record.getMessage() for record in caplog.records if record.name != "asyncio"]
    assert not any(hidden in line for line in written for hidden in ("482913", "9876543210", "k3y"))


def test_account_of_digits_is_a_text() -> None:
    given = {"profile": "exotel", "account": 2000012345, "secret": 7, "options": {"sid": 42}, "sender": 9190}

    carrier = read_http_settings(given)

    assert (carrier.settings.account, carrier.settings.secret) == ("2000012345", "7")
    assert (carrier.options["sid"], carrier.settings.sender) == ("42", "9190")


def unsigned(token: str) -> Callable[[], object]:
    route = HttpRoute(
        "main", some_carrier("msg91"), Callback(("t0ken", "0ld"), CALLBACK_URL), foreign=is_foreign
    )
    return lambda: route.receive(some_hook('{"requestId":"r1","status":"1"}'), token, now=NOW)


@pytest.mark.parametrize("token", ["t0ken", "0ld"])
def test_webhook_with_the_secret_of_any_kept_key_is_read(token: str) -> None:
    assert unsigned(token)()


@pytest.mark.parametrize("token", ["", "t0keN", "wörng"])
def test_webhook_with_another_secret_is_not(token: str) -> None:
    with pytest.raises(Unauthenticated):
        unsigned(token)()


def test_webhook_with_the_secret_still_needs_the_signature() -> None:
    route = route_to("")

    with pytest.raises(Unauthenticated):
        route.receive(some_hook("MessageSid=SM01&MessageStatus=delivered"), "t0ken", now=NOW)


def test_webhook_of_a_carrier_without_any_receipt_is_malformed() -> None:
    route = HttpRoute("main", some_carrier("msg91"), Callback(("t0ken",)), foreign=is_foreign)

    with pytest.raises(MalformedRequest):
        route.receive(some_hook("x=1"), "t0ken", now=NOW)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (
            {"profile": "twilo", "account": "a", "secret": "s"},
            "there is no profile `twilo`. Did you mean `twilio`?",
        ),
        ({"profile": "twilio", "account": "a"}, "`secret` is missing: the auth token"),
        ({"profile": "msg91", "secret": "s"}, "options has no `flow_id`: the id of your template"),
        (
            {"profile": "msg91", "secret": "s", "options": {"flowid": "x"}},
            "no option `flowid`. Did you mean `flow_id`?",
        ),
        ({"profile_file": "mine.toml"}, "profile_file must be the whole path"),
        ({"profile_file": "/dev/zero"}, "profile_file must be the whole path"),
        ({"secret": "s"}, "give `profile` or `profile_file`"),
        (
            {"profile": "twilio", "account": "a", "secret": "s", "base_url": "http://x.example"},
            "must begin with https://",
        ),
        (
            {"profile": "twilio", "account": "a", "secret": "s", "base_url": "https://x/y"},
            "a scheme and a host",
        ),
    ],
)
def test_settings_that_cannot_work_are_refused_in_words(settings: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=re.escape(said)):
        read_http_settings(settings)
