"""Which message a receipt is about: a ref that can be computed from the submit and from the receipt as well.

1. The ref that is stored with a message is what `submitted` returns; `candidates` returns what it may be, the
   likeliest first.
2. A ref that is no id of the carrier begins with a letter and a colon, so that it is never taken for one.
3. What is remembered of recent messages only makes it surer; without it (after a restart) nothing is lost.

Source: SMPP v3.4, sections 5.3.2.12 and 5.3.2.17; what carriers really do.
"""

import re
from collections import deque
from collections.abc import Callable, Mapping
from enum import StrEnum
from typing import Final, NamedTuple

from dastak.sms.dlr import id_forms, normal_id

# In each of two generations.
RECENT_MAX: Final = 5_000
USELESS_MAX: Final = 100
# An id that is among so many newest ones is no id.
LATEST_MAX: Final = 8
# National numbers differ in what is before these digits: 0, the country, plus.
PHONE_DIGITS: Final = 9

_USELESS: Final = frozenset({"", "0", "null", "none", "msg_id_not_implemented"})
_DECIMAL: Final = re.compile(r"[0-9]{1,20}")
_HEXADECIMAL: Final = re.compile(r"[0-9a-f]{1,16}")


class Correlation(StrEnum):
    """By what a route finds the message of a receipt."""

    AUTO = "auto"  # by the id in any form, or by the reference where ids are useless
    MESSAGE_ID = "message_id"  # the id as it is
    NORMALISED = "normalised"  # the id without leading zeros and case
    HEX_TO_DEC = "hex_to_dec"  # submit_sm_resp is hexadecimal, receipts are decimal
    DEC_TO_HEX = "dec_to_hex"  # the other way round
    REFERENCE = "reference"  # user_message_reference and both addresses
    REFERENCE_LOW = "reference_low"  # only its low 8 bits come back
    ADDRESSES = "addresses"  # the newest message between both addresses


class Trace(NamedTuple):
    """What a submit and its receipt may have in common.

    Attributes:
        message_id: As the carrier writes it; may be empty.
        reference: The user_message_reference, where there is one.
        phone: The number of the phone.
        sender: What the message came from.
    """

    message_id: str
    reference: int | None
    phone: str
    sender: str


class Correlator:
    """Computes refs for one route."""

    def __init__(self, correlation: Correlation) -> None:
        self._rule = _RULES.get(correlation)
        # ref -> phone, of the newest messages; when the younger ones are many, the older ones go.
        self._young: dict[str, str] = {}
        self._old: dict[str, str] = {}
        self._latest: deque[str] = deque(maxlen=LATEST_MAX)
        self._useless: set[str] = set()
        self._by_ids = True  # as the newest message was

    def submitted(self, trace: Trace) -> str:
        """Return the ref of a message that the carrier took."""
        if self._rule is not None:
            return self._rule.submitted(trace)
        ref = normal_id(trace.message_id)
        # A carrier that starts anew may use an id again, but not for the next message.
        if ref in self._latest and len(self._useless) < USELESS_MAX:
            self._useless.add(ref)
        self._latest.append(ref)
        self._by_ids = not (ref in _USELESS or ref in self._useless)
        if not self._by_ids:
            ref = _by_reference_low(trace)
        self._remember(ref, trace.phone)
        return ref

    def candidates(self, trace: Trace) -> tuple[str, ...]:
        """Return the refs that the message of a receipt may have; none where it cannot be told."""
        if self._rule is not None:
            return self._rule.candidates(trace)
        phone = phone_key(trace.phone)
        same = normal_id(trace.message_id)
        if same not in self._useless and self._phone_of(same) == phone:
            return (same,)
        by_id = id_forms(trace.message_id) if trace.message_id else ()
        by_reference = _reported(_by_reference_low, trace) if trace.reference is not None else ()
        refs = by_id + by_reference if self._by_ids else by_reference + by_id
        sure = next((ref for ref in refs if self._phone_of(ref) == phone), None)
        return refs if sure is None else (sure,)

    def _remember(self, ref: str, phone: str) -> None:
        if len(self._young) >= RECENT_MAX:
            self._young, self._old = {}, self._young
        self._young[ref] = phone_key(phone)

    def _phone_of(self, ref: str) -> str | None:
        return self._young.get(ref) or self._old.get(ref)


def phone_key(number: str) -> str:
    """Return what all ways to write a number have in common: national, with 0, plus or its country."""
    return number[-PHONE_DIGITS:]


def is_phone_key(key: str) -> bool:
    """Say whether a key is enough to know a phone by; that of a sender's name is not."""
    return len(key) == PHONE_DIGITS and key.isdecimal()


class _Rule(NamedTuple):
    submitted: Callable[[Trace], str]
    candidates: Callable[[Trace], tuple[str, ...]]


def _by_id(submitted: Callable[[str], str], reported: Callable[[str], str]) -> _Rule:
    return _Rule(
        lambda trace: submitted(trace.message_id),
        lambda trace: (reported(trace.message_id),) if trace.message_id else (),
    )


def _as_decimal(message_id: str) -> str:
    same = normal_id(message_id)
    return str(int(same, 16)) if _HEXADECIMAL.fullmatch(same) else same


def _as_hexadecimal(message_id: str) -> str:
    same = normal_id(message_id)
    return f"{int(same):x}" if _DECIMAL.fullmatch(same) else same


def _by_reference(trace: Trace) -> str:
    return f"r:{trace.reference or 0:x}/{_by_addresses(trace)[2:]}"


def _by_reference_low(trace: Trace) -> str:
    return f"l:{(trace.reference or 0) & 0xFF:x}/{_by_addresses(trace)[2:]}"


def _by_addresses(trace: Trace) -> str:
    return f"a:{phone_key(trace.phone)}/{_sender(trace.sender)}"


def _reported(ref: Callable[[Trace], str], trace: Trace) -> tuple[str, ...]:
    """Return the refs of a receipt: as it should be, without our sender, with both addresses turned round."""
    turned = trace._replace(phone=trace.sender, sender=trace.phone)
    return tuple(dict.fromkeys((ref(trace), ref(trace._replace(sender="")), ref(turned))))


def _by_both(ref: Callable[[Trace], str], *, with_reference: bool) -> _Rule:
    def candidates(trace: Trace) -> tuple[str, ...]:
        return () if with_reference and trace.reference is None else _reported(ref, trace)

    return _Rule(ref, candidates)


def _sender(sender: str) -> str:
    plain = sender.removeprefix("+")
    return plain[-PHONE_DIGITS:] if plain.isdecimal() else plain.lower()


_RULES: Final[Mapping[Correlation, _Rule]] = {
    Correlation.MESSAGE_ID: _by_id(str, str),
    Correlation.NORMALISED: _by_id(normal_id, normal_id),
    Correlation.HEX_TO_DEC: _by_id(_as_decimal, normal_id),
    Correlation.DEC_TO_HEX: _by_id(_as_hexadecimal, normal_id),
    Correlation.REFERENCE: _by_both(_by_reference, with_reference=True),
    Correlation.REFERENCE_LOW: _by_both(_by_reference_low, with_reference=True),
    Correlation.ADDRESSES: _by_both(_by_addresses, with_reference=False),
}
