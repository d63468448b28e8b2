"""Calls over HTTP through our own pages: a vendor fetches, presses and tells, well and badly."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest
from starlette.applications import Starlette

from dastak.api.call_hooks import call_routes
from dastak.core.errors import CarrierFull, CarrierRejected, CarrierUnavailable
from dastak.core.events import MessageDelivered, VerificationApproved
from dastak.core.message import MessageKey, Receipt
from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.core.way_out import Outgoing
from dastak.http_carriers.http_route import Callback
from dastak.http_voice.call_settings import read_call_settings
from dastak.http_voice.http_voice_route import HttpVoiceRoute, refused_hooks
from dastak.steady_clock import SteadyClock
from dastak.voice.prompt_words import all_words
from tests.support.samples import some_verification
from tests.support.vendor_server import Say
from tests.support.voice_vendor import PlivoVoice, Shape, Signed, TwilioVoice, VoiceVendor, VonageVoice
from tests.support.weak_vendor import exotel, infobip

PUBLIC = "https://otp.example.in"
HOOK = f"{PUBLIC}/hooks/carriers/main/s3cr3t"
CODE = "482913"
VERIFICATION = some_verification()
KEY = MessageKey(VERIFICATION.id, 1)
ENGLISH = all_words()["en"]
SHAPES: dict[str, Callable[[], Shape]] = {"twilio": TwilioVoice, "plivo": PlivoVoice, "vonage": VonageVoice}


def outgoing(**changes: Any) -> Outgoing:
    plain = {
        "key": KEY,
        "msisdn": Msisdn("+919876543210"),
        "text": "",
        "sender": "ACMEIN",
        "validity_s": 300,
        "code": CODE,
        "locale": "en",
        "brand": "Acme & <Sons>",
    }
    return Outgoing(**{**plain, **changes})


class Ears:
    """Hears what a route tells."""

    def __init__(self) -> None:
        self.receipts: list[Receipt] = []
        self.steps: list[tuple[str, str]] = []

    def take(self, receipt: Receipt, acknowledge: Callable[[bool], None]) -> None:
        self.receipts.append(receipt)
        acknowledge(True)

    def step(self, key: MessageKey, step: str, detail: str) -> None:
        assert key.verification == KEY.verification
        self.steps.append((step, detail))

    @property
    def named(self) -> list[str]:
        return [step for step, _ in self.steps]

    @property
    def outcomes(self) -> list[Outcome]:
        return [receipt.outcome for receipt in self.receipts]


class OneCarrier:
    """A fleet of one route, and no trials."""

    def __init__(self, route: HttpVoiceRoute, ears: Ears) -> None:
        self._route, self.take = route, ears.take

    def hears(self, name: str) -> Any:
        return self._route if name == "main" else None

    def routes(self, _name: str) -> tuple[Any, ...]:
        return ()


class Stage:
    """A route, a vendor, and who hears."""

    def __init__(self, route: HttpVoiceRoute, vendor: VoiceVendor, ears: Ears) -> None:
        self.route, self.vendor, self.ears = route, vendor, ears

    async def called(self, **changes: Any) -> Any:
        await self.route.submit(outgoing(**changes))
        return await self.vendor.call()


@asynccontextmanager
async def stage(shape: Shape, *, digit: int = 7, **settings: Any) -> AsyncIterator[Stage]:
    ears = Ears()
    reach = httpx.AsyncClient(base_url="http://dastak")
    async with VoiceVendor(shape, PUBLIC, reach) as vendor:
        route = HttpVoiceRoute(
            "main",
            read_call_settings(vendor.settings(**settings)),
            ears.take,
            take_step=ears.step,
            callback=Callback(("s3cr3t", "0lder"), HOOK),
            chance=lambda _below: digit,
        )
        house = OneCarrier(route, ears)
        app = Starlette(routes=call_routes(house, house, SteadyClock(None)))  # type: ignore[arg-type]
        await reach.aclose()
        vendor._reach = httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://dastak")
        async with vendor._reach, route:
            yield Stage(route, vendor, ears)


@pytest.fixture(params=SHAPES)
async def scene(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    async with stage(SHAPES[request.param]()) as made:
        yield made


async def test_code_is_said_twice_to_who_presses_the_digit_and_is_delivered(scene: Stage) -> None:
    call = await scene.called()
    await call.rings()
    await call.answer()
    before = list(call.heard)
    await call.press(call.gate)
    await call.press("")

    assert call.gate == "7"
    assert "Acme & <Sons>." in before
    assert call.code == CODE * 2
    assert scene.ears.named == ["dialled", "ringing", "answered", "right_key", "spoken", "spoken", "hung_up"]
    assert scene.ears.outcomes == [Outcome.DELIVERED]
    assert scene.ears.receipts[0].carrier.ref == "CA01"
    assert scene.ears.receipts[0].answered_s is not None
    assert scene.route.in_flight == 0


async def test_code_is_in_no_request_no_address_and_no_step(scene: Stage) -> None:
    call = await scene.called()
    await call.answer()
    await call.press("7")
    await call.press("9")

    asked = repr([(seen.target, seen.headers, seen.body) for seen in scene.vendor.api.seen])
    assert CODE not in asked
    assert CODE not in call.script_url + call.status_url + call.document.next_url
    assert CODE not in repr(scene.ears.steps) + repr(scene.ears.receipts)
    assert not any(word in asked for word in ("four", "Your code"))


async def test_wrong_key_hears_no_code(scene: Stage) -> None:
    call = await scene.called()
    await call.answer()
    await call.press("3")

    assert (call.code, scene.ears.outcomes) == ("", [Outcome.WRONG_KEY])


async def test_voicemail_hears_the_question_twice_and_no_code(scene: Stage) -> None:
    call = await scene.called()
    await call.answer()
    await call.press("")
    await call.press("")

    assert [text for text in call.heard if "press seven" in text] == ["To hear your code, press seven."] * 2
    assert (call.code, scene.ears.outcomes) == ("", [Outcome.NO_HUMAN])


async def test_who_did_not_ask_says_so_by_a_key(scene: Stage) -> None:
    call = await scene.called()
    await call.answer()
    await call.press("7")
    await call.press("9")

    assert scene.ears.outcomes == [Outcome.REPORTED]
    assert call.heard[-2:] == ["Thank you. This code no longer works.", "Goodbye."]


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("busy", Outcome.BUSY), ("no-answer", Outcome.NOT_ANSWERED), ("failed", Outcome.CONGESTION)],
)
async def test_phone_that_does_not_answer_says_why(scene: Stage, state: str, outcome: Outcome) -> None:
    call = await scene.called()
    await call.rings()
    statuses = [await call.tell(state) for _ in range(2)]

    assert statuses == [200, 200]
    assert scene.ears.outcomes == [outcome]
    assert scene.ears.named == ["dialled", "ringing", "hung_up"]


@pytest.mark.parametrize(("until", "outcome"), [("gate", Outcome.HUNG_UP), ("code", Outcome.DELIVERED)])
async def test_hanging_up_early_counts_by_what_was_heard(scene: Stage, until: str, outcome: Outcome) -> None:
    call = await scene.called()
    await call.answer()
    if until == "code":
        await call.press("7")
    await call.hang_up()

    assert scene.ears.outcomes == [outcome]


async def test_page_that_was_fetched_is_not_there_a_second_time(scene: Stage) -> None:
    call = await scene.called()
    await call.answer()
    again = await call.replay()
    await call.press("7")
    code_again = await call.replay()
    late = await scene.vendor.post(call.script_url, scene.vendor.shape.sign(call.script_url, {}))

    assert (again, code_again, late) == (404, 404, 404)
    assert scene.route.desk.refused["replayed"] == 3
    assert refused_hooks([(None, scene.route)])["main", "replayed"] == 3


async def test_who_does_not_sign_as_the_vendor_gets_nothing_and_is_counted(scene: Stage) -> None:
    call = await scene.called()
    fields = scene.vendor.shape.fields("CA01", "in-progress", "")
    good = scene.vendor.shape.sign(call.script_url, fields)
    elsewhere = scene.vendor.shape.sign(call.status_url, {**fields, "x": "1"})
    bare = Signed({"content-type": good.headers["content-type"]}, good.body)

    statuses = [
        await scene.vendor.post(call.script_url, bare),
        await scene.vendor.post(call.script_url, elsewhere._replace(body=good.body)),
        await scene.vendor.post(call.status_url, bare),
    ]

    assert statuses == [404, 404, 404]
    assert scene.route.desk.refused["unsigned"] == 3
    assert scene.ears.named == ["dialled"]
    await call.answer()
    assert call.heard


async def test_guessed_addresses_hold_nothing(scene: Stage) -> None:
    call = await scene.called()
    place = urlsplit(call.script_url).path
    token = place.split("/")[-2]

    for wrong in (
        place.replace(token, token[::-1]),
        place.replace("s3cr3t", "guessed"),
        place.replace("/main/", "/other/"),
        place[:-1] + "1",
        place[:-1] + "-1",
    ):
        url = PUBLIC + wrong
        signed = scene.vendor.shape.sign(url, scene.vendor.shape.fields("CA01", "in-progress", "7"))
        assert await scene.vendor.post(url, signed) in (404, 405)
    assert (await scene.vendor.get(call.script_url)).status_code == 405
    assert (await scene.vendor.get(f"{call.script_url}/says")).status_code == 404
    assert scene.ears.named == ["dialled"]


async def test_code_that_is_not_wanted_any_more_ends_the_call_and_is_not_said(scene: Stage) -> None:
    call = await scene.called()
    await call.rings()
    scene.route.on_event(VERIFICATION, VerificationApproved(0))
    await asyncio.gather(*scene.route._ending)

    # It was answered at the same moment.
    await call.answer()

    assert len(scene.vendor.ended) == 1
    assert (call.heard, call.document.then) == ([], "hang_up")
    assert scene.ears.outcomes == [Outcome.HUNG_UP]
    assert scene.ears.receipts[0].evidence == "call:the code is not wanted any more"


async def test_all_calls_of_a_code_end_with_it() -> None:
    async with stage(TwilioVoice()) as scene:
        calls = [await scene.called(), await scene.called(key=MessageKey(VERIFICATION.id, 2))]
        scene.route.on_event(VERIFICATION, VerificationApproved(0))
        for call in calls:
            await call.answer()

    assert [call.heard for call in calls] == [[], []]
    assert scene.ears.outcomes == [Outcome.HUNG_UP] * 2
    assert scene.route.desk.of(VERIFICATION.id) == ()


async def test_late_text_stops_a_phone_that_rings_and_not_one_that_was_answered() -> None:
    async with stage(TwilioVoice()) as scene:
        call = await scene.called()
        await call.answer()
        scene.route.on_event(VERIFICATION, MessageDelivered(0, 0, ""))
        await call.press("7")
        assert call.code == CODE * 2

        other = await scene.called()
        scene.route.on_event(VERIFICATION, MessageDelivered(0, 1, ""))
        scene.route.on_event(VERIFICATION, MessageDelivered(0, 0, ""))
        await other.answer()

    assert other.heard == []


async def test_states_that_come_late_twice_or_shuffled_change_nothing() -> None:
    async with stage(TwilioVoice()) as scene:
        call = await scene.called()
        await call.answer()
        await call.rings()
        await call.tell("initiated")
        await call.tell("in-progress")
        await call.press("3")
        for state in ("completed", "busy", "ringing"):
            await call.tell(state)

    assert scene.ears.named == ["dialled", "answered", "wrong_key", "hung_up"]
    assert scene.ears.outcomes == [Outcome.WRONG_KEY]


async def test_call_that_overtakes_the_answer_to_its_request_is_settled_once_it_is_known() -> None:
    async with stage(TwilioVoice()) as scene:
        scene.vendor.api.answers = [Say(fault="silent")]
        submitting = asyncio.create_task(scene.route.submit(outgoing()))
        call = await scene.vendor.call()
        await call.answer()
        await call.press("7")
        await call.press("")
        before = list(scene.ears.receipts)
        scene.vendor.api._tasks.pop().cancel()
        ref = await submitting

    assert (before, ref.ref) == ([], "CA01")
    assert scene.ears.outcomes == [Outcome.DELIVERED]


async def test_call_whose_beginning_failed_has_nothing_to_say() -> None:
    async with stage(TwilioVoice()) as scene:
        scene.vendor.api.answers = [Say(fault="cut")]
        with pytest.raises(CarrierUnavailable) as failure:
            await scene.route.submit(outgoing())
        call = await scene.vendor.call()
        await call.answer()

    assert failure.value.outcome_unknown
    assert (call.answers, call.heard) == ([404], [])
    assert scene.route.desk.refused["unknown"] == 1


@pytest.mark.parametrize(
    ("status", "body", "outcome"),
    [
        (400, b'{"code":21211}', Outcome.UNKNOWN_NUMBER),
        (401, b'{"code":20003}', Outcome.ROUTE_CONFIG),
        (429, b'{"code":20429}', Outcome.THROTTLED),
    ],
)
async def test_vendor_that_says_no_says_why(status: int, body: bytes, outcome: Outcome) -> None:
    async with stage(TwilioVoice()) as scene:
        scene.vendor.api.answers = [Say(status, body)]

        with pytest.raises(CarrierRejected) as refusal:
            await scene.route.submit(outgoing())

        assert refusal.value.outcome == outcome
        assert scene.route.in_flight == 0


async def test_no_more_calls_than_are_allowed() -> None:
    async with stage(TwilioVoice(), calls_max=1) as scene:
        call = await scene.called()
        full = scene.route.in_flight_max
        with pytest.raises(CarrierFull):
            await scene.route.submit(outgoing())
        await call.tell("busy")

        assert (full, scene.route.in_flight_max) == (0, 1)
        assert await scene.called()


async def test_addresses_close_with_the_code() -> None:
    async with stage(TwilioVoice()) as scene:
        call = await scene.called(validity_s=1)
        (under_way,) = scene.route.desk.calls
        under_way.timer.cancel()
        scene.route.desk._time_out(under_way)
        await call.answer()

    assert (call.answers, call.heard) == ([404], [])


async def test_machine_is_a_hint_in_the_evidence_and_decides_nothing() -> None:
    async with stage(TwilioVoice(), options={"machine_detection": "Enable"}) as scene:
        call = await scene.called()
        await call.answer()
        await call.tell("in-progress", AnsweredBy="machine_start")
        await call.press("7")
        await call.press("")

    assert scene.ears.outcomes == [Outcome.DELIVERED]
    assert scene.ears.receipts[0].evidence == "call:said machine:machine_start"


async def test_our_recordings_are_played_where_the_vendor_has_no_voice_once_and_in_turn() -> None:
    async with stage(TwilioVoice()) as scene:
        call = await scene.called(locale="ur")
        await call.answer()
        (question,) = call.plays
        first = await scene.vendor.get(question)
        code_url = question.replace("/0/", "/1/")
        too_soon = await scene.vendor.get(code_url)
        await call.press("7")
        menu = [await scene.vendor.get(url) for url in call.plays[-2:]]
        stale = [await scene.vendor.get(url) for url in (question, code_url)]
        often = [(await scene.vendor.get(call.plays[-1])).status_code for _ in range(3)]

    assert call.heard == []
    assert (first.status_code, first.headers["content-type"], first.headers["cache-control"]) == (
        200, "audio/wav", "no-store",
    )  # fmt: skip
    assert first.content[:4] == b"RIFF"
    assert too_soon.status_code == 404
    assert [answer.status_code for answer in menu] == [200, 200]
    assert [answer.status_code for answer in stale] == [404, 404]
    assert often == [200, 200, 404]


async def test_report_of_before_a_restart_is_settled_by_the_vendors_id() -> None:
    async with stage(TwilioVoice()) as scene:
        call = await scene.called()
        (under_way,) = scene.route.desk.calls
        scene.route.desk.forget(under_way)
        scene.route.desk._lately_over.clear()
        statuses = [await call.tell(state) for state in ("ringing", "completed", "busy")]

    assert statuses == [200, 200, 200]
    assert scene.ears.outcomes == [Outcome.BUSY]
    assert scene.ears.receipts[0].carrier.ref == "CA01"


async def test_address_with_the_secret_of_an_older_key_counts() -> None:
    async with stage(TwilioVoice()) as scene:
        call = await scene.called()
        call.status_url = call.status_url.replace("s3cr3t", "0lder")
        await call.rings()

    assert scene.ears.named == ["dialled", "ringing"]


async def test_closing_ends_what_is_under_way() -> None:
    async with stage(PlivoVoice()) as scene:
        await scene.called()

    (ended,) = scene.vendor.ended
    assert (ended.method, ended.target) == ("DELETE", "/v1/Account/MAXXXXXXXXXXXXXXXXXX/Call/CA01/")


async def test_nobody_can_be_called_who_cannot_fetch() -> None:
    async with VoiceVendor(TwilioVoice(), PUBLIC, httpx.AsyncClient()) as vendor:
        ears = Ears()
        carrier = read_call_settings(vendor.settings())
        route = HttpVoiceRoute("main", carrier, ears.take, take_step=ears.step, callback=Callback())
        async with route:
            with pytest.raises(CarrierUnavailable):
                await route.submit(outgoing())

            assert not route.available
            assert "it cannot fetch what to say" in route.reason
            assert "server.public_url" in route.unheard


async def test_exotel_fetches_the_text_once_and_the_timeline_says_that_nobody_was_asked() -> None:
    async with stage(exotel()) as scene:
        call = await scene.called()
        texts = [
            await scene.vendor.get(f"{HOOK}/text?CallSid=CA01&CustomField={call.script_url}")
            for _ in range(2)
        ]
        strangers = [
            (await scene.vendor.get(f"{PUBLIC}{path}")).status_code
            for path in ("/hooks/carriers/main/guess/text?CallSid=CA01", "/hooks/carriers/main/s3cr3t/text")
        ]
        reason = scene.route.reason
        told = {"CallSid": "CA01", "EventType": "terminal", "Status": "completed"}
        await scene.vendor.post(call.status_url, Signed({"content-type": "application/json"}, json_of(told)))

    assert [text.status_code for text in texts] == [200, 404]
    assert texts[0].text.count("four, eight, two, nine, one, three.") == 2
    assert strangers == [404, 404]
    assert CODE not in repr(scene.vendor.api.seen)
    weak = "without a digit before the code"
    assert scene.ears.steps[:2] == [("dialled", weak), ("answered", weak)]
    assert scene.ears.outcomes == [Outcome.DELIVERED]
    assert scene.ears.receipts[0].evidence == f"call:completed ({weak})"
    assert reason.endswith(weak)


async def test_exotel_whose_text_was_not_fetched_delivered_nothing() -> None:
    async with stage(exotel()) as scene:
        call = await scene.called()
        told = {"CallSid": "CA01", "Status": "completed"}
        await scene.vendor.post(call.status_url, Signed({"content-type": "application/json"}, json_of(told)))

    assert scene.ears.outcomes == [Outcome.NOT_ANSWERED]


@pytest.mark.parametrize(
    ("group", "error", "outcome"),
    [
        ("DELIVERED", "NO_ERROR", Outcome.DELIVERED),
        ("UNDELIVERABLE", "EC_VOICE_USER_BUSY", Outcome.BUSY),
        ("UNDELIVERABLE", "EC_VOICE_NO_ANSWER", Outcome.NOT_ANSWERED),
    ],
)
async def test_infobip_is_given_the_text_and_tells_its_end(group: str, error: str, outcome: Outcome) -> None:
    async with stage(infobip()) as scene:
        call = await scene.called(locale="pa")
        told = {"results": [{"messageId": "CA01", "status": {"groupName": group}, "error": {"name": error}}]}
        await scene.vendor.post(call.status_url, Signed({"content-type": "application/json"}, json_of(told)))

    (message,) = json.loads(scene.vendor.created[0].body)["messages"]
    # It has no voice for Punjabi, and can play no recordings.
    assert (message["language"], message["text"].count("four, eight, two")) == ("en", 2)
    assert scene.ears.outcomes == [outcome]


def json_of(value: Any) -> bytes:
    return json.dumps(value).encode()


async def test_number_of_the_page_is_typed_and_no_code_is_said(scene: Stage) -> None:
    call = await scene.called(code="", match_digits=3)
    await call.rings()
    await call.answer()
    asked = list(call.heard)
    await call.press("427")

    assert asked[-2:] == [ENGLISH.phrases["match"], ENGLISH.phrases["unasked"]]
    assert ("typed", "427") in scene.ears.steps
    assert scene.ears.named == ["dialled", "ringing", "answered", "typed", "hung_up"]
    assert scene.ears.outcomes == [Outcome.DELIVERED]
    assert "427" not in repr(scene.ears.receipts)


async def test_nine_before_a_number_says_that_nobody_asked(scene: Stage) -> None:
    call = await scene.called(code="", match_digits=3)
    await call.answer()
    await call.press("9")

    assert scene.ears.outcomes == [Outcome.REPORTED]


async def test_vendor_without_keys_cannot_ask_for_a_number() -> None:
    async with stage(exotel()) as scene:
        with pytest.raises(CarrierRejected) as refusal:
            await scene.route.submit(outgoing(code="", match_digits=3))

    assert refusal.value.status == "no_keys"
    assert scene.vendor.created == []


async def test_who_is_spoken_to_in_another_language_is_told_so() -> None:
    async with stage(TwilioVoice()) as scene:
        call = await scene.called(locale="xx")
        await call.answer()

    assert call.heard[0] == ENGLISH.phrases["instead"]
    assert ("other_language", "en") in scene.ears.steps
