"""Tell why a code did or did not arrive: its timeline, what the carrier said, and what to do next."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlencode

import click
import msgspec

from dastak.cli import Exit
from dastak.commands.printing import json_option, print_json
from dastak.commands.running_server import Answer, DevServer, call, find_server, server_options, tell_refusal
from dastak.core.call_terms import CALL_BARS, CallBar
from dastak.core.errors import NotFound
from dastak.core.ids import VERIFICATION_PREFIX
from dastak.core.message import BROKEN
from dastak.core.outcome import Outcome
from dastak.core.remedies import remedy_of

Event = Mapping[str, Any]

# What stands at the beginning of a line, or goes without saying.
_UNSHOWN: Final = frozenset({"type", "at", "ordinal"})
# The last event of the newest message decides; what has no outcome of its own means this.
_MEANS: Final[Mapping[str, tuple[str, str]]] = {
    "queued": ("no route has taken it yet", "dastak carrier list, and look at the links"),
    "submitted": (
        "the carrier has it and has not reported",
        "wait for its receipt; give the carrier the carrier_ref when you ask",
    ),
    "overdue": (
        "the carrier took it and said nothing more",
        "give the carrier the carrier_ref and ask what became of it",
    ),
    "delivered": (
        "the carrier reports the text on the phone",
        "ask whether the person looks at another phone, or a filter hides it",
    ),
    "dropped": ("it was not sent, for nobody waited for its code any more", "start again"),
}
# Of a text or a call that was dropped though somebody waits for it.
_BROKEN: Final = ("writing it failed, by a fault of ours or of its row", "it is tried again within seconds")
_DEAD_LETTER: Final = (
    "it is a dead letter: writing it failed three times, by a fault of ours or of its row",
    "look for `dead letter` in the log, at the error before it; let the person start again",
)
# The same of a call.
_CALL_MEANS: Final[Mapping[str, tuple[str, str]]] = {
    "queued": ("no trunk has taken it yet", "dastak carrier list, and look at the links"),
    "submitted": ("the phone rings, or somebody listens", "wait for the end of the call"),
    "overdue": (
        "the call was begun and nobody told its end",
        "look at the log, and at the trunk's; it stays counted at its worst in the caps of cost",
    ),
    "delivered": (
        "the call spoke the whole code to somebody who pressed the digit that was asked for",
        "ask whether somebody else answered this phone",
    ),
    "dropped": ("it was not made; its line says why", "send a text, or call again when the person asks"),
}
_OF_MESSAGES: Final = frozenset({*_MEANS, "refused", "undelivered", "receipt"})


class Verdict(msgspec.Struct, frozen=True, kw_only=True):
    """What a timeline comes to.

    Attributes:
        last: The last event of the newest message; empty where there is no message.
        outcome: In our words, where the carrier said something.
        raw: The carrier's own code, unchanged.
        route: Who had it, and `carrier_ref` under which id.
    """

    last: str
    outcome: str
    raw: str
    route: str
    carrier_ref: str
    means: str
    next: str


@click.command()
@click.argument("what", metavar="ID|NUMBER")
@server_options
@json_option
def why(*, what: str, url: str | None, api_key: str | None, as_json: bool) -> int:
    """Tell why a code did or did not arrive, by the id of its verification or by the number, newest first."""
    server = find_server(url, api_key)
    found = _find(server, what)
    if isinstance(found, Answer):
        return tell_refusal(found, as_json=as_json)
    timeline = call(server, "GET", f"/v1/verifications/{found['id']}/timeline")
    if timeline.status >= 400:
        return tell_refusal(timeline, as_json=as_json)
    events = timeline.body["events"]
    verdict = judge(events)
    if as_json:
        print_json({"verification": found, "events": events, "verdict": verdict})
    else:
        _print(found, events, verdict)
    return Exit.OK


def judge(events: Sequence[Event]) -> Verdict:
    """Say what a timeline comes to: the last word on its newest message."""
    told = [event for event in events if event["type"] in _OF_MESSAGES]
    newest = [event for event in told if event["ordinal"] == max(one["ordinal"] for one in told)]
    last: Event = newest[-1] if newest else {"type": ""}
    held: Event = next((event for event in reversed(newest) if "route" in event), {})
    outcome = Outcome.DELIVERED if last["type"] == "delivered" else last.get("outcome", "")
    call = any(one["type"] == "queued" and one["channel"] == "voice" for one in newest) or (
        last.get("evidence", "").startswith("call:")
    )
    meant = {**_MEANS, **_CALL_MEANS} if call else _MEANS
    if last.get("cause", "") in set(CallBar):
        means, action = CALL_BARS[CallBar(last["cause"])]
    elif last.get("cause") == BROKEN or last.get("status") == BROKEN:
        means, action = _DEAD_LETTER if last["type"] == "dropped" else _BROKEN
    elif last["type"] in meant:
        means, action = meant[last["type"]]
    elif outcome in set(Outcome):
        remedy = remedy_of(Outcome(outcome), call=call)
        means, action = f"the {'trunk' if call else 'carrier'} {remedy.means}", remedy.action
    else:
        means, action = "no message was made", "look at the answer to its start"
    return Verdict(
        last=last["type"],
        outcome=outcome,
        raw=last.get("evidence") or last.get("status") or "",
        route=held.get("route", ""),
        carrier_ref=held.get("carrier_ref", ""),
        means=means,
        next=action,
    )


def _find(server: DevServer, what: str) -> Any:
    """Return a verification, or the answer that refuses it."""
    if what.startswith(VERIFICATION_PREFIX):
        answer = call(server, "GET", f"/v1/verifications/{what}")
        return answer if answer.status >= 400 else answer.body
    answer = call(server, "GET", f"/v1/verifications?{urlencode({'to': what, 'limit': 1})}")
    if answer.status >= 400:
        return answer
    found = answer.body["verifications"]
    if not found:
        raise NotFound("No verification of this number is kept.")
    return found[0]


def _print(found: Mapping[str, Any], events: Sequence[Event], verdict: Verdict) -> None:
    click.echo(f"{found['id']}  to {found['to_masked']}  {found['state']}")
    began = datetime.fromisoformat(found["created_at"])
    for event in events:
        after_s = (datetime.fromisoformat(event["at"]) - began).total_seconds()
        told = {name: "none" if value is None else value for name, value in event.items()}
        facts = ", ".join(f"{name} {value}" for name, value in told.items() if name not in _UNSHOWN)
        click.echo(f"{max(after_s, 0.0):>9.3f} s  {event['type']:<12}{_plain(facts)}".rstrip())
    carrier = f"{verdict.route}, under {verdict.carrier_ref}" if verdict.carrier_ref else verdict.route
    rows = (
        ("outcome", verdict.outcome or verdict.last or "none"),
        ("means", verdict.means),
        ("raw code", verdict.raw),
        ("carrier", carrier),
        ("next", verdict.next),
    )
    for name, value in rows:
        if value:
            click.echo(f"{click.style(name, bold=True)}{'':{9 - len(name)}}{_plain(value)}")


def _plain(words: str) -> str:
    """Keep what a carrier wrote from writing to a terminal."""
    return "".join(char if char.isprintable() else "?" for char in words)
