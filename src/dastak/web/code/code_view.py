"""Put together what the form for a code shows of one verification."""

import math
from collections.abc import Mapping
from datetime import datetime, timedelta
from typing import Any, Final

import msgspec

from dastak.core.codes import Alphabet
from dastak.core.errors import Conflict
from dastak.core.events import MessageSubmitted
from dastak.core.factor import Factor, challenge
from dastak.core.ids import FactorId
from dastak.core.lockout import Lock
from dastak.core.policy import Channel
from dastak.core.ports import Ports
from dastak.core.verification import State, Verification, asks_factor, call_at, resend_at
from dastak.delivery.deadlines import PATIENCE
from dastak.flows.compose import match_number_of
from dastak.flows.resend import newest_is_lost
from dastak.web.code.delivery_line import Way, way_of
from dastak.web.page_words import Words

# "About 5 seconds" is as exact as anybody believes.
ABOUT_S: Final = 5
MASKED_DIGITS_MAX: Final = 2


class CodeSight(msgspec.Struct, frozen=True, kw_only=True):
    """A verification, and what belongs to it that a page may tell of.

    Attributes:
        factor: Where it asks for a code of the person's own.
        way: How far the newest message is.
        lost: Whether it is known not to arrive, at a phone that may still ring.
        usual_s: How long its route usually takes.
    """

    verification: Verification
    brand: str
    now: datetime
    factor: Factor | None = None
    number: str | None = None
    way: Way | None = None
    lost: bool = False
    usual_s: int = ABOUT_S


class Said(msgspec.Struct, frozen=True, kw_only=True):
    """What the answer to a form says beside the state: an error or a notice, and what was typed."""

    error: str = ""
    notice: str = ""
    typed: str = ""


async def see(ports: Ports, verification: Verification) -> CodeSight:
    """Gather what a page shows. Raises: NotFound (the verification's factor is gone)."""
    factor, way, route, lost = None, None, "", False
    if asks_factor(verification):
        factor_id = FactorId(bytes.fromhex(verification.particulars.factor or ""))
        factor = await ports.store.factors.find_factor(verification.tenant, factor_id)
    else:
        timeline = await ports.store.timeline(verification.tenant, verification.id)
        way, lost = way_of(verification, timeline), newest_is_lost(timeline)
        route = next((event.route for event in reversed(timeline) if isinstance(event, MessageSubmitted)), "")
    within_s = ports.receipt_within_s(route, verification.msisdn)
    return CodeSight(
        verification=verification,
        brand=ports.service_of(verification.service).brand,
        now=ports.clock.now(),
        factor=factor,
        number=match_number_of(ports, verification),
        way=way,
        lost=lost,
        usual_s=max(ABOUT_S, ABOUT_S * round(within_s / PATIENCE / ABOUT_S)),
    )


def at_of(verification: Verification) -> str:
    """Return what changes whenever something is sent or judged, so that a form that comes twice is known."""
    return f"{verification.sends}.{verification.attempts}.{verification.id.hex()[:8]}"


def values_of(
    seen: CodeSight, words: Words, said: Said, *, may_change_number: bool, masked: str
) -> Mapping[str, Any]:
    """Return the values of the template `code_form.html`.

    `form`, `back` and `poll` are empty: the page around knows its own token, where its reader came from, and
    where `code_page.js` may ask how far the message is.
    """
    verification = seen.verification
    pending = verification.state is State.PENDING and seen.now < verification.expires_at
    _, letters = shape_of(seen)
    sends_left = may_send(seen)
    sent = masked and seen.factor is None  # nobody sends what an authenticator shows
    return {
        "kind": "over" if not pending else "match" if verification.particulars.match else "code",
        "form": "",
        "back": "",
        "poll": "",
        "at": at_of(verification),
        "code_for": words.say("code_for", brand=seen.brand),
        "no_phone": words.say("code_no_phone", brand=seen.brand),
        "back_label": words.say("code_back", brand=seen.brand),
        "payment": _payment(verification, words),
        "hint": hint_of(seen, words) if pending else "",
        "input_mode": "text" if letters or _lists(seen) else "numeric",
        "number": seen.number or "",
        "sent_to": words.say("code_sent_to", digits=masked[-MASKED_DIGITS_MAX:]) if sent else "",
        "error": said.error,
        "notice": said.notice,
        "typed": said.typed,
        "way": line_of(seen, words),
        "way_state": seen.way or "",
        # Where a number is matched nothing but a call asks for it.
        "can_resend": sends_left and seen.number is None and Channel.SMS in verification.policy.channels,
        "can_call": sends_left and Channel.VOICE in verification.policy.channels,
        "resend_wait_s": _wait_s(resend_at(verification), seen.now),
        "call_wait_s": call_wait_s(seen),
        "may_change_number": may_change_number,
    }


def may_send(seen: CodeSight) -> bool:
    """Say whether another message may be asked for at all."""
    verification = seen.verification
    pending = verification.state is State.PENDING and seen.now < verification.expires_at
    return pending and not asks_factor(verification) and verification.sends <= verification.policy.resends_max


def call_wait_s(seen: CodeSight) -> int:
    """Return in how many seconds a call may be asked for."""
    return _wait_s(call_at(seen.verification, lost=seen.lost), seen.now)


def line_of(seen: CodeSight, words: Words) -> str:
    """Return the sentence of how far the newest message is; empty where nothing is sent."""
    return "" if seen.way is None else words.say(f"way_{seen.way}", seconds=seen.usual_s)


def hint_of(seen: CodeSight, words: Words) -> str:
    """Return the sentence that says what to type."""
    length, letters = shape_of(seen)
    if seen.number is not None:
        return words.say("match_hint", number=seen.number)
    if seen.factor is None:
        name = "code_hint_letters" if letters else "code_hint"
        left = minutes_left(seen.verification.expires_at, seen.now)
        return words.say(name, length=length, minutes=left)
    if seen.factor.kind is not Channel.HASH_CHAIN:
        return words.say("code_hint_app", length=length)
    try:
        return words.say("code_hint_list", challenge=challenge(seen.factor) or "")
    except Conflict:  # the list is used up; whoever has another way takes it
        return words.say("code_no_phone", brand=seen.brand)


def shape_of(seen: CodeSight) -> tuple[int, bool]:
    """Return how many characters the code has, and whether it has letters."""
    if seen.factor is not None:
        return seen.factor.digits, False
    policy = seen.verification.policy
    return policy.length, policy.alphabet is not Alphabet.NUMERIC


def minutes_left(until: datetime, now: datetime) -> int:
    """Return whole minutes, at least one."""
    return max(1, math.ceil((until - now) / timedelta(minutes=1)))


def locked_line(words: Words, lock: Lock, *, now: datetime, brand: str) -> str:
    """Return what a person is told whose number is locked: for how long, unless somebody has to open it."""
    if lock.until is None:
        return words.say("way_failed")
    return words.say("error_locked", minutes=minutes_left(lock.until, now), brand=brand)


def _wait_s(allowed_at: datetime | None, now: datetime) -> int:
    return 0 if allowed_at is None else max(0, math.ceil((allowed_at - now).total_seconds()))


def _lists(seen: CodeSight) -> bool:
    return seen.factor is not None and seen.factor.kind is Channel.HASH_CHAIN


def _payment(verification: Verification, words: Words) -> str:
    said = verification.particulars
    if said.amount is None or said.payee is None:
        return ""
    return words.say("code_pays", amount=said.amount, currency=said.currency or "", payee=said.payee)
