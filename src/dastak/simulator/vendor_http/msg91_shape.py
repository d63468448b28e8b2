"""MSG91's flow: a template of the vendor's own with variables, and a webhook whose form field holds JSON.

Source: requests of apprise 2.2.0; the webhook pages of msg91.com/help. The HTTP status of errors is not
documented there; the statuses here are the usual ones.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import msgspec

from dastak.core.errors import InvalidMsisdn
from dastak.core.outcome import Outcome
from dastak.simulator.faults import Fate
from dastak.simulator.phone import read_number
from dastak.simulator.vendor_http.http_listener import Asked, Said
from dastak.simulator.vendor_http.order import Wanted, Webhook
from dastak.sms.receipt_codes import DLT_CODES, reason_outcome
from dastak.sms.segments import parts_of
from dastak.sms.smpp_codes import Status

PATH: Final = "/api/v5/flow"
RECIPIENTS_MAX: Final = 100
VARIABLE_CHARACTERS_MAX: Final = 200
SENDER: Final = "SIMOTP"
_TEMPLATE_ID: Final = re.compile(r"[0-9a-f]{24}")

_BAD_NUMBER: Final = "Invalid mobile number"
_REFUSALS: Final[Mapping[int, tuple[int, str]]] = {
    Status.ESME_RTHROTTLED: (429, "Too many requests"),
    Status.ESME_RMSGQFUL: (429, "Too many requests"),
    Status.ESME_RINVDSTADR: (400, _BAD_NUMBER),
}
_BROKEN: Final = (500, "Something went wrong")

_DELIVERED, _FAILED, _NDNC, _REJECTED = "1", "2", "9", "16"
_STATES: Final[Mapping[str, tuple[str, str]]] = {
    "ACCEPTD": ("8", "SUBMITTED"),
    "DELETED": (_REJECTED, "REJECTED"),
    "DELIVRD": (_DELIVERED, "DELIVERED"),
    "ENROUTE": ("8", "SUBMITTED"),
    "EXPIRED": (_FAILED, "FAILED"),
    "REJECTD": (_REJECTED, "REJECTED"),
    "UNDELIV": (_FAILED, "FAILED"),
    "UNKNOWN": (_FAILED, "FAILED"),
}
_REASONS: Final[Mapping[Outcome, str]] = {
    Outcome.ABSENT_SUBSCRIBER: "ABSENT-SUB",
    Outcome.BARRED_OR_DND: "NDNC REJECTED",
    Outcome.HANDSET_BUSY_OR_MEMORY: "MESSAGE INBOX FULL",
    Outcome.UNKNOWN_NUMBER: "INVALID-SUB",
}


class _Flow(msgspec.Struct, frozen=True):
    """The body of a request; a recipient has `mobiles`, and its variables beside."""

    template_id: str = ""
    recipients: tuple[dict[str, str | int], ...] = ()


_FLOW: Final = msgspec.json.Decoder(_Flow)


class Msg91Shape(msgspec.Struct, frozen=True, kw_only=True):
    """How MSG91 speaks to one account. Where receipts go is set beside, not in requests."""

    account: str
    authkey: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"Msg91Shape({self.account!r})"

    def takes(self, path: str) -> bool:
        """Say whether a path is MSG91's."""
        return path.rstrip("/") == PATH

    def read(self, asked: Asked) -> tuple[Wanted, ...] | Said:
        """Return the texts that a request asks for, or the refusal."""
        if asked.method != "POST":
            return _error(405, "Method not allowed")
        told = asked.headers.get("authkey", "")
        if not hmac.compare_digest(told.encode(), self.authkey.encode()):
            return _error(401, "Authentication failure" if told else "authkey is missing")
        try:
            flow = _FLOW.decode(asked.body)
        except (msgspec.DecodeError, RecursionError):
            return _error(400, "Invalid JSON")
        fault = _fault(flow)
        return _error(400, fault) if fault else _texts(flow)

    def message_id(self, number: int) -> str:
        """Write the id of a request."""
        return f"{number:024x}"

    def accepted(self, wanted: Wanted, message_id: str, now: datetime) -> Said:
        """Answer that texts were taken."""
        del wanted, now
        return Said(200, msgspec.json.encode({"type": "success", "message": message_id}))

    def refused(self, fate: Fate) -> Said:
        """Answer as a fault says."""
        status, message = _REFUSALS.get(fate.command_status, _BROKEN)
        return _error(fate.http_status or status, message, fate.vendor_code)

    def sent(self, wanted: Wanted, message_id: str) -> Webhook | None:
        """Tell nothing: MSG91 reports once."""
        del wanted, message_id
        return None

    def receipt(self, wanted: Wanted, message_id: str, fate: Fate, now: datetime) -> Webhook:
        """Tell what became of a text."""
        status, words = _STATES[fate.stat]
        report = {
            "date": f"{now:%Y-%m-%d %H:%M:%S}",
            "number": wanted.msisdn.removeprefix("+"),
            "status": status,
            "desc": words,
        }
        if status in (_FAILED, _REJECTED):
            report["failedReason"] = _reason(fate)
        told = [{"senderId": wanted.sender, "requestId": message_id, "report": [report]}]
        return Webhook(
            url=wanted.callback_url,
            headers={"content-type": "application/x-www-form-urlencoded"},
            body=urlencode({"data": msgspec.json.encode(told).decode()}).encode(),
        )


def _fault(flow: _Flow) -> str:
    """Name what is missing; nothing for nothing."""
    if not flow.template_id:
        return "template id missing"
    if not _TEMPLATE_ID.fullmatch(flow.template_id):
        return "Invalid template"
    return "" if 1 <= len(flow.recipients) <= RECIPIENTS_MAX else "recipients missing"


def _texts(flow: _Flow) -> tuple[Wanted, ...] | Said:
    try:
        return tuple(_wanted(recipient) for recipient in flow.recipients)
    except InvalidMsisdn:
        return _error(400, _BAD_NUMBER)
    except ValueError:
        return _error(400, "Invalid variable")


def _wanted(recipient: Mapping[str, str | int]) -> Wanted:
    """Read one recipient. The phone shows the variables in their order, as no template is known here.

    Raises:
        InvalidMsisdn: Its number is none.
        ValueError: A variable is too long, or there is none.
    """
    msisdn = read_number(str(recipient.get("mobiles", "")))
    values = [str(value) for name, value in recipient.items() if name != "mobiles"]
    if not values or any(len(value) > VARIABLE_CHARACTERS_MAX for value in values):
        raise ValueError("a template has variables of bounded length")
    text = f"{' '.join(values)} is what your template was given."
    return Wanted(msisdn=msisdn, sender=SENDER, text=text, segments=parts_of(text))


def _error(status: int, message: str, code: str = "") -> Said:
    answer: dict[str, Any] = {"type": "error", "message": message}
    if code:
        answer["code"] = code
    return Said(status, msgspec.json.encode(answer))


def _reason(fate: Fate) -> str:
    """Write why a text failed: a number of the DLT scrubbing as it is, another reason in a word."""
    if fate.vendor_code:
        return fate.vendor_code
    if fate.err.isascii() and fate.err.isdecimal() and int(fate.err) in DLT_CODES:
        return fate.err
    outcome = reason_outcome(fate.err)
    return fate.stat if outcome is None else _REASONS.get(outcome, fate.stat)
