"""Reads delivery receipts as carriers really write them, and says what they mean.

The TLVs are believed first, then the text. That is scanned for keys, because every carrier has its own idea
of their case, order and number; what cannot be read is left out, never guessed.

Source: SMPP v3.4, section 2.11 and appendix B.
"""

import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from types import MappingProxyType
from typing import Final

import msgspec

from dastak.core.outcome import Outcome
from dastak.sms.pdu_bodies import Sm
from dastak.sms.receipt_codes import STAT_OUTCOMES, STATS, STATS_WITH_REASON, reason_outcome
from dastak.sms.smpp_codes import ESM_INTERMEDIATE, ESM_RECEIPT, MessageState, Tag

_NO_TABLE: Final[Mapping[str, Outcome]] = MappingProxyType({})

# The text as the standard shows it and most carriers write it; four times as fast to read as by its keys.
_CLASSIC: Final = re.compile(
    r"id:(\S+) sub:\d+ dlvrd:\d+ submit date:\d+ done date:(\d+) stat:([A-Z]+) err:(\w+) text:", re.ASCII
)
_CLASSIC_KEYS: Final = ("id", "done date", "stat", "err")
# A key, a colon, and what comes before the next key or the end; `text` takes all that is left. Between the
# words of a key may be the underscore as the GSM alphabet has it.
_FIELD: Final = re.compile(
    r"\b(id|sub|dlvrd|submit[ _\x11]?date|done[ _\x11]?date|stat|err|text)\s*:", re.IGNORECASE
)
_DATE_KEY: Final = re.compile("[ _\x11]?date")
_UNKNOWN_KEY: Final = re.compile(r"\s[A-Za-z_]\w*:")
_DIGITS: Final = re.compile(r"\w*\d\w*")
_NETWORK_TYPE_GSM: Final = 3


class Dlr(msgspec.Struct, frozen=True, kw_only=True):
    """One receipt.

    Attributes:
        message_id: The carrier's id of the message; empty when the receipt has none.
        stat: `DELIVRD` and so on, in capitals; empty when it says nothing.
        err: The reason as the carrier writes it, but for digits behind its first word: they may be the code.
        done_date: When it was settled, as the carrier writes it.
        utc_offset: The carrier's clock against UTC, as its dates do not tell.
        outcome: What it means in our words.
        user_message_reference: Our own one, where it comes back; some carriers keep only its low 8 bits.
        raw: The text of the receipt, but for what follows `text:`, for that may repeat the code.
    """

    message_id: str
    stat: str
    err: str
    done_date: str
    utc_offset: timedelta
    outcome: Outcome
    user_message_reference: int | None
    raw: str

    @property
    def done_at(self) -> datetime | None:
        """When it was settled; None where the date cannot be read."""
        return _instant(self.done_date, self.utc_offset)


def is_receipt(esm_class: int) -> bool:
    """Say whether a deliver_sm is a receipt or an intermediate notice, and no text from a phone."""
    return bool(esm_class & (ESM_RECEIPT | ESM_INTERMEDIATE))


def parse_dlr(
    sm: Sm, *, table: Mapping[str, Outcome] = _NO_TABLE, utc_offset: timedelta = timedelta(0)
) -> Dlr:
    """Read a receipt; anything at all can be read.

    Args:
        sm: A deliver_sm or data_sm for which `is_receipt` is true.
        table: What this route's `stat:err`, or else `err`, or else `stat` values mean; it goes before the
            default hints.
        utc_offset: The carrier's clock against UTC, as its dates do not tell.
    """
    text = sm.text_octets.decode("latin-1")
    fields, raw = _scan(text)
    tlvs = dict(reversed(sm.tlvs))  # of two with one tag the first counts
    message_id = _cstring(tlvs.get(Tag.RECEIPTED_MESSAGE_ID, b"")) or fields.get("id", "")
    stat = _stat(tlvs.get(Tag.MESSAGE_STATE, b"")) or fields.get("stat", "").upper()
    err = fields.get("err", "")
    network_error = tlvs.get(Tag.NETWORK_ERROR_CODE, b"")
    reason = _gsm_error(network_error) or err or _cstring(tlvs.get(Tag.ADDITIONAL_STATUS_INFO_TEXT, b""))
    reference = tlvs.get(Tag.USER_MESSAGE_REFERENCE)
    return Dlr(
        message_id=message_id,
        stat=stat,
        err=_without_code(err or reason),
        done_date=fields.get("done date", ""),
        utc_offset=utc_offset,
        outcome=outcome_in(table, stat, (reason, err)),
        user_message_reference=int.from_bytes(reference, "big") if reference else None,
        raw=raw,
    )


def outcome_in(table: Mapping[str, Outcome], stat: str, reasons: tuple[str, str]) -> Outcome:
    """Return what a receipt comes to by the table of a route, before the default hints.

    Args:
        table: As `parse_dlr` takes it.
        stat: In capitals.
        reasons: The network's and the receipt's own `err`; empty where there is none.
    """
    default = _outcome(stat, reasons)
    return _mapped(table, stat, reasons[1] or reasons[0], default) if table else default


def normal_id(message_id: str) -> str:
    """Write a carrier's id without what carriers change in it: leading zeros and the case of letters."""
    plain = message_id.strip().lower()
    return plain.lstrip("0") or plain[:1]


def id_forms(message_id: str) -> tuple[str, ...]:
    """Return what the id of a receipt may be in submit_sm_resp, as `normal_id` writes it; likeliest first.

    Some carriers answer a submit_sm in hexadecimal and write receipts in decimal, or the other way round.
    """
    same = normal_id(message_id)
    forms = [same]
    if same.isascii() and same.isdecimal() and len(same) <= 20:
        forms.append(f"{int(same):x}")
    if re.fullmatch(r"[0-9a-f]{1,16}", same):
        forms.append(str(int(same, 16)))
    return tuple(dict.fromkeys(forms))


def _scan(text: str) -> tuple[dict[str, str], str]:
    """Split `key:value key:value`; the first of two equal keys counts.

    Returns:
        The fields, and the text without what follows `text:`.
    """
    classic = _CLASSIC.match(text)
    if classic is not None:
        return dict(zip(_CLASSIC_KEYS, classic.groups(), strict=True)), classic[0]
    fields: dict[str, str] = {}
    found = list(_FIELD.finditer(text))
    for match, after in zip_longest(found, found[1:]):
        key = match[1].lower()
        if key == "text":
            return fields, text[: match.end()]
        value = text[match.end() : after.start() if after else None].strip(" \t\r\n\0;,")
        if ":" in value:
            value = _UNKNOWN_KEY.split(value)[0].rstrip(" \t;,")
        fields.setdefault(_DATE_KEY.sub(" date", key), value)
    return fields, text


def _mapped(table: Mapping[str, Outcome], stat: str, err: str, default: Outcome) -> Outcome:
    """Look a reason up in the table of a route, the most exact key first; a success has no reason."""
    found = table.get(f"{stat}:{err}") or table.get(stat if default is Outcome.DELIVERED else err)
    return found or table.get(stat) or default


def _outcome(stat: str, reasons: tuple[str, ...]) -> Outcome:
    known = STAT_OUTCOMES.get(stat)
    if known is not None and stat not in STATS_WITH_REASON:
        return known
    told = (reason_outcome(reason) for reason in (*reasons, *(() if known else (stat,))) if reason)
    return next((outcome for outcome in told if outcome), known or Outcome.UNKNOWN)


def _stat(message_state: bytes) -> str:
    """Return the word for a TLV message_state; empty when there is none or it is not of the standard."""
    if len(message_state) != 1 or message_state[0] not in STATS:
        return ""
    return STATS[MessageState(message_state[0])]


def _gsm_error(network_error_code: bytes) -> str:
    if len(network_error_code) != 3 or network_error_code[0] != _NETWORK_TYPE_GSM:
        return ""
    number = int.from_bytes(network_error_code[1:], "big")
    return str(number) if number else ""


def _without_code(err: str) -> str:
    first, blank, rest = err.partition(" ")
    return first + blank + _DIGITS.sub("•", rest) if blank else err


def _cstring(value: bytes) -> str:
    return value.partition(b"\0")[0].decode("latin-1")


def _instant(digits: str, utc_offset: timedelta) -> datetime | None:
    """Read `YYMMDDhhmm` or `YYMMDDhhmmss`; some carriers send the letters themselves."""
    if len(digits) not in {10, 12} or not (digits.isascii() and digits.isdecimal()):
        return None
    year, month, day, hour, minute, second = (int(digits[at : at + 2] or "0") for at in range(0, 12, 2))
    try:
        return datetime(2000 + year, month, day, hour, minute, second, tzinfo=UTC) - utc_offset
    except (ValueError, OverflowError):
        return None
