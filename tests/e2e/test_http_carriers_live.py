"""An HTTP carrier from its command to its receipt, on a running program, as operator and vendor see it."""

import asyncio
import json
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import pytest
from twilio.request_validator import RequestValidator

from tests.support.api_client import Answer, ApiClient
from tests.support.patience import until
from tests.support.serve_installation import Installation
from tests.support.vendor_server import Say, VendorServer

CARRIERS = "/v1/admin/carriers"
PUBLIC_URL = "https://otp.example.in"
SECRET = "0123456789abcdef0123456789abcdef"
FORM = "application/x-www-form-urlencoded"
TO = "+919876543210"
RATE_PER_S = 4
TEXTS = 8
FLOW = {"flow_id": "64a1b2c3d4e5f60718293a4b"}


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Installation]:
    with Installation(tmp_path / "dastak", DASTAK__SERVER__PUBLIC_URL=PUBLIC_URL) as running:
        yield running


@pytest.fixture
async def vendor() -> AsyncIterator[VendorServer]:
    async with VendorServer(Say(201, b'{"sid":"SM01","status":"queued"}')) as server:
        yield server


def post(url: str, form: dict[str, str], **headers: str) -> Answer:
    place = urlsplit(url)
    client = ApiClient(f"http://{place.netloc}", None)
    return client.post(place.path, urlencode(form).encode(), content_type=FORM, **headers)


def types(api: ApiClient, verification_id: str) -> list[str]:
    return [event["type"] for event in api.timeline(verification_id)]


def operator_of(installation: Installation) -> ApiClient:
    made = installation.command(
        "keys", "create", "--name", "operator", "--mode", "live", "--scope", "operator"
    )
    client = ApiClient(installation.url, made["key"])
    until(lambda: client.get(CARRIERS).status == 200)
    return client


def twilio_at(url: str) -> dict[str, Any]:
    settings = {
        "profile": "twilio",
        "account": "AC01",
        "secret": SECRET,
        "base_url": url,
        "sender": "+12025550100",
    }
    return {"name": "tw", "kind": "http", "settings": settings}


def begun(api: ApiClient) -> str:
    """Start a verification as soon as there is a way, and return its id."""

    def begin() -> Answer | None:
        started = api.start(TO)
        return started if started.status == 201 else None

    return str(until(begin).body["id"])


def submitted(api: ApiClient) -> str:
    """Start a verification and return its id once the vendor has taken its text."""
    verification_id = begun(api)
    until(lambda: "submitted" in types(api, verification_id))
    return verification_id


async def test_command_adds_a_carrier_that_takes_the_next_text(
    installation: Installation, vendor: VendorServer, tmp_path: Path
) -> None:
    def act() -> str:
        secret = tmp_path / "token"
        secret.write_text(SECRET + "\n")
        installation.command(
            *("carrier", "add", "tw", "--kind", "http", "--set", "profile=twilio", "--set", "account=AC01"),
            *("--set", f"base_url={vendor.url}", "--set", "sender=+12025550100"),
            *("--secret-file", f"secret={secret}"),
        )
        return submitted(installation.live_client())

    await asyncio.to_thread(act)

    form = dict(parse_qsl(vendor.seen[-1].body.decode()))
    assert (form["To"], form["From"]) == (TO, "+12025550100")
    assert form["StatusCallback"].startswith(f"{PUBLIC_URL}/hooks/carriers/tw/")
    assert SECRET not in installation.program.log()


async def test_receipt_counts_once_and_only_when_it_is_signed(
    installation: Installation, vendor: VendorServer
) -> None:
    def act() -> tuple[list[int], list[str], list[str]]:
        operator = operator_of(installation)
        assert operator.post(CARRIERS, twilio_at(vendor.url)).status == 201
        api = installation.live_client()
        verification_id = submitted(api)
        sent = dict(parse_qsl(vendor.seen[-1].body.decode()))
        url, here = sent["StatusCallback"], sent["StatusCallback"].replace(PUBLIC_URL, installation.url)
        form = {"MessageSid": "SM01", "MessageStatus": "delivered"}
        signature = RequestValidator(SECRET).compute_signature(url, form)

        statuses = [
            post(here, form).status,
            post(here, form, x_twilio_signature=signature[::-1]).status,
            post(here[:-4] + "aaaa", form, x_twilio_signature=signature).status,
            post(here.replace("/tw/", "/other/"), form, x_twilio_signature=signature).status,
        ]
        before = types(api, verification_id)
        statuses += [post(here, form, x_twilio_signature=signature).status for _ in range(3)]
        return statuses, before, types(api, verification_id)

    statuses, before, after = await asyncio.to_thread(act)

    assert statuses == [401, 401, 401, 401, 200, 200, 200]
    assert "delivered" not in before
    # The answer left after the receipt was durable, so it is there at once, and once.
    assert after.count("delivered") == 1


async def test_more_texts_than_the_rate_allows_wait_and_all_leave(
    installation: Installation, vendor: VendorServer
) -> None:
    def act() -> tuple[float, list[list[str]]]:
        wanted = twilio_at(vendor.url)
        wanted["settings"]["rate_per_s"] = RATE_PER_S
        assert operator_of(installation).post(CARRIERS, wanted).status == 201
        api = installation.live_client()
        submitted(api)
        begun_at = time.monotonic()
        started = [api.start(f"+9198765432{n:02d}").body["id"] for n in range(20, 20 + TEXTS)]
        until(lambda: all("submitted" in types(api, one) for one in started), within_s=30)
        return time.monotonic() - begun_at, [types(api, one) for one in started]

    took_s, timelines = await asyncio.to_thread(act)

    # One token may be there at the beginning; the others come with time.
    assert took_s >= (TEXTS - 1) / RATE_PER_S
    assert len({dict(parse_qsl(seen.body.decode()))["To"] for seen in vendor.seen}) == TEXTS + 1
    # They waited in the lane, so that nobody was refused.
    assert not [timeline for timeline in timelines if "refused" in timeline]


async def test_late_receipt_of_a_carrier_that_is_off_counts_until_it_is_removed(
    installation: Installation, vendor: VendorServer
) -> None:
    def act() -> tuple[list[int], list[str], list[str], bool]:
        operator = operator_of(installation)
        assert operator.post(CARRIERS, twilio_at(vendor.url)).status == 201
        api = installation.live_client()
        verification_id = submitted(api)
        url = dict(parse_qsl(vendor.seen[-1].body.decode()))["StatusCallback"]
        here = url.replace(PUBLIC_URL, installation.url)
        form = {"MessageSid": "SM01", "MessageStatus": "delivered"}
        signature = RequestValidator(SECRET).compute_signature(url, form)

        installation.command("carrier", "off", "tw", "--why", "contract ended")
        until(lambda: operator.get(f"{CARRIERS}/tw").body["link"] == "it is off")
        statuses = [post(here, form).status]
        before = types(api, verification_id)
        statuses += [post(here, form, x_twilio_signature=signature).status]
        after = types(api, verification_id)
        bound = operator.get(f"{CARRIERS}/tw").body["available"]
        assert operator.post(f"{CARRIERS}/tw/remove", {"why": "contract ended"}).status == 200
        until(lambda: post(here, form, x_twilio_signature=signature).status == 401)
        return statuses, before, after, bound

    statuses, before, after, bound = await asyncio.to_thread(act)

    assert statuses == [401, 200]
    assert ("delivered" in before, "delivered" in after, bound) == (False, True, False)


async def test_receipt_that_comes_before_its_message_is_kept_for_it(
    installation: Installation, vendor: VendorServer
) -> None:
    def act() -> list[str]:
        operator = operator_of(installation)
        settings = {"profile": "msg91", "secret": SECRET, "base_url": vendor.url, "options": FLOW}
        assert operator.post(CARRIERS, {"name": "msg", "kind": "http", "settings": settings}).status == 201
        vendor.answers[:] = [Say(200, b'{"type":"success","message":"r1"}')]
        api = installation.live_client()
        hook = hook_of(installation, "msg")
        report = [{"requestId": "r1", "report": [{"number": "919876543211", "status": "1"}]}]
        until(lambda: post(hook, {"data": json.dumps(report)}).status == 200)

        verification_id = begun(api)
        return until(lambda: (seen := types(api, verification_id)) and "delivered" in seen and seen)

    assert "delivered" in await asyncio.to_thread(act)
    assert json.loads(vendor.seen[-1].body)["recipients"][0]["VAR1"].isdecimal()


def hook_of(installation: Installation, name: str) -> str:
    """Ask the command line for the address that is put into the vendor's console."""
    shown = installation.command("carrier", "hook", name)
    return str(shown["url"]).replace(PUBLIC_URL, installation.url)


async def test_webhook_that_is_too_large_or_strange_is_refused(
    installation: Installation, vendor: VendorServer
) -> None:
    def act() -> list[int]:
        operator = operator_of(installation)
        settings = {"profile": "msg91", "secret": SECRET, "base_url": vendor.url, "options": FLOW}
        assert operator.post(CARRIERS, {"name": "msg", "kind": "http", "settings": settings}).status == 201
        hook = hook_of(installation, "msg")
        until(lambda: post(hook, {"x": "1"}).status != 401)
        place = urlsplit(hook)
        client = ApiClient(f"http://{place.netloc}", None)
        return [
            post(hook, {"data": "x" * 20_000}).status,
            post(hook, {"data": "["}).status,
            client.post(place.path, b"\xff\x00").status,
            client.put(place.path, {}).status,
        ]

    assert await asyncio.to_thread(act) == [413, 400, 400, 404]


async def test_profile_that_is_wrong_is_refused_with_the_right_word(
    installation: Installation, vendor: VendorServer, tmp_path: Path
) -> None:
    def act() -> Answer:
        file = tmp_path / "mine.toml"
        file.write_text('titel = "Mine"\n')
        settings = {"profile_file": str(file), "secret": SECRET}
        return operator_of(installation).post(
            CARRIERS, {"name": "mine", "kind": "http", "settings": settings}
        )

    answer = await asyncio.to_thread(act)

    assert answer.status == 422
    assert "there is no key `titel`. Did you mean `title`?" in answer.body["detail"]
    assert SECRET not in repr(answer)
