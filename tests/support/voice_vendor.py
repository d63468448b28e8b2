"""A vendor of calls that a test plays: it takes a call, fetches the script, presses keys, tells states.

What it signs and reads, it signs and reads by the vendors' own libraries or rules, never by ours.
"""

import asyncio
import hashlib
import json
import time
from base64 import b64encode
from collections.abc import Mapping
from types import TracebackType
from typing import Any, NamedTuple, Protocol, Self
from urllib.parse import parse_qsl, urlencode
from xml.etree import ElementTree

import httpx
import jwt
from cryptography.hazmat.primitives.asymmetric import rsa
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat, PublicFormat
from plivo.utils.signature_v3 import construct_post_url, get_signature_v3
from twilio.request_validator import RequestValidator

from tests.support.vendor_server import Say, Seen, VendorServer

SECRET = "0123456789abcdef0123456789abcdef"
# Calls to India show an Indian number, or are dropped at its border.
CALLER = "+911600123456"
# A busy machine takes longer to connect to itself than the way to a carrier may take.
CONNECT_S = 3.0
FORM = "application/x-www-form-urlencoded"
JSON = "application/json"
WORDS = ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"]


class Signed(NamedTuple):
    """A request of a vendor."""

    headers: dict[str, str]
    body: bytes


class Document(NamedTuple):
    """A script as a vendor reads it: `then` is keys, go_on or hang_up."""

    says: list[str]
    asked: list[str]
    then: str
    next_url: str
    plays: list[str]


class Shape(Protocol):
    """How one vendor speaks."""

    profile: str
    ended: str

    def settings(self) -> dict[str, Any]:
        """Return what an operator writes down of it."""

    def taken(self, ref: str) -> Say:
        """Answer that a call was taken."""

    def asked(self, seen: Seen) -> tuple[str, str]:
        """Return where a call's script and states go."""

    def sign(self, url: str, fields: Mapping[str, str]) -> Signed:
        """Write a webhook to an address."""

    def fields(self, ref: str, state: str, keys: str | None = None) -> dict[str, Any]:
        """Return what a webhook says."""

    def read(self, body: bytes) -> Document:
        """Read a script."""


class TwilioVoice:
    """Twilio."""

    profile = "twilio"
    ended = "completed"

    def settings(self) -> dict[str, Any]:
        return {"account": "AC0123456789abcdef0123456789abcdef", "secret": SECRET}

    def taken(self, ref: str) -> Say:
        return Say(201, json.dumps({"sid": ref, "status": "queued"}).encode())

    def asked(self, seen: Seen) -> tuple[str, str]:
        form = dict(parse_qsl(seen.body.decode()))
        return form["Url"], form["StatusCallback"]

    def sign(self, url: str, fields: Mapping[str, str]) -> Signed:
        signature = RequestValidator(SECRET).compute_signature(url, dict(fields))
        return Signed({"content-type": FORM, "x-twilio-signature": signature}, urlencode(fields).encode())

    def fields(self, ref: str, state: str, keys: str | None = None) -> dict[str, Any]:
        told = {"CallSid": ref, "CallStatus": state, "AccountSid": "AC01"}
        return told if keys is None else {**told, "Digits": keys}

    def read(self, body: bytes) -> Document:
        return _xml(body, say="Say", ask="Gather")


class PlivoVoice:
    """Plivo."""

    profile = "plivo"
    ended = "completed"

    def settings(self) -> dict[str, Any]:
        return {"account": "MAXXXXXXXXXXXXXXXXXX", "secret": SECRET}

    def taken(self, ref: str) -> Say:
        return Say(201, json.dumps({"message": "call fired", "request_uuid": ref, "api_id": "a"}).encode())

    def asked(self, seen: Seen) -> tuple[str, str]:
        body = json.loads(seen.body)
        return body["answer_url"], body["hangup_url"]

    def sign(self, url: str, fields: Mapping[str, str]) -> Signed:
        nonce = str(time.monotonic_ns())
        signature = get_signature_v3(SECRET.encode(), construct_post_url(url, dict(fields)).decode(), nonce)
        headers = {
            "content-type": FORM,
            "x-plivo-signature-v3": signature.decode(),
            "x-plivo-signature-v3-nonce": nonce,
        }
        return Signed(headers, urlencode(fields).encode())

    def fields(self, ref: str, state: str, keys: str | None = None) -> dict[str, Any]:
        told = {"CallUUID": ref, "CallStatus": state, "Direction": "outbound"}
        return told if not keys else {**told, "Digits": keys}

    def read(self, body: bytes) -> Document:
        return _xml(body, say="Speak", ask="GetInput")


class VonageVoice:
    """Vonage; the application has a key of its own."""

    profile = "vonage"
    ended = "completed"

    def __init__(self) -> None:
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self.pem = self._key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()

    def settings(self) -> dict[str, Any]:
        return {"account": "aaaaaaaa-bbbb-cccc", "secret": self.pem, "proof_secret": SECRET}

    def taken(self, ref: str) -> Say:
        told = {"uuid": ref, "status": "started", "direction": "outbound", "conversation_uuid": "CON-1"}
        return Say(201, json.dumps(told).encode())

    def asked(self, seen: Seen) -> tuple[str, str]:
        # A token that the vendor's own key does not prove would have ended here.
        token = seen.headers["authorization"].removeprefix("Bearer ")
        public = self._key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)
        claims = jwt.decode(token, public, algorithms=["RS256"])
        assert claims["application_id"] == "aaaaaaaa-bbbb-cccc"
        body = json.loads(seen.body)
        return body["answer_url"][0], body["event_url"][0]

    def sign(self, url: str, fields: Mapping[str, str]) -> Signed:
        body = json.dumps(fields).encode()
        now = int(time.time())
        claims = {"iat": now, "jti": str(now), "iss": "Vonage", "api_key": "a1"}
        claims["payload_hash"] = hashlib.sha256(body).hexdigest()
        token = jwt.encode(claims, SECRET, algorithm="HS256")
        return Signed({"content-type": JSON, "authorization": f"Bearer {token}"}, body)

    def fields(self, ref: str, state: str, keys: str | None = None) -> dict[str, Any]:
        told: dict[str, Any] = {"uuid": ref, "conversation_uuid": "CON-1", "direction": "outbound"}
        if keys is None:
            return {
                **told,
                "status": {"in-progress": "answered", "no-answer": "unanswered"}.get(state, state),
            }
        return {**told, "dtmf": {"digits": keys, "timed_out": not keys}}

    def read(self, body: bytes) -> Document:
        says: list[str] = []
        asked: list[str] = []
        plays: list[str] = []
        for action in json.loads(body):
            if action["action"] == "talk":
                text = "".join(ElementTree.fromstring(action["text"]).itertext())
                (asked if action["bargeIn"] else says).append(text)
            if action["action"] == "stream":
                plays += action["streamUrl"]
            if action["action"] in ("input", "notify"):
                then = "keys" if action["action"] == "input" else "go_on"
                return Document(says, asked, then, action["eventUrl"][0], plays)
        return Document(says, asked, "hang_up", "", plays)


class VendorCall:
    """One call, in the hands of a test.

    Attributes:
        heard: What was said into it.
        plays: The sounds that were to be played.
        document: The last script.
        answers: The status of every fetch.
    """

    def __init__(self, vendor: "VoiceVendor", ref: str, seen: Seen) -> None:
        self.ref, self.request = ref, seen
        self.script_url, self.status_url = vendor.shape.asked(seen)
        self.heard: list[str] = []
        self.plays: list[str] = []
        self.answers: list[int] = []
        self.document: Document | None = None
        self.last: tuple[str, Signed] | None = None
        self._vendor = vendor

    @property
    def gate(self) -> str:
        """The digit that it was asked for."""
        asked = [text for text in self.heard if "hear your code, press" in text][-1]
        return str(next(n for n, word in enumerate(WORDS) if f"press {word}" in asked))

    @property
    def code(self) -> str:
        """The code that was said, each time."""
        texts = [text for text in self.heard if text and all(word in WORDS for word in _split(text))]
        return "".join(str(WORDS.index(word)) for text in texts for word in _split(text))

    async def tell(self, state: str, **more: str) -> int:
        """Tell a state; return how we answered."""
        fields = {**self._vendor.shape.fields(self.ref, state), **more}
        return await self._vendor.post(self.status_url, self._vendor.shape.sign(self.status_url, fields))

    async def rings(self) -> None:
        """Ring."""
        assert await self.tell("ringing") == 200

    async def answer(self) -> None:
        """Answer, and fetch what is said."""
        await self.tell("in-progress")
        await self._fetch(self.script_url, None)

    async def press(self, keys: str) -> None:
        """Press keys after the last prompt; none is silence."""
        assert self.document is not None
        assert self.document.then == "keys"
        await self._fetch(self.document.next_url, keys)

    async def hang_up(self) -> None:
        """End it."""
        await self.tell(self._vendor.shape.ended)

    async def replay(self) -> int:
        """Send the last fetch again, as it was."""
        assert self.last is not None
        return await self._vendor.post(*self.last)

    async def _fetch(self, url: str, keys: str | None) -> None:
        while True:
            fields = self._vendor.shape.fields(self.ref, "in-progress", "" if keys is None else keys)
            self.last = (url, self._vendor.shape.sign(url, fields))
            answer = await self._vendor.request(*self.last)
            self.answers.append(answer.status_code)
            if answer.status_code != 200:
                return
            self.document = read = self._vendor.shape.read(answer.content)
            self.heard += [*read.says, *read.asked]
            self.plays += read.plays
            if read.then != "go_on":
                break
            url, keys = read.next_url, None
        if read.then == "hang_up":
            await self.hang_up()


class VoiceVendor:
    """A vendor that listens while the context lasts.

    Args:
        shape: Which one.
        public_url: Where we say that we are.
        reach: A client that reaches us there.

    Attributes:
        api: Its server.
    """

    def __init__(self, shape: Shape, public_url: str, reach: httpx.AsyncClient) -> None:
        self.shape = shape
        self.api = VendorServer(shape.taken("CA01"))
        self._public_url, self._reach = public_url, reach
        self._calls = 0

    async def __aenter__(self) -> Self:
        await self.api.__aenter__()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.api.__aexit__(kind, error, trace)

    def settings(self, **more: Any) -> dict[str, Any]:
        """Return what an operator writes down of it."""
        return {
            "profile": self.shape.profile,
            "caller": CALLER,
            "base_url": self.api.url,
            "connect_s": CONNECT_S,
            **self.shape.settings(),
            **more,
        }

    async def call(self, within_s: float = 15) -> VendorCall:
        """Return the next call that was asked for."""
        async with asyncio.timeout(within_s):
            while len(self.created) <= self._calls:
                self.api.came.clear()
                await self.api.came.wait()
        self._calls += 1
        return VendorCall(self, "CA01", self.created[self._calls - 1])

    @property
    def created(self) -> list[Seen]:
        """The requests that begin calls."""
        return [seen for seen in self.api.seen if seen.method == "POST" and not _ends(seen)]

    @property
    def ended(self) -> list[Seen]:
        """The requests that end calls."""
        return [seen for seen in self.api.seen if _ends(seen)]

    async def request(self, url: str, signed: Signed) -> httpx.Response:
        """Send a webhook to where we are."""
        assert url.startswith(self._public_url)
        there = url.removeprefix(self._public_url)
        return await self._reach.post(there, content=signed.body, headers=signed.headers)

    async def post(self, url: str, signed: Signed) -> int:
        """Send a webhook; return how it was answered."""
        return (await self.request(url, signed)).status_code

    async def get(self, url: str) -> httpx.Response:
        """Fetch a sound or a text."""
        return await self._reach.get(url.removeprefix(self._public_url))


def basic(user: str, password: str) -> str:
    """Return the header that proves an account."""
    return "Basic " + b64encode(f"{user}:{password}".encode()).decode()


def _ends(seen: Seen) -> bool:
    return seen.method in ("PUT", "DELETE") or b"Status=c" in seen.body


def _split(text: str) -> list[str]:
    """Take the words of a code apart, which only pauses part."""
    words, rest = [], text
    while rest:
        word = next((word for word in WORDS if rest.startswith(word)), "")
        if not word:
            return [rest]
        words.append(word)
        rest = rest.removeprefix(word)
    return words


def _xml(body: bytes, *, say: str, ask: str) -> Document:
    says: list[str] = []
    plays: list[str] = []
    for element in ElementTree.fromstring(body):
        if element.tag == say:
            says.append("".join(element.itertext()))
        elif element.tag == "Play":
            plays.append(element.text or "")
        elif element.tag == ask:
            asked = ["".join(one.itertext()) for one in element if one.tag == say]
            plays += [one.text or "" for one in element if one.tag == "Play"]
            return Document(says, asked, "keys", element.attrib["action"], plays)
        elif element.tag == "Redirect":
            return Document(says, [], "go_on", element.text or "", plays)
    return Document(says, [], "hang_up", "", plays)
