"""Twilio's Messages.json: what a request must have, how it is answered, and the signed StatusCallback.

Source: Twilio's OpenAPI document twilio_api_v2010.json; its error dictionary; its page on webhook security.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping
from datetime import datetime
from email.utils import format_datetime
from typing import Any, Final
from urllib.parse import parse_qsl, urlencode

import msgspec

from dastak.core.errors import InvalidMsisdn
from dastak.core.outcome import Outcome
from dastak.simulator.faults import Fate
from dastak.simulator.phone import read_number
from dastak.simulator.vendor_http.http_listener import Asked, Said
from dastak.simulator.vendor_http.order import Wanted, Webhook
from dastak.simulator.vendor_http.webhooks_out import local_address
from dastak.sms.receipt_codes import reason_outcome
from dastak.sms.segments import parts_of
from dastak.sms.smpp_codes import Status

TEXT_CHARACTERS_MAX: Final = 1600
VALIDITY_S_MAX: Final = 36_000
FIELDS_MAX: Final = 100
_ACCOUNTS: Final = "/2010-04-01/Accounts/"
_FORM: Final = "application/x-www-form-urlencoded"
# A number, a short code, or up to eleven characters of which one is a letter.
_SENDER: Final = re.compile(r"\+[1-9]\d{6,14}|\d{3,8}|(?=.*[A-Za-z])[A-Za-z0-9 &+_-]{1,11}", re.ASCII)
_SERVICE: Final = re.compile(r"MG[0-9a-fA-F]{32}")

# What is wrong with a request: HTTP status and sentence, by Twilio's own code.
ERRORS: Final[Mapping[int, tuple[int, str]]] = {
    20003: (401, "Authenticate"),
    20004: (405, "Method not allowed"),
    20404: (404, "The requested resource was not found"),
    20429: (429, "Too Many Requests"),
    20500: (500, "An internal server error has occurred"),
    20503: (503, "Service unavailable"),
    21205: (400, "Url is not a valid URL: this simulator calls http:// on this machine only"),
    21211: (400, "Invalid 'To' Phone Number"),
    21212: (400, "Invalid From Number (caller ID)"),
    21220: (400, "Invalid call state"),
    21266: (400, "'To' and 'From' number cannot be the same"),
    21602: (400, "Message body is required."),
    21603: (400, "A 'From' phone number is required."),
    21604: (400, "A 'To' phone number is required."),
    21609: (400, "Invalid 'StatusCallback' URL: this simulator calls http:// on this machine only"),
    21611: (429, "This 'From' number has exceeded the maximum number of queued messages"),
    21617: (400, f"The message body exceeds the {TEXT_CHARACTERS_MAX} character limit."),
    21624: (400, f"Invalid validity period value: 1 to {VALIDITY_S_MAX} seconds"),
    21701: (400, "The Messaging Service does not exist"),
}
_OF_COMMAND_STATUS: Final[Mapping[int, int]] = {
    Status.ESME_RTHROTTLED: 20429,
    Status.ESME_RMSGQFUL: 21611,
    Status.ESME_RINVDSTADR: 21211,
    Status.ESME_RINVSRCADR: 21212,
}
_OF_HTTP_STATUS: Final[Mapping[int, int]] = {
    401: 20003,
    404: 20404,
    405: 20004,
    429: 20429,
    500: 20500,
    503: 20503,
}
_STATES: Final[Mapping[str, str]] = {
    "ACCEPTD": "accepted",
    "DELETED": "canceled",
    "DELIVRD": "delivered",
    "ENROUTE": "sent",
    "EXPIRED": "undelivered",
    "REJECTD": "failed",
    "UNDELIV": "undelivered",
    "UNKNOWN": "undelivered",
}
_BAD_STATES: Final = frozenset({"failed", "undelivered"})
_UNKNOWN_ERROR: Final = "30008"
_EXPIRED_ERROR: Final = "30036"
# Why a network did not deliver; what the scrubbing of DLT refuses is filtered by the carrier, to Twilio.
_REASONS: Final[Mapping[Outcome, str]] = {
    Outcome.ABSENT_SUBSCRIBER: "30003",
    Outcome.BARRED_OR_DND: "30004",
    Outcome.UNKNOWN_NUMBER: "30005",
    **dict.fromkeys(
        (
            Outcome.CTA_NOT_WHITELISTED,
            Outcome.DLT_CHAIN,
            Outcome.DLT_ENTITY,
            Outcome.DLT_HEADER,
            Outcome.DLT_TEMPLATE,
            Outcome.DLT_VARIABLE,
            Outcome.SPAM_OR_CONTENT,
        ),
        "30007",
    ),
}


class TwilioShape(msgspec.Struct, frozen=True, kw_only=True):
    """How Twilio speaks to one account."""

    account: str
    account_sid: str
    auth_token: str

    def __repr__(self) -> str:
        """Show no secret."""
        return f"TwilioShape({self.account!r})"

    def takes(self, path: str) -> bool:
        """Say whether a path is one of Twilio's."""
        return path.startswith(_ACCOUNTS)

    def read(self, asked: Asked) -> tuple[Wanted, ...] | Said:
        """Return the text that a request asks for, or the refusal."""
        if not self.knows(asked.headers.get("authorization", "")):
            return refusal(20003)
        if asked.path != f"{_ACCOUNTS}{self.account_sid}/Messages.json":
            return refusal(20404)
        if asked.method != "POST":
            return refusal(20004)
        form = _form(asked)
        fault = _fault(form)
        if fault is not None:
            return refusal(fault)
        text = form["Body"]
        wanted = Wanted(
            msisdn=read_number(form["To"]),
            sender=form.get("From") or form["MessagingServiceSid"],
            text=text,
            segments=parts_of(text),
            callback_url=form.get("StatusCallback", ""),
        )
        return (wanted,)

    def message_id(self, number: int) -> str:
        """Write the id of a message."""
        return f"SM{number:032x}"

    def accepted(self, wanted: Wanted, message_id: str, now: datetime) -> Said:
        """Answer that a text was taken."""
        by_service = _SERVICE.fullmatch(wanted.sender) is not None
        uri = f"{_ACCOUNTS}{self.account_sid}/Messages/{message_id}"
        at = format_datetime(now)
        answer: dict[str, Any] = {
            "account_sid": self.account_sid,
            "api_version": "2010-04-01",
            "body": wanted.text,
            "date_created": at,
            "date_sent": None,
            "date_updated": at,
            "direction": "outbound-api",
            "error_code": None,
            "error_message": None,
            "from": None if by_service else wanted.sender,
            "messaging_service_sid": wanted.sender if by_service else None,
            "num_media": "0",
            "num_segments": str(wanted.segments),
            "price": None,
            "price_unit": "USD",
            "sid": message_id,
            "status": "accepted" if by_service else "queued",
            "subresource_uris": {"media": f"{uri}/Media.json"},
            "to": wanted.msisdn,
            "uri": f"{uri}.json",
        }
        return Said(201, msgspec.json.encode(answer))

    def refused(self, fate: Fate) -> Said:
        """Answer as a fault says."""
        code = _OF_COMMAND_STATUS.get(fate.command_status, 20500)
        if fate.http_status is not None:
            code = _OF_HTTP_STATUS.get(fate.http_status, 20500 if fate.http_status >= 500 else 20001)
        if fate.vendor_code.isascii() and fate.vendor_code.isdecimal():
            code = int(fate.vendor_code)
        return refusal(code, fate.http_status)

    def sent(self, wanted: Wanted, message_id: str) -> Webhook | None:
        """Tell that a text is on its way."""
        return self._webhook(wanted, message_id, "sent", "")

    def receipt(self, wanted: Wanted, message_id: str, fate: Fate, now: datetime) -> Webhook:
        """Tell what became of a text."""
        del now  # Twilio's webhooks tell no time
        state = _STATES[fate.stat]
        return self._webhook(wanted, message_id, state, _reason(fate) if state in _BAD_STATES else "")

    def knows(self, authorization: str) -> bool:
        """Judge the credentials: account and token, in constant time."""
        kind, _, told = authorization.partition(" ")
        known = base64.b64encode(f"{self.account_sid}:{self.auth_token}".encode())
        return kind.lower() == "basic" and hmac.compare_digest(known, told.strip().encode())

    def _webhook(self, wanted: Wanted, message_id: str, state: str, error: str) -> Webhook:
        fields = {
            "AccountSid": self.account_sid,
            "ApiVersion": "2010-04-01",
            "From": wanted.sender,
            "MessageSid": message_id,
            "MessageStatus": state,
            "SmsSid": message_id,
            "SmsStatus": state,
            "To": wanted.msisdn,
        }
        if error:
            fields["ErrorCode"] = error
        return Webhook(
            url=wanted.callback_url,
            headers={
                "content-type": _FORM,
                "x-twilio-signature": signature(self.auth_token, wanted.callback_url, fields),
            },
            body=urlencode(fields).encode(),
        )


def signature(auth_token: str, url: str, fields: Mapping[str, str]) -> str:
    """Sign a webhook: the address, then every name and value, sorted by name, under HMAC-SHA1."""
    signed = url + "".join(f"{name}{fields[name]}" for name in sorted(fields))
    return base64.b64encode(hmac.new(auth_token.encode(), signed.encode(), hashlib.sha1).digest()).decode()


def _form(asked: Asked) -> dict[str, str]:
    """Read a form; what is none has no fields, so that the first missing one is told."""
    if not asked.headers.get("content-type", "").startswith(_FORM):
        return {}
    try:
        return dict(parse_qsl(asked.body.decode(), keep_blank_values=True, max_num_fields=FIELDS_MAX))
    except ValueError:
        return {}


def _fault(form: Mapping[str, str]) -> int | None:
    """Name what is wrong with a form, in the order in which Twilio looks."""
    return _fault_of_ends(form) or _fault_of_text(form)


def _fault_of_ends(form: Mapping[str, str]) -> int | None:
    to, sender, service = (form.get(name, "") for name in ("To", "From", "MessagingServiceSid"))
    if not to:
        return 21604
    if not sender and not service:
        return 21603
    try:
        msisdn = read_number(to)
    except InvalidMsisdn:
        return 21211
    if service and not _SERVICE.fullmatch(service):
        return 21701
    if sender and not _SENDER.fullmatch(sender):
        return 21212
    return 21266 if sender == msisdn else None


def _fault_of_text(form: Mapping[str, str]) -> int | None:
    text, validity = form.get("Body", ""), form.get("ValidityPeriod")
    if not text:
        return 21602
    if len(text) > TEXT_CHARACTERS_MAX:
        return 21617
    if validity is not None and not _is_validity(validity):
        return 21624
    callback = form.get("StatusCallback", "")
    return 21609 if callback and local_address(callback) is None else None


def _is_validity(text: str) -> bool:
    return text.isascii() and text.isdecimal() and len(text) <= 6 and 1 <= int(text) <= VALIDITY_S_MAX


def refusal(code: int, status: int | None = None) -> Said:
    """Refuse by one of Twilio's codes."""
    known, message = ERRORS.get(code, (400, "The request was refused"))
    told = status or known
    answer = {
        "code": code,
        "message": message,
        "more_info": f"https://www.twilio.com/docs/errors/{code}",
        "status": told,
    }
    return Said(told, msgspec.json.encode(answer))


def _reason(fate: Fate) -> str:
    if fate.vendor_code:
        return fate.vendor_code
    if fate.stat == "EXPIRED":
        return _EXPIRED_ERROR
    outcome = reason_outcome(fate.err)
    return _UNKNOWN_ERROR if outcome is None else _REASONS.get(outcome, _UNKNOWN_ERROR)
