"""Make the pages that tell the rules: states and transitions, events, delivery outcomes."""

import inspect
from collections.abc import Mapping
from enum import StrEnum
from typing import Any, get_args

import msgspec

from dastak.core.events import AnyEvent
from dastak.core.message import MESSAGE_TRANSITIONS, MessageState
from dastak.core.outcome import OUTCOMES
from dastak.core.remedies import CALL_REMEDIES, REMEDIES
from dastak.core.verification import TRANSITIONS, State
from dastak.dlt.scrub_codes import all_meanings, families
from dastak.voice.sip.sip_call import CALL_TRANSITIONS, CallState
from dastak.voice.sip.sip_transactions import TRANSITIONS as TRANSACTION_TRANSITIONS
from dastak.voice.sip.sip_transactions import State as TransactionState
from tools.markdown import code, join, table


def states() -> str:
    """Make the page of both state machines, drawn from their tables."""
    return join(
        "# The states of a verification and of a message",
        "A verification and the messages that carry its code are two machines. A receipt moves a message, "
        "never a verification to `approved`: only the right code does that. What is not drawn leaves the "
        "state as it is.",
        "## Verification",
        _diagram(TRANSITIONS, State.PENDING),
        f"Final: {_final(State, TRANSITIONS)}. Nothing leaves a final state: no code is approved twice.",
        "## Message",
        _diagram(MESSAGE_TRANSITIONS, MessageState.QUEUED),
        f"Final: {_final(MessageState, MESSAGE_TRANSITIONS)}. `delivered` wins over `undelivered`: carriers "
        "sometimes bring a text after they said they would not.",
    )


def sip_states() -> str:
    """Make the page of the SIP machines, drawn from their tables."""
    transactions = {key: move.to for key, move in TRANSACTION_TRANSITIONS.items()}
    kinds = (
        ("We invite", TransactionState.INVITE_CALLING),
        ("We ask anything else", TransactionState.ASKING_TRYING),
        ("We are invited again", TransactionState.INVITED_PROCEEDING),
        ("We are asked anything else", TransactionState.ASKED_TRYING),
    )
    parts = [
        part
        for heading, start in kinds
        for part in (f"## {heading}", _diagram(_from(start, transactions), start))
    ]
    return join(
        "# The states of a call over SIP",
        "A call is one machine; every message of it that waits for an answer has one of its own below it. "
        "None of them knows a clock or a socket: messages and times go in, messages and events come out. "
        "What is not drawn changes nothing.",
        "## The call",
        _diagram(CALL_TRANSITIONS, CallState.CALLING),
        "Called off before the trunk said anything, a call is `abandoned`: a CANCEL must not overtake its "
        "INVITE, so it waits for the first provisional answer. Answered after all, while it is being called "
        "off, it is hung up at once.",
        *parts,
        "A capital letter is a timer of RFC 3261. Over TCP and TLS nothing is repeated but the 2xx to an "
        "INVITE. How long a silent trunk is waited for (B and F) is set for each trunk.",
    )


def events() -> str:
    """Make the page of events."""
    return join(
        "# Events",
        "A fact that happened. An event is written in the same commit as the change it tells of and never "
        "altered; timelines, metrics, logs and webhooks are views of it. It holds no code, no whole number "
        "and no credential. `at_ms` is when, in milliseconds since 1970 UTC; `ordinal` says which message "
        "of the verification, from 0.",
        table(
            ("stored tag", "event", "fields besides `at_ms`", "meaning"),
            [_event(kind) for kind in get_args(AnyEvent)],
        ),
    )


def outcomes() -> str:
    """Make the page of delivery outcomes."""
    return join(
        "# Delivery outcomes",
        "Every carrier has its own codes; each is mapped to one of these words by a table of its route. "
        "Only a terminal outcome settles a message. The other columns say when each next step makes sense, "
        "while the code still lives.",
        table(
            ("outcome", "terminal", "same route again", "another route", "call"),
            [
                (
                    code(outcome),
                    "yes" if advice.terminal else "",
                    *map(_when, msgspec.structs.astuple(advice)[1:]),
                )
                for outcome, advice in OUTCOMES.items()
            ],
        ),
        "## What each means, and what to do",
        table(
            ("outcome", "the carrier…", "who acts", "next"),
            [
                (code(outcome), remedy.means, remedy.who, remedy.action)
                for outcome, remedy in REMEDIES.items()
            ],
        ),
        "## Of a call",
        "The words above that speak of a text are these when it was a call; the others hold for both.",
        table(
            ("outcome", "the trunk…", "who acts", "next"),
            [
                (code(outcome), remedy.means, remedy.who, remedy.action)
                for outcome, remedy in CALL_REMEDIES.items()
            ],
        ),
    )


def dlt_codes() -> str:
    """Make the page of what DLT scrubbers answer."""
    shown = all_meanings()
    parts = [
        part
        for family, what in families().items()
        for part in (
            f"## {family}",
            what,
            table(
                ("code", "meaning", "outcome"),
                [(code(one.code), one.words, code(one.outcome)) for one in shown if one.family == family],
            ),
        )
    ]
    return join(
        "# DLT codes of Indian operators",
        "What a scrubber answers, as message providers publish it; no line was verified with an operator. "
        "One number means different things to different operators, so a carrier's `receipt_outcomes` decide "
        "for that carrier. `dastak explain 633` says the same on the command line. Who acts, and what "
        "they do next, depends on the [outcome](outcomes.md#what-each-means-and-what-to-do).",
        *parts,
    )


def _diagram(transitions: Mapping[Any, StrEnum], start: StrEnum) -> str:
    moves: dict[tuple[str, str], list[str]] = {}
    for (state, happened), to in transitions.items():
        moves.setdefault((str(state), str(to)), []).append(str(happened))
    arrows = [f"    {state} --> {to}: {', '.join(inputs)}" for (state, to), inputs in moves.items()]
    reached = {start, *transitions.values()}
    ends = [f"    {state} --> [*]" for state in _ends(type(start), transitions) if state in reached]
    return "\n".join(["```mermaid", "stateDiagram-v2", f"    [*] --> {start}", *arrows, *ends, "```"])


def _from(start: StrEnum, transitions: Mapping[Any, StrEnum]) -> Mapping[Any, StrEnum]:
    """Return the rows that can be reached from one state."""
    reached, size = {start}, 0
    while size != len(reached):
        size = len(reached)
        reached |= {to for (state, _), to in transitions.items() if state in reached}
    return {key: to for key, to in transitions.items() if key[0] in reached}


def _ends(states: type[StrEnum], transitions: Mapping[Any, StrEnum]) -> list[StrEnum]:
    left = {state for state, _ in transitions}
    return [state for state in states if state not in left]


def _final(states: type[StrEnum], transitions: Mapping[Any, StrEnum]) -> str:
    return ", ".join(code(state) for state in _ends(states, transitions))


def _event(kind: type[msgspec.Struct]) -> tuple[str, str, str, str]:
    fields = [code(field) for field in kind.__struct_fields__ if field != "at_ms"]
    meaning = inspect.cleandoc(kind.__doc__ or "").partition("\n\n")[0]
    return code(kind.__struct_config__.tag), code(kind.__name__), ", ".join(fields), meaning


def _when(step: StrEnum) -> str:
    return str(step).replace("_", " ") or "never"
