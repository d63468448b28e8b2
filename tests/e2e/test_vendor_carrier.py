"""The simulated carrier over HTTP, asked by Twilio's own client and by plain sockets."""

import asyncio
import base64
import json
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from random import Random
from typing import Any, NamedTuple
from urllib.parse import parse_qsl, urlencode

import pytest
from twilio.base.exceptions import TwilioRestException
from twilio.http.http_client import TwilioHttpClient
from twilio.request_validator import RequestValidator
from twilio.rest import Client

from dastak.core.errors import InvalidRequest
from dastak.simulator.faults import Fault, FaultScript
from dastak.simulator.phone import Text
from dastak.simulator.vendor_http.vendor_carrier import ACCOUNT_SID, MSG91, TWILIO, VendorCarrier
from dastak.sms.smpp_codes import Status
from tests.support.phone_server import until
from tests.support.vendor_server import Say, Seen, VendorServer

SECRET = "0123456789abcdef0123456789abcdef"
TO = "+919876543210"
FROM = "+12025550150"
TEXT = "482913 is your Acme code."
TEMPLATE = "64a1b2c3d4e5f60718293a4b"
WAIT_S = 10.0


class Place(NamedTuple):
    """A carrier, the texts that arrived, and a customer who takes webhooks."""

    carrier: VendorCarrier
    texts: "asyncio.Queue[Text]"
    customer: VendorServer

    @property
    def url(self) -> str:
        return self.carrier.access.url

    @property
    def webhook_counts(self) -> Mapping[str, int]:
        return self.carrier.access.webhooks

    @property
    def hook(self) -> str:
        return f"{self.customer.url}/receipts/s3cret?x=1"

    async def text(self) -> Text:
        async with asyncio.timeout(WAIT_S):
            return await self.texts.get()

    async def webhooks(self, count: int) -> list[Seen]:
        """Wait for so many webhooks."""
        async with asyncio.timeout(WAIT_S):
            while len(self.customer.seen) < count:
                self.customer.came.clear()
                await self.customer.came.wait()
        return list(self.customer.seen)


@asynccontextmanager
async def place(
    *faults: Fault, answers: tuple[Say, ...] = (Say(200),), seed: int = 1
) -> AsyncIterator[Place]:
    texts: asyncio.Queue[Text] = asyncio.Queue()
    script = FaultScript(Random(seed), faults=faults)
    async with (
        VendorServer(*answers) as customer,
        VendorCarrier(secret=SECRET, on_text=texts.put_nowait, faults=script) as carrier,
    ):
        yield Place(carrier, texts, customer)


class _Redirected(TwilioHttpClient):
    """Twilio's own client, sent to this machine."""

    def __init__(self, url: str) -> None:
        super().__init__(timeout=WAIT_S)
        self._url = url

    def request(self, method: str, url: str, *arguments: Any, **named: Any) -> Any:
        assert url.startswith("https://api.twilio.com/")
        return super().request(method, url.replace("https://api.twilio.com", self._url), *arguments, **named)


async def twilio(here: Place, *, token: str = SECRET, account: str = ACCOUNT_SID, **fields: Any) -> Any:
    """Create a message as Twilio's customers do."""

    def create() -> Any:
        client = _Redirected(here.url)
        try:
            wanted = {"to": TO, "from_": FROM, "body": TEXT} | fields
            return Client(account, token, http_client=client).messages.create(**wanted)
        finally:
            client.session.close()

    return await asyncio.to_thread(create)


class Answer(NamedTuple):
    status: int
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


async def post(url: str, body: bytes, **headers: str) -> Answer:
    """Send by urllib, which knows nothing of any vendor."""

    def send() -> Answer:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, body, named, method="POST")
        try:
            with urllib.request.urlopen(request, timeout=WAIT_S) as answer:
                return Answer(answer.status, answer.read())
        except urllib.error.HTTPError as error:
            with error:
                return Answer(error.code, error.read())

    return await asyncio.to_thread(send)


async def flow(here: Place, *, authkey: str = SECRET, **changes: Any) -> Answer:
    """Ask for a text as MSG91's customers do."""
    recipients = [{"mobiles": TO[1:], "VAR1": "482913"}]
    body = {"template_id": TEMPLATE, "short_url": "0", "recipients": recipients} | changes
    return await post(
        f"{here.url}/api/v5/flow/",
        json.dumps(body).encode(),
        content_type="application/json",
        authkey=authkey,
    )


def form(seen: Seen) -> dict[str, str]:
    return dict(parse_qsl(seen.body.decode(), strict_parsing=True))


def report(seen: Seen) -> dict[str, Any]:
    [told] = json.loads(form(seen)["data"])
    [one] = told["report"]
    return {"requestId": told["requestId"], **one}


async def test_twilios_client_sends_a_text_and_its_validator_believes_the_webhooks() -> None:
    async with place() as here:
        message = await twilio(here, status_callback=here.hook, validity_period=300)
        text = await here.text()
        webhooks = await here.webhooks(2)

        assert (message.status, message.num_segments, message.to, message.from_) == ("queued", "1", TO, FROM)
        assert message.sid.startswith("SM")
        assert len(message.sid) == 34
        assert (text.msisdn, text.text, text.sender, text.route, text.code) == (
            TO,
            TEXT,
            FROM,
            TWILIO,
            "482913",
        )
        assert {form(seen)["MessageStatus"] for seen in webhooks} == {"sent", "delivered"}
        for seen in webhooks:
            assert seen.target == "/receipts/s3cret?x=1"
            assert form(seen)["MessageSid"] == message.sid
            signed = seen.headers["x-twilio-signature"]
            assert RequestValidator(SECRET).validate(here.hook, form(seen), signed)
            assert not RequestValidator(SECRET[::-1]).validate(here.hook, form(seen), signed)


async def test_long_text_by_a_service_is_counted_in_segments() -> None:
    async with place() as here:
        service = "MG0123456789abcdef0123456789abcdef"
        message = await twilio(here, from_=None, messaging_service_sid=service, body="आपका कोड " * 20)

        assert (message.status, message.num_segments, message.messaging_service_sid) == (
            "accepted",
            "3",
            service,
        )
        assert (await here.text()).segments == 3


@pytest.mark.parametrize(
    ("fields", "status", "code"),
    [
        ({"to": ""}, 400, 21604),
        ({"to": "+91 98765"}, 400, 21211),
        ({"from_": None}, 400, 21603),
        ({"from_": "no sender at all"}, 400, 21212),
        ({"from_": TO}, 400, 21266),
        ({"body": ""}, 400, 21602),
        ({"body": "x" * 1601}, 400, 21617),
        ({"validity_period": 0}, 400, 21624),
        ({"validity_period": 36_001}, 400, 21624),
        ({"from_": None, "messaging_service_sid": "MG1"}, 400, 21701),
        ({"status_callback": "https://otp.example.in/x"}, 400, 21609),
        ({"status_callback": "http://10.0.0.1/x"}, 400, 21609),
        ({"token": "wrong"}, 401, 20003),
        ({"account": "AC" + "2" * 32}, 401, 20003),
    ],
    ids=str,
)
async def test_twilio_refuses_with_its_own_code(fields: dict[str, Any], status: int, code: int) -> None:
    async with place() as here:
        with pytest.raises(TwilioRestException) as refusal:
            await twilio(here, **fields)

        assert (refusal.value.status, refusal.value.code) == (status, code)
        assert here.texts.empty()


async def test_msg91_takes_variables_and_reports_in_a_form_field() -> None:
    async with place() as here:
        here.carrier.set_webhook(here.hook)
        answer = await flow(here)
        text = await here.text()
        [seen] = await here.webhooks(1)

        assert (answer.status, answer.json["type"]) == (200, "success")
        assert (text.msisdn, text.code, text.route) == (TO, "482913", MSG91)
        assert seen.headers["content-type"] == "application/x-www-form-urlencoded"
        told = report(seen)
        assert (told["requestId"], told["number"], told["status"]) == (answer.json["message"], TO[1:], "1")


@pytest.mark.parametrize(
    ("changes", "status", "message"),
    [
        ({"authkey": ""}, 401, "authkey is missing"),
        ({"authkey": "wrong"}, 401, "Authentication failure"),
        ({"template_id": ""}, 400, "template id missing"),
        ({"template_id": "mine"}, 400, "Invalid template"),
        ({"recipients": []}, 400, "recipients missing"),
        ({"recipients": [{"mobiles": "12", "VAR1": "1"}]}, 400, "Invalid mobile number"),
        ({"recipients": [{"mobiles": TO}]}, 400, "Invalid variable"),
        ({"recipients": "x"}, 400, "Invalid JSON"),
    ],
    ids=str,
)
async def test_msg91_refuses_with_an_error(changes: dict[str, Any], status: int, message: str) -> None:
    async with place() as here:
        answer = await flow(here, **changes)

        assert (answer.status, answer.json) == (status, {"type": "error", "message": message})
        assert here.texts.empty()


@pytest.mark.parametrize(
    ("fault", "status", "code"),
    [
        (Fault(throttle=1.0), 429, 20429),
        (Fault(status=Status.ESME_RMSGQFUL), 429, 21611),
        (Fault(status=Status.ESME_RSYSERR), 500, 20500),
        (Fault(http_status=503), 503, 20503),
        (Fault(http_status=400, vendor_code="21610"), 400, 21610),
    ],
    ids=str,
)
async def test_fault_is_refused_as_twilio_does(fault: Fault, status: int, code: int) -> None:
    async with place(fault) as here:
        with pytest.raises(TwilioRestException) as refusal:
            await twilio(here)

        assert (refusal.value.status, refusal.value.code) == (status, code)
        assert here.texts.empty()


async def test_fault_is_refused_as_msg91_does() -> None:
    fault = Fault(http_status=418, vendor_code="207", account=MSG91)
    async with place(fault) as here:
        answer = await flow(here)

        assert (answer.status, answer.json["type"], answer.json["code"]) == (418, "error", "207")


@pytest.mark.parametrize(
    ("n", "twilio_says", "msg91_says"),
    [
        (0, ("delivered", None), ("1", None)),
        (1, ("undelivered", "30003"), ("2", "ABSENT-SUB")),
        (2, ("undelivered", "30005"), ("2", "INVALID-SUB")),
        (5, ("failed", "30007"), ("16", "633")),
    ],
)
async def test_magic_numbers_end_as_they_do_over_smpp(
    n: int, twilio_says: tuple[str, str | None], msg91_says: tuple[str, str | None]
) -> None:
    number = f"+120255501{n:02}"
    async with place() as here:
        here.carrier.set_webhook(here.hook)
        await twilio(here, to=number, status_callback=here.hook)
        told = [form(seen) for seen in await here.webhooks(2)]
        here.customer.seen.clear()
        await flow(here, recipients=[{"mobiles": number[1:], "VAR1": "482913"}])
        reported = report((await here.webhooks(1))[0])

        [last] = [fields for fields in told if fields["MessageStatus"] != "sent"]
        assert (last["MessageStatus"], last.get("ErrorCode")) == twilio_says
        assert (reported["status"], reported.get("failedReason")) == msg91_says


async def test_first_account_is_down_for_03_and_the_second_delivers() -> None:
    async with place() as here:
        with pytest.raises(TwilioRestException) as refusal:
            await twilio(here, to="+12025550103")
        answer = await flow(here, recipients=[{"mobiles": "12025550103", "VAR1": "482913"}])

        assert refusal.value.status == 500
        assert answer.json["type"] == "success"
        assert (await here.text()).route == MSG91


async def test_receipt_is_there_before_the_answer() -> None:
    async with place() as here:
        message = await twilio(here, to="+12025550109", status_callback=here.hook)

        assert [form(seen)["MessageStatus"] for seen in here.customer.seen] == ["delivered"]
        assert form(here.customer.seen[0])["MessageSid"] == message.sid


async def test_receipts_are_doubled_missing_or_false_as_asked() -> None:
    faults = (
        Fault(number="*0", duplicates=2),
        Fault(number="*1", missing_receipt=1.0),
        Fault(number="*2", false_receipt=1.0),
        Fault(number="*3", loss=1.0),
    )
    async with place(*faults) as here:
        sids = {}
        for n in (3, 2, 1, 0):
            sids[n] = (await twilio(here, to=f"{TO[:-1]}{n}", status_callback=here.hook)).sid
        webhooks = await here.webhooks(2 + 4)

        told = [(form(seen)["MessageSid"], form(seen)["MessageStatus"]) for seen in webhooks]
        assert sorted(told) == sorted(
            [(sids[2], "sent"), (sids[2], "delivered"), (sids[0], "sent"), *[(sids[0], "delivered")] * 3]
        )
        arrived = [(await here.text()).msisdn for _ in range(2)]
        assert arrived == [f"{TO[:-1]}1", f"{TO[:-1]}0"]
        assert here.texts.empty()


async def test_webhook_that_fails_is_tried_again_and_one_that_is_refused_is_not() -> None:
    async with place(answers=(Say(503), Say(fault="cut"), Say(200))) as here:
        here.carrier.set_webhook(here.hook)
        await flow(here)
        again = await here.webhooks(3)
        here.customer.answers[:] = [Say(403)]
        await flow(here, recipients=[{"mobiles": "12025550108", "VAR1": "482913"}])
        await until(lambda: here.webhook_counts.get("refused") == 2)

        assert len({seen.body for seen in again}) == 1
        assert here.webhook_counts == {"sent": 1, "refused": 2}
        assert len(here.customer.seen) == 3 + 2


async def raw(here: Place, octets: bytes) -> bytes:
    """Send octets and return everything that comes until the carrier hangs up."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(here.url.rpartition(":")[2]))
    try:
        writer.write(octets)
        async with asyncio.timeout(WAIT_S):
            return await reader.read()
    except ConnectionResetError:
        return b""
    finally:
        writer.close()


def message_request(here: Place, *, close: bool = True) -> bytes:
    body = urlencode({"To": TO, "From": FROM, "Body": TEXT, "StatusCallback": here.hook}).encode()
    head = (
        f"POST /2010-04-01/Accounts/{ACCOUNT_SID}/Messages.json HTTP/1.1\r\nhost: x\r\n"
        f"authorization: Basic {_basic()}\r\ncontent-type: application/x-www-form-urlencoded\r\n"
        f"{'connection: close' + chr(13) + chr(10) if close else ''}content-length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body


def _basic() -> str:
    return base64.b64encode(f"{ACCOUNT_SID}:{SECRET}".encode()).decode()


async def test_cut_answers_nothing_and_takes_nothing() -> None:
    async with place(Fault(drop_link=1.0)) as here:
        said = await raw(here, message_request(here))

        assert said == b""
        assert here.texts.empty()


@pytest.mark.parametrize(
    ("fault", "taken"),
    [(Fault(silent=1.0), False), (Fault(blackhole=1.0), False), (Fault(unanswered=1.0), True)],
    ids=["silent", "blackhole", "unanswered"],
)
async def test_hang_keeps_the_connection_open_and_says_nothing(fault: Fault, taken: bool) -> None:
    async with place(fault) as here:
        reader, writer = await asyncio.open_connection("127.0.0.1", int(here.url.rpartition(":")[2]))
        writer.write(message_request(here, close=False))
        if taken:
            assert (await here.text()).text == TEXT
            assert len(await here.webhooks(2)) == 2
        # Another connection is served while this one hangs, and this one says nothing of a second request.
        assert (await flow(here, authkey="wrong")).status == 401
        writer.write(message_request(here, close=False))
        assert (await flow(here, authkey="wrong")).status == 401
        here.carrier.drop_links()
        try:
            said = await reader.read()
        except ConnectionResetError:
            said = b""
        writer.close()

        assert said == b""
        assert here.texts.empty()


async def test_garbage_is_a_text_that_was_taken_with_an_answer_nobody_can_read() -> None:
    async with place(Fault(garbage=1.0)) as here:
        said = await raw(here, message_request(here))

        assert said.startswith(b"HTTP/1.1 201 ")
        with pytest.raises(UnicodeDecodeError):
            json.loads(said.partition(b"\r\n\r\n")[2])
        assert (await here.text()).text == TEXT


async def test_requests_in_one_piece_are_answered_in_their_order() -> None:
    async with place(Fault(number=TO, throttle=1.0)) as here:
        other = message_request(here, close=True).replace(b"919876543210", b"919876543211")
        said = await raw(here, message_request(here, close=False) + other)

        assert said.count(b"HTTP/1.1 ") == 2
        assert said.index(b" 429 ") < said.index(b" 201 ")


@pytest.mark.parametrize(
    "octets",
    [
        b"no http at all\r\n\r\n",
        b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\nhost: x\r\n\r\n",
        b"GET / HTTP/1.1\r\n" + b"a: " + b"x" * 20_000 + b"\r\n\r\n",
        b"POST / HTTP/1.1\r\ncontent-length: 70000\r\n\r\n" + b"x" * 70_000,
    ],
    ids=["no http", "long line", "long head", "long body"],
)
async def test_what_no_vendor_takes_is_refused_and_hung_up_on(octets: bytes) -> None:
    async with place() as here:
        said = await raw(here, octets)
        sound = await flow(here)

        assert said == b"" or said.startswith(b"HTTP/1.1 400 ")
        assert sound.status == 200


async def test_same_seed_has_the_same_fates_in_the_same_order() -> None:
    async def play(seed: int) -> list[int]:
        async with place(Fault(throttle=0.3, http_status=500, status_share=0.3), seed=seed) as here:
            return [(await flow(here)).status for _ in range(20)]

    first, again, other = await play(7), await play(7), await play(8)

    assert first == again
    assert first != other
    assert set(first) == {200, 429, 500}


@pytest.mark.parametrize(
    "url",
    [
        "http://192.0.2.1/x",
        "http://example.com/x",
        "http://127.0.0.1.example.com/",
        "http://localhost.example.com/",
        "http://127.0.0.1@192.0.2.1/",
        "http://[::ffff:127.0.0.1]/",
        "http://127.1/",
        "https://127.0.0.1/",
        "ftp://127.0.0.1/",
        "http://127.0.0.1:0/",
        "http://127.0.0.1:99999/",
        "http://127.0.0.1/a\r\nb",
        "http://[::1",
        "http:///x",
        "127.0.0.1",
    ],
)
async def test_no_address_but_one_of_this_machine_is_called(url: str) -> None:
    async with place() as here:
        with pytest.raises(InvalidRequest):
            here.carrier.set_webhook(url)


@pytest.mark.parametrize("spell", [lambda url: url, lambda url: url.replace("127.0.0.1", "localhost")])
async def test_address_of_this_machine_is_called_by_number_and_by_name(spell: Callable[[str], str]) -> None:
    async with place() as here:
        here.carrier.set_webhook(spell(here.hook))
        await flow(here)
        [seen] = await here.webhooks(1)

        assert seen.headers["host"] == spell(here.customer.url).removeprefix("http://")


async def test_nothing_that_is_shown_has_a_secret_number_or_code(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    async with place(answers=(Say(403),)) as here:
        here.carrier.set_webhook(here.hook)
        await flow(here)
        await until(lambda: "refused" in here.webhook_counts)
        shown = repr(here.carrier.access) + caplog.text

    assert "a webhook was refused with 403" in caplog.text
    assert not any(word in shown for word in (SECRET, TO[1:], "482913", "s3cret"))
