"""What is tried of a carrier, and what a trial tells: its steps, and the PDUs between them."""

from collections.abc import Iterator, Mapping
from enum import StrEnum
from types import MappingProxyType
from typing import Final, TypeAlias

import msgspec

from dastak.core.msisdn import Msisdn
from dastak.core.outcome import Outcome
from dastak.sms.pdu_words import Seen

TEXT: Final = "This is a test of our SMS system. You need not do anything."
TIMEOUT_S: Final = 60.0
TIMEOUT_S_MAX: Final = 600.0


class StepName(StrEnum):
    """The steps, in their order."""

    CONNECT = "connect"
    BIND = "bind"
    SUBMIT = "submit"
    ANSWER = "answer"
    RECEIPT = "receipt"
    UNBIND = "unbind"


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One step of a trial.

    Attributes:
        at_ms: When it ended, since the trial began.
        took_ms: Since the step before it ended.
        ok: Whether it went as it should.
        pdus_before: How many PDUs had gone by.
        words: What happened.
        next: What to do, where it failed.
    """

    name: StepName
    at_ms: int
    took_ms: int
    pdus_before: int
    ok: bool
    words: str
    next: str = ""


Told: TypeAlias = Step | Seen


class Errand(msgspec.Struct, frozen=True, kw_only=True):
    """What to try.

    Attributes:
        to: The phone; None only binds and unbinds.
        sender: The header or number the text comes from; empty takes what the carrier's settings say.
        text: What to send; never a code.
        dlt: What India's scrubbers want to know of it; see `Outgoing`.
        timeout_s: How long to wait for the receipt.
    """

    to: Msisdn | None = None
    sender: str = ""
    text: str = TEXT
    dlt: Mapping[str, str] = MappingProxyType({})
    timeout_s: float = TIMEOUT_S


class Report(msgspec.Struct, frozen=True, kw_only=True):
    """What a trial came to.

    Attributes:
        linked: Whether the carrier took the bind.
        delivered: Whether its receipt says that the phone has the text.
        outcome: What its last word means; None where it had none.
        pdus: What was said, in words; none where a route cannot be watched.
    """

    carrier: str
    linked: bool
    delivered: bool
    outcome: Outcome | None
    steps: tuple[Step, ...]
    pdus: tuple[Seen, ...]


def in_order(report: Report) -> Iterator[Told]:
    """Yield steps and PDUs as they came."""
    shown = 0
    for step in report.steps:
        yield from report.pdus[shown : step.pdus_before]
        shown = step.pdus_before
        yield step
    yield from report.pdus[shown:]


def summary(report: Report) -> str:
    """Say in one line what a trial came to: its last step, but for the end of the link."""
    last = next(step for step in reversed(report.steps) if step.name is not StepName.UNBIND)
    return f"{last.name}: {last.words}"
