"""Read what a vendor tells of a call: its status, and the keys that were pressed."""

import re
from collections.abc import Mapping
from datetime import datetime
from enum import IntEnum
from typing import Any, Final, NamedTuple

from dastak.core.errors import MalformedRequest
from dastak.core.outcome import Outcome
from dastak.http_carriers.body_paths import events_at, value_at
from dastak.http_carriers.code_tables import told
from dastak.http_carriers.hook_proof import Hook, is_proven
from dastak.http_carriers.hook_receipts import body_of, meaning_of
from dastak.http_carriers.http_profile import ProofKind
from dastak.http_voice.application_jwt import is_signed_hs256
from dastak.http_voice.call_profile import CallProof, StatusForm

# A person types no more than a code has characters.
KEYS_MAX: Final = 20
_NO_KEY: Final = re.compile(r"[^0-9*#]")


class Phase(IntEnum):
    """How far a call is."""

    NOTED = 0
    RINGING = 1
    ANSWERED = 2
    ENDED = 3


class CallReport(NamedTuple):
    """One thing that a vendor tells.

    Attributes:
        ref: Its id of the call.
        word: As it says it.
        outcome: What came of the call, if it ended and was not answered; what a vendor without a script
            says in any case.
        machine: Whether a human answered, in its word; a hint.
    """

    ref: str
    word: str
    phase: Phase
    outcome: Outcome | None
    machine: str


def is_vendors(kind: CallProof, hook: Hook, secret: str, *, now: datetime) -> bool:
    """Say whether a webhook is signed as its vendor does; the secrets in its address were checked before.

    Raises:
        MalformedRequest: It cannot be read.
    """
    if kind is CallProof.VONAGE_JWT:
        scheme, _, token = hook.headers.get("authorization", "").partition(" ")
        return scheme.lower() == "bearer" and is_signed_hs256(token.strip(), secret, hook.body, now=now)
    return is_proven(ProofKind(kind), hook, secret, hash_name="", now=now)


def read_status(form: StatusForm, own: Mapping[str, Outcome], hook: Hook) -> tuple[CallReport, ...]:
    """Return what a webhook tells of calls; what has no status in it is nothing.

    Args:
        form: How it is told.
        own: What the operator says of words and codes, before the form's table.
        hook: A proven one.

    Raises:
        MalformedRequest: It cannot be read.
    """
    events = events_at(_read(hook), form.each)
    return tuple(_report(form, own, event) for event in events if value_at(event, form.status))


def text_in(paths: tuple[str, ...], hook: Hook) -> str:
    """Return the first of some places of a webhook where something stands; empty where nothing does.

    Raises:
        MalformedRequest: It cannot be read.
    """
    body = _read(hook) if hook.body or hook.query else {}
    return next(filter(None, (value_at(body, path) for path in paths)), "")


def keys_in(paths: tuple[str, ...], hook: Hook) -> str:
    """Return the keys that were pressed. Raises: MalformedRequest."""
    return _NO_KEY.sub("", text_in(paths, hook))[:KEYS_MAX]


def _read(hook: Hook) -> Any:
    try:
        return body_of(hook)
    except (ValueError, RecursionError) as error:
        # msgspec's own errors are ValueErrors as well.
        raise MalformedRequest("The webhook is not one of this carrier's.") from error


def _report(form: StatusForm, own: Mapping[str, Outcome], event: Mapping[str, Any]) -> CallReport:
    word, codes = value_at(event, form.status), [value_at(event, path) for path in form.code]
    phase, outcome = Phase.NOTED, None
    if word in form.ringing:
        phase = Phase.RINGING
    elif word in form.answered:
        phase = Phase.ANSWERED
    elif word in form.ended:
        phase = Phase.ENDED
    else:
        outcome = meaning_of(word, codes, own, form.outcomes)
        phase = Phase.NOTED if outcome is Outcome.UNKNOWN else Phase.ENDED
    code = next(filter(None, codes), "")
    shown = f"{told(word)} {told(code)}" if code and phase is Phase.ENDED else told(word)
    machine = told(value_at(event, form.machine)) if form.machine else ""
    return CallReport(value_at(event, form.ref), shown, phase, outcome, machine)
