"""Vendors that say a text of ours to whoever answers: they ask for no digit, and take no keys."""

import json
import re
from collections.abc import Mapping
from typing import Any, Final
from urllib.parse import parse_qsl

from tests.support.vendor_server import Say, Seen
from tests.support.voice_vendor import JSON, WORDS, Document, Signed

_CODE: Final = re.compile(rf"((?:{'|'.join(WORDS)})(?:, (?:{'|'.join(WORDS)}))+)\.")


class WeakVendor:
    """One of them.

    Args:
        profile: Its name here.
        options: What an operator writes down of it.
        taken: What it answers to a call that it takes.
    """

    ended = "completed"

    def __init__(self, profile: str, taken: Mapping[str, Any], **options: str) -> None:
        self.profile, self._taken, self._options = profile, taken, options

    def settings(self) -> dict[str, Any]:
        account = {"account": "k"} if self.profile == "exotel" else {}
        return {**account, "secret": "k3y", "options": self._options, "without_gate": True}

    def taken(self, ref: str) -> Say:
        del ref
        return Say(200, json.dumps(self._taken).encode())

    def asked(self, seen: Seen) -> tuple[str, str]:
        """Return our word for the call, where it is told one, and where its end is told."""
        body = seen.body.decode()
        if self.profile == "infobip":
            return "", str(json.loads(body)["messages"][0]["notifyUrl"])
        form = dict(parse_qsl(body))
        return form["CustomField"], form["StatusCallback"]

    def sign(self, url: str, fields: Mapping[str, Any]) -> Signed:
        """Write a webhook; nothing that was found documented signs it."""
        del url
        return Signed({"content-type": JSON}, json.dumps(fields).encode())

    def fields(self, ref: str, state: str, keys: str | None = None) -> dict[str, Any]:
        """Return what it tells of a call; to Infobip's group the name of an error is joined by a colon."""
        del keys
        if self.profile == "exotel":
            return {"CallSid": ref, "EventType": "terminal", "Status": state}
        group, _, error = state.partition(":")
        told = {"messageId": ref, "status": {"groupName": group}, "error": {"name": error or "NO_ERROR"}}
        return {"results": [told]}

    def read(self, body: bytes) -> Document:
        raise NotImplementedError("it fetches no script")


def exotel() -> WeakVendor:
    """Exotel: its flow fetches the text."""
    return WeakVendor("exotel", {"Call": {"Sid": "CA01", "Status": "in-progress"}}, sid="acme1", flow="12345")


def infobip() -> WeakVendor:
    """Infobip: the text is in the request."""
    answer = {"messages": [{"messageId": "CA01", "status": {"groupName": "PENDING"}}]}
    return WeakVendor("infobip", answer, host="acme1.api.infobip.com")


def text_address(status_url: str, call: str) -> str:
    """Return where Exotel's flow, which has the address in a dashboard, fetches the text of a call."""
    hook = re.match(r"(https://[^/]+/hooks/carriers/[^/]+/[^/]+)", status_url)
    assert hook is not None
    return f"{hook[1]}/text?CallSid=CA01&CustomField={call}"


def codes_said(text: str) -> list[str]:
    """Return the codes that a text says, digit by digit."""
    return ["".join(str(WORDS.index(word)) for word in said.split(", ")) for said in _CODE.findall(text)]
