"""A call by an HTTP carrier on a running program, as operator, vendor, person and thief see it."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import httpx
import pytest

from bench.processes import free_port
from tests.support.api_client import ApiClient
from tests.support.patience import until
from tests.support.serve_installation import Installation
from tests.support.vendor_server import Say, VendorServer
from tests.support.voice_vendor import (
    PlivoVoice,
    Shape,
    Signed,
    TwilioVoice,
    VendorCall,
    VoiceVendor,
    VonageVoice,
)
from tests.support.weak_vendor import codes_said, exotel, infobip, text_address

T = TypeVar("T")

CARRIERS = "/v1/admin/carriers"
PUBLIC_URL = "https://otp.example.in"
TO = "+919876543210"
SHAPES: dict[str, Callable[[], Shape]] = {"twilio": TwilioVoice, "plivo": PlivoVoice, "vonage": VonageVoice}


class Watched(Installation):
    """One whose figures can be read."""

    def __init__(self, directory: Path) -> None:
        self._ops = f"127.0.0.1:{free_port()}"
        super().__init__(
            directory,
            DASTAK__SERVER__PUBLIC_URL=PUBLIC_URL,
            DASTAK__SERVER__OPS_LISTEN=self._ops,
            DASTAK__LOG__LEVEL="debug",
        )

    def refused(self) -> dict[str, float]:
        """Read how many requests got nothing, by reason."""
        text = ApiClient(f"http://{self._ops}", None).get("/metrics").body.decode()
        lines = [line for line in text.splitlines() if line.startswith("dastak_call_hooks_refused_total{")]
        return {line.split('reason="')[1].split('"')[0]: float(line.split()[-1]) for line in lines}


@pytest.fixture
def installation(tmp_path: Path) -> Iterator[Watched]:
    with Watched(tmp_path / "dastak") as running:
        yield running


@asynccontextmanager
async def vendor_of(installation: Installation, shape: Shape) -> AsyncIterator[VoiceVendor]:
    async with (
        httpx.AsyncClient(base_url=installation.url, trust_env=False, timeout=15) as reach,
        VoiceVendor(shape, PUBLIC_URL, reach) as vendor,
    ):
        yield vendor


def ask(act: Callable[..., T], *arguments: Any, **named: Any) -> Any:
    """Do in a thread what waits, so that the vendor can answer meanwhile."""
    return asyncio.to_thread(act, *arguments, **named)


def operator_of(installation: Installation) -> ApiClient:
    made = installation.command(
        "keys", "create", "--name", "operator", "--mode", "live", "--scope", "operator"
    )
    client = ApiClient(installation.url, made["key"])
    until(lambda: client.get(CARRIERS).status == 200)
    return client


def add(installation: Installation, settings: dict[str, Any]) -> ApiClient:
    """Add the carrier and return a customer's program that may ask for calls."""
    operator = operator_of(installation)
    body = {"name": "call", "kind": "http_voice", "settings": settings}
    answer = operator.post(CARRIERS, body)
    assert answer.status == 201, answer
    until(lambda: operator.get(f"{CARRIERS}/call").body["available"])
    return installation.live_client()


def begun(api: ApiClient, to: str = TO) -> str:
    """Start a verification by a call as soon as there is a way, and return its id."""

    def begin() -> Any:
        started = api.start(to, channel="voice")
        return started if started.status == 201 else None

    return str(until(begin).body["id"])


def steps(api: ApiClient, of: str) -> list[str]:
    return [event["step"] for event in api.timeline(of) if event["type"] == "call"]


def event(api: ApiClient, of: str, kind: str) -> dict[str, Any]:
    """Wait until a timeline has an event."""
    return until(lambda: next((one for one in api.timeline(of) if one["type"] == kind), None))


async def called(installation: Installation, vendor: VoiceVendor) -> tuple[ApiClient, str, VendorCall]:
    api = await ask(add, installation, vendor.settings())
    of = await ask(begun, api)
    return api, of, await vendor.call()


@pytest.mark.parametrize("name", SHAPES)
async def test_code_that_was_said_after_the_digit_approves_and_is_written_nowhere(
    installation: Installation, name: str
) -> None:
    async with vendor_of(installation, SHAPES[name]()) as vendor:
        api, of, call = await called(installation, vendor)
        await call.rings()
        await call.answer()
        before = call.code
        await call.press(call.gate)
        await call.press("1")
        await call.press("")
        delivered = await ask(event, api, of, "delivered")
        told = await ask(until, lambda: "hung_up" in (seen := steps(api, of)) and seen)
        checked = await ask(api.check, of, call.code[:6])

    assert before == ""
    assert call.code == call.code[:6] * 3
    assert checked.body["approved"] is True
    assert delivered["evidence"] == "call:said"
    assert told == [
        "dialled", "ringing", "answered", "right_key", "spoken", "spoken", "again", "spoken", "hung_up",
    ]  # fmt: skip
    code, log = call.code[:6], installation.program.log()
    written = repr([(seen.target, seen.headers, seen.body) for seen in vendor.api.seen])
    assert code not in written + call.script_url + call.status_url + log + repr(await ask(api.timeline, of))
    # Nor the addresses that lead to it.
    assert call.script_url.split("/")[-2] not in log


async def test_wrong_key_voicemail_and_busy_hear_no_code_and_say_so(installation: Installation) -> None:
    found: list[tuple[str, str]] = []
    async with vendor_of(installation, TwilioVoice()) as vendor:
        api = await ask(add, installation, vendor.settings())
        for number, keys in (("+919876543211", ["0"]), ("+919876543212", ["", ""]), ("+919876543213", None)):
            of = await ask(begun, api, number)
            call = await vendor.call()
            if keys is None:
                await call.tell("busy")
            else:
                await call.answer()
                wrong = str((int(call.gate) + 1) % 10)
                for key in keys:
                    await call.press(wrong if key else "")
            lost = await ask(event, api, of, "undelivered")
            found.append((lost["outcome"], call.code))

    assert found == [("wrong_key", ""), ("no_human", ""), ("busy", "")]


async def test_who_did_not_ask_ends_the_verification_by_a_key(installation: Installation) -> None:
    async with vendor_of(installation, TwilioVoice()) as vendor:
        api, of, call = await called(installation, vendor)
        await call.answer()
        await call.press(call.gate)
        await call.press("9")
        canceled = await ask(event, api, of, "canceled")
        checked = await ask(api.check, of, call.code[:6])

    assert (canceled["cause"], checked.status) == ("reported", 409)
    assert call.heard[-2:] == ["Thank you. This code no longer works.", "Goodbye."]


@pytest.mark.parametrize("name", SHAPES)
async def test_thief_of_an_address_gets_nothing_and_is_counted(installation: Watched, name: str) -> None:
    async with vendor_of(installation, SHAPES[name]()) as vendor:
        _, _, call = await called(installation, vendor)
        await call.answer()
        gate = call.gate
        replayed = [await call.replay() for _ in range(2)]
        forged = vendor.shape.sign(call.script_url, vendor.shape.fields("CA01", "in-progress", gate))
        assert call.document is not None
        stolen = call.document.next_url
        unsigned = Signed({"content-type": forged.headers["content-type"]}, forged.body)
        statuses = [
            *replayed,
            await vendor.post(stolen, unsigned),
            await vendor.post(stolen, Signed({**forged.headers, "authorization": "Bearer a.b.c"}, b"x=1")),
            await vendor.post(f"{stolen[:-1]}7", vendor.shape.sign(f"{stolen[:-1]}7", {})),
            await vendor.post(stolen.replace("/calls/", "/calls/x"), forged),
        ]
        await call.press(gate)
        after = [await call.replay(), (await vendor.get(stolen)).status_code]
        metrics = await ask(installation.refused)

    assert statuses == [404] * 6
    assert after == [404, 404]
    assert len(call.code) == 12
    assert metrics["unsigned"] == 2
    assert metrics["unknown"] == 1
    assert metrics["replayed"] >= 4


async def test_canceling_ends_the_ringing_and_the_call_has_nothing_to_say(installation: Installation) -> None:
    async with vendor_of(installation, TwilioVoice()) as vendor:
        api, of, call = await called(installation, vendor)
        await call.rings()
        assert (await ask(api.post, f"/v1/verifications/{of}/cancel")).status == 200
        await ask(until, lambda: vendor.ended)
        await call.answer()

    (ended,) = vendor.ended
    assert (ended.target.rpartition("/")[2], ended.body) == ("CA01.json", b"Status=canceled")
    assert call.heard == []


@pytest.mark.parametrize("name", SHAPES)
async def test_number_of_the_page_that_is_typed_approves_and_is_written_nowhere(
    installation: Installation, name: str
) -> None:
    async with vendor_of(installation, SHAPES[name]()) as vendor:
        api = await ask(add, installation, vendor.settings())
        started = await ask(until, lambda: (one := api.start(TO, match=True)).status == 201 and one)
        of, number = started.body["id"], started.body["match_number"]
        call = await vendor.call()
        await call.answer()
        await call.press(number)
        await ask(event, api, of, "approved")
        told = await ask(until, lambda: "hung_up" in (seen := steps(api, of)) and seen)
        timeline = await ask(api.timeline, of)

    assert told == ["dialled", "answered", "typed", "hung_up"]
    said = [value for one in timeline for what, value in one.items() if what not in ("at", "carrier_ref")]
    assert number not in said
    assert call.code == ""
    assert call.heard[-1] == "Goodbye."


async def test_weak_vendor_must_be_wanted(installation: Installation) -> None:
    settings = {"profile": "infobip", "secret": "k", "caller": TO, "options": {"host": "a.api.infobip.com"}}

    def act() -> tuple[Any, Any]:
        operator = operator_of(installation)
        body = {"name": "weak", "kind": "http_voice", "settings": settings}
        refused = operator.post(CARRIERS, body)
        taken = operator.post(CARRIERS, {**body, "settings": {**settings, "without_gate": True}})
        return refused, taken

    refused, taken = await asyncio.to_thread(act)

    assert (refused.status, taken.status) == (422, 201)
    assert "a voicemail too" in refused.body["detail"]


async def test_exotel_fetches_the_text_once_and_the_code_it_says_approves(installation: Watched) -> None:
    async with vendor_of(installation, exotel()) as vendor:
        api, of, call = await called(installation, vendor)
        address = text_address(call.status_url, call.script_url)
        texts = [await vendor.get(address) for _ in range(2)]
        await call.tell("completed")
        delivered = await ask(event, api, of, "delivered")
        codes = codes_said(texts[0].text)
        checked = await ask(api.check, of, codes[0])
        told, refused = await ask(api.timeline, of), await ask(installation.refused)

    assert [text.status_code for text in texts] == [200, 404]
    assert len(codes) == 2
    assert len(set(codes)) == 1
    assert checked.body["approved"] is True
    assert delivered["evidence"] == "call:completed (without a digit before the code)"
    assert [one["step"] for one in told if one["type"] == "call"][:2] == ["dialled", "answered"]
    assert refused["replayed"] == 1
    log = installation.program.log()
    written = repr([(seen.target, seen.headers, seen.body) for seen in vendor.api.seen])
    assert codes[0] not in written + call.status_url + address + log + repr(told)
    assert address.split("/")[-2] not in log


@pytest.mark.parametrize(
    ("end", "outcome"),
    [
        ("DELIVERED", "delivered"),
        ("UNDELIVERABLE:EC_VOICE_USER_BUSY", "busy"),
        ("UNDELIVERABLE:EC_VOICE_ANSWERING_MACHINE", "no_human"),
    ],
)
async def test_infobip_is_given_the_text_and_its_report_is_the_end(
    installation: Watched, end: str, outcome: str
) -> None:
    async with vendor_of(installation, infobip()) as vendor:
        api, of, call = await called(installation, vendor)
        (message,) = json.loads(call.request.body)["messages"]
        codes = codes_said(message["text"])
        stranger = await vendor.post(f"{call.status_url[:-1]}x", vendor.shape.sign("", {"results": "[]"}))
        await call.tell(end)
        ended = await ask(event, api, of, "delivered" if outcome == "delivered" else "undelivered")
        checked = await ask(api.check, of, codes[0])
        told = await ask(api.timeline, of)

    assert len(codes) == 2
    assert len(set(codes)) == 1
    assert ended.get("outcome", "delivered") == outcome
    # What a machine heard stays right: the vendor asked nobody for a digit, and the operator chose it so.
    assert checked.body["approved"] is True
    assert stranger == 404
    assert codes[0] not in installation.program.log() + repr(told)


async def test_trial_calls_and_its_end_is_its_report(installation: Installation) -> None:
    async with vendor_of(installation, TwilioVoice()) as vendor:
        operator = await ask(operator_of, installation)
        body = {"name": "call", "kind": "http_voice", "settings": vendor.settings()}
        assert (await ask(operator.post, CARRIERS, body)).status == 201
        await ask(until, lambda: operator.get(f"{CARRIERS}/call").body["available"])
        trial = asyncio.create_task(ask(operator.post, f"{CARRIERS}/call/test", {"to": TO}))
        call = await vendor.call()
        await call.answer()
        await call.press(call.gate)
        await call.press("")
        report = await trial

    assert report.status == 200, report
    assert (report.body["delivered"], report.body["outcome"]) == (True, "delivered")
    told = {step["name"]: step["words"] for step in report.body["steps"]}
    assert told["submit"].startswith("a call to +9198*")
    assert told["connect"] == "Twilio Programmable Voice is reached over HTTP"
    assert call.code == "000000" * 2


async def test_trial_without_a_server_says_that_one_is_needed(tmp_path: Path) -> None:
    def act(base_url: str) -> Any:
        installation = Installation(tmp_path / "dastak")
        secret = tmp_path / "secret"
        secret.write_text("s3cret")
        settings = {"profile": "twilio", "account": "AC01", "caller": "+911600123456", "base_url": base_url}
        given = [word for name, value in settings.items() for word in ("--set", f"{name}={value}")]
        file = ("--secret-file", f"secret={secret}")
        installation.command("carrier", "add", "call", "--kind", "http_voice", *given, *file)
        return installation.command("carrier", "test", "call", "--to", TO, expect=4)

    async with VendorServer(Say()) as server:
        report = await asyncio.to_thread(act, server.url)

    (step,) = report["steps"]
    assert step["words"] == "it cannot fetch what to say, for it has no address of ours"
    assert step["next"].endswith("--on-server")
    assert server.seen == []
