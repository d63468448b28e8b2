"""Twilio's Calls.json: a phone that acts by itself rings, TwiML is fetched for it, states are told.

1. The phone does what its fault says: it is busy, declines, is a voicemail that presses nothing; or a person
   answers, presses the digit that is asked for, and hears the call to its end.
2. What was heard lands on the virtual phone as a text, for there is no sound here.

Source: Twilio's OpenAPI document twilio_api_v2010.json; its pages on TwiML and on the states of calls.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from types import TracebackType
from typing import Final, NamedTuple, Self
from urllib.parse import parse_qs, urlencode
from xml.etree import ElementTree

import httpx
import msgspec

from dastak.core.errors import InvalidMsisdn
from dastak.core.msisdn import Msisdn
from dastak.simulator.call_faults import CallFate
from dastak.simulator.phone import Text, read_number
from dastak.simulator.vendor_http.http_listener import Asked, Said
from dastak.simulator.vendor_http.twilio_shape import FIELDS_MAX, TwilioShape, refusal, signature
from dastak.simulator.vendor_http.webhooks_out import local_address
from dastak.voice.prompt_words import DIGITS, all_words, written

CALLS_MAX: Final = 100
# More than any dialogue has; a script that goes round in circles is left.
FETCHES_MAX: Final = 20
PAGE_OCTETS_MAX: Final = 64 * 1024
RINGS_AFTER_S: Final = 0.1
ANSWERS_AFTER_S: Final = 0.5
WITHIN_S: Final = 5.0
_FORM: Final = "application/x-www-form-urlencoded"

# How a phone that does not answer ends a call; Twilio knows no word for one that declines.
_ENDS: Final[Mapping[CallFate, tuple[str, str]]] = {
    CallFate.BUSY: ("busy", "486"),
    CallFate.DECLINE: ("busy", "603"),
    CallFate.UNREACHABLE: ("no-answer", "480"),
    CallFate.CONGESTION: ("failed", "503"),
    CallFate.BUSY_EVERYWHERE: ("busy", "600"),
    CallFate.NO_ANSWER: ("no-answer", "480"),
    CallFate.UNKNOWN: ("failed", "404"),
    CallFate.REDIRECT: ("failed", "302"),
}
_ORDERS: Final = {"canceled", "completed"}

log = logging.getLogger("dastak.simulator")


class _Call(NamedTuple):
    """One call, as it was asked for."""

    sid: str
    to: Msisdn
    caller: str
    url: str
    status_url: str
    events: tuple[str, ...]
    heard: list[str]


class TwilioCalls:
    """The calls of one account, while the context lasts.

    Args:
        shape: Whose credentials count, and who signs.
        does: Says what a phone does.
        on_text: Given what a phone heard.
    """

    def __init__(
        self, shape: TwilioShape, *, does: Callable[[Msisdn], CallFate], on_text: Callable[[Text], None]
    ) -> None:
        self._shape, self._does, self._on_text = shape, does, on_text
        self._path = f"/2010-04-01/Accounts/{shape.account_sid}/Calls"
        # No two runs use an id twice.
        self._number = int(datetime.now(UTC).timestamp() * 1000)
        self._under_way: dict[str, tuple[_Call, asyncio.Task[None]]] = {}
        self._telling: set[asyncio.Task[bytes]] = set()
        self._client: httpx.AsyncClient | None = None

    async def __aenter__(self) -> Self:
        """Open."""
        self._client = httpx.AsyncClient(timeout=WITHIN_S, follow_redirects=False, trust_env=False)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Leave all calls; twice is fine."""
        tasks = [*self._telling, *(task for _, task in self._under_way.values())]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        if self._client is not None:
            await self._client.aclose()

    def takes(self, path: str) -> bool:
        """Say whether a path is one of calls."""
        return path == f"{self._path}.json" or path.startswith(f"{self._path}/")

    def respond(self, asked: Asked) -> Said:
        """Begin a call, or end one."""
        if not self._shape.knows(asked.headers.get("authorization", "")):
            return refusal(20003)
        if asked.method != "POST":
            return refusal(20004)
        try:
            form = parse_qs(asked.body.decode(), max_num_fields=FIELDS_MAX)
        except ValueError:
            form = {}
        if asked.path == f"{self._path}.json":
            return self._begin(form)
        return self._end(asked.path.removeprefix(f"{self._path}/").removesuffix(".json"), form)

    def _begin(self, form: Mapping[str, list[str]]) -> Said:
        to, caller, url, status_url = (
            form.get(name, [""])[0] for name in ("To", "From", "Url", "StatusCallback")
        )
        msisdn = _number(to)
        if msisdn is None or _number(caller) is None:
            return refusal(21211 if msisdn is None else 21212)
        if local_address(url) is None or (status_url and local_address(status_url) is None):
            return refusal(21205)
        if len(self._under_way) >= CALLS_MAX:
            return refusal(20429)
        self._number += 1
        sid = f"CA{self._number:032x}"
        events = tuple(form.get("StatusCallbackEvent", ["completed"]))
        call = _Call(sid, msisdn, caller, url, status_url, events, [])
        task = asyncio.create_task(self._ring(call))
        self._under_way[sid] = call, task
        task.add_done_callback(lambda _task: self._under_way.pop(sid, None))
        shown = {"sid": sid, "status": "queued", "to": msisdn, "from": caller, "direction": "outbound-api"}
        return Said(201, msgspec.json.encode(shown))

    def _end(self, sid: str, form: Mapping[str, list[str]]) -> Said:
        known, order = self._under_way.pop(sid, None), form.get("Status", [""])[0]
        if known is None or order not in _ORDERS:
            return refusal(20404 if known is None else 21220)
        call, task = known
        task.cancel()
        told = asyncio.create_task(self._post(call.status_url, self._fields(call, order)))
        self._telling.add(told)
        told.add_done_callback(self._telling.discard)
        return Said(200, msgspec.json.encode({"sid": sid, "status": order}))

    async def _ring(self, call: _Call) -> None:
        """Let a phone ring, and do what it does."""
        does = self._does(call.to)
        await self._tell(call, "initiated")
        await asyncio.sleep(RINGS_AFTER_S)
        if does in _ENDS:
            state, sip = _ENDS[does]
            if does is not CallFate.CONGESTION:
                await self._tell(call, "ringing")
            await self._tell(call, state, SipResponseCode=sip)
            return
        await self._tell(call, "ringing")
        await asyncio.sleep(ANSWERS_AFTER_S)
        await self._tell(call, "in-progress")
        await self._listen(call, presses=does is not CallFate.VOICEMAIL)
        now = datetime.now(UTC)
        heard = Text(
            msisdn=call.to,
            sender=call.caller,
            text="A call said: " + " ".join(call.heard),
            route=self._shape.account,
            segments=1,
            submitted_at=now,
            received_at=now,
        )
        self._on_text(heard)
        await self._tell(call, "completed")

    async def _listen(self, call: _Call, *, presses: bool) -> None:
        """Go from one script to the next, until there is none."""
        url, keys = call.url, None
        for _ in range(FETCHES_MAX):
            body = await self._post(url, self._fields(call, "in-progress", Digits=keys))
            try:
                verbs = list(ElementTree.fromstring(body[:PAGE_OCTETS_MAX]))  # noqa: S314 - bounded, our own
            except ElementTree.ParseError:
                call.heard.append("An application error has occurred.")
                return
            url, keys = "", ""
            for verb in verbs:
                gather = verb.tag == "Gather"
                said = [verb, *(verb if gather else ())]
                call.heard.extend("".join(one.itertext()) for one in said if one.tag == "Say")
                if gather:
                    url, keys = verb.get("action", ""), self._key(call) if presses else ""
                elif verb.tag == "Redirect":
                    url, keys = verb.text or "", None
                if url:
                    break
            if not url:
                return

    @staticmethod
    def _key(call: _Call) -> str:
        """Press the digit that was asked for last, if that was just now."""
        digit = _GATES.get(call.heard[-1], "") if call.heard else ""
        if digit:
            call.heard.append(f"[{digit}]")
        return digit

    async def _tell(self, call: _Call, state: str, **more: str) -> None:
        event = {"in-progress": "answered"}.get(state, state)
        if event in call.events or event not in {"initiated", "ringing", "answered"}:
            await self._post(call.status_url, self._fields(call, state, **more))

    def _fields(self, call: _Call, state: str, **more: str | None) -> dict[str, str]:
        fields = {
            "AccountSid": self._shape.account_sid,
            "ApiVersion": "2010-04-01",
            "CallSid": call.sid,
            "CallStatus": state,
            "Direction": "outbound-api",
            "From": call.caller,
            "To": call.to,
        }
        return fields | {name: value for name, value in more.items() if value is not None}

    async def _post(self, url: str, fields: Mapping[str, str]) -> bytes:
        """Send a signed webhook, and return what it is answered; nothing where it is refused."""
        address = local_address(url)
        if address is None or self._client is None:
            return b""
        headers = {
            "content-type": _FORM,
            "x-twilio-signature": signature(self._shape.auth_token, url, fields),
            "host": httpx.URL(url).netloc.decode(),
        }
        try:
            answer = await self._client.post(address, content=urlencode(fields).encode(), headers=headers)
        except httpx.HTTPError:
            return b""
        if answer.status_code != 200:
            log.warning("a webhook of a call was refused with %d", answer.status_code)
            return b""
        return answer.content


def _number(told: str) -> Msisdn | None:
    try:
        return read_number(told)
    except InvalidMsisdn:
        return None


# The question for each digit, in every language.
_GATES: Final[Mapping[str, str]] = {
    written(words)[f"gate_{digit}"]: digit for words in all_words().values() for digit in DIGITS
}
