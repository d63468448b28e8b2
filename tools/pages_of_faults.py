"""Make the page of the fault tests: the whole list, and the figures of the run that is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from chaos.fault_list import FAULTS, OWN_DATABASE
from chaos.outcome_table import HEAD, Outcome, Report, cells
from tools.markdown import join, table

RESULTS: Final = Path(__file__).resolve().parent.parent / "chaos" / "results"
# The runs that are kept: where, and of what.
KEPT: Final = (
    ("sqlite.json", "All of it on SQLite"),
    ("sqlite-queue.json", "The full queue on SQLite, after what it had shown was mended"),
    ("sqlite-memory.json", "The want of memory on SQLite, with time between to serve who waited"),
    ("postgres.json", "Most of it on PostgreSQL"),
    ("postgres-again.json", "The same where people had given up, with people who heed Retry-After"),
    ("postgres-nodes.json", "What the changes between nodes of 1 December touch, after them, on PostgreSQL"),
    ("failovers.json", "The database cluster"),
    ("floods.json", "The floods and the stops on SQLite, on a faster machine"),
    ("proxy.json", "The flood by way of HAProxy there"),
    ("postgres-floods.json", "The floods and the want of memory on PostgreSQL there"),
    ("postgres-floods-again.json", "The floods on PostgreSQL, with nobody else on the machine"),
    ("postgres-first.json", "An earlier run on PostgreSQL, of what was not played again too"),
    ("postgres-rest.json", "The rest on PostgreSQL"),
)

# Of the short table, whose store stands second.
MEASURED_HEAD: Final = (
    "fault", "store", "people/s", "accepted", "lost", "twice", "approved twice", "recovers in s",
)  # fmt: skip

PLAYED: Final = "`make chaos`, and in short `make test`"


def fault_tests() -> str:
    """Make the page."""
    return join(
        "# Fault tests",
        "What each promise is, and why these faults: "
        "[What Dastak promises](../explanation/what-dastak-promises.md).",
        "## The list",
        table(
            ("fault", "what is broken", "what must hold", "played"),
            [
                (fault, listed.what, listed.holds, listed.not_here or PLAYED)
                for fault, listed in FAULTS.items()
            ],
        ),
        *(part for name, title in KEPT for part in _run(name, title)),
    )


def measured() -> str:
    """Make the table of the newest kept outcome of each fault on each store."""
    newest: dict[tuple[str, str], tuple[str, Outcome]] = {}
    for name, _ in KEPT:
        report = _report(name)
        for outcome in report.outcomes:
            own = outcome.fault in OWN_DATABASE
            place = outcome.fault, "SQLite" if report.database == "SQLite" and not own else "PostgreSQL"
            if place not in newest or newest[place][0] < report.at:
                newest[place] = report.at, outcome
    order = list(FAULTS)
    places = sorted(newest, key=lambda place: (order.index(place[0]), place[1] != "SQLite"))
    return table(
        MEASURED_HEAD,
        [(fault, store, *_counted(newest[fault, store][1])) for fault, store in places],
    )


def _counted(outcome: Outcome) -> Sequence[str]:
    told = dict(zip(HEAD, cells(outcome), strict=True))
    return [told[column] for column in MEASURED_HEAD[2:]]


def _report(name: str) -> Report:
    return msgspec.json.decode((RESULTS / name).read_bytes(), type=Report)


def _run(name: str, title: str) -> Sequence[str]:
    """Tell of one run."""
    report = _report(name)
    machine = ", ".join(f"{name} {value}" for name, value in report.machine.items())
    form = "the short form" if report.quick else "the full form"
    figures = [
        f"- {outcome.fault}: " + ", ".join(f"{name} {value:,.2f}" for name, value in outcome.figures.items())
        for outcome in report.outcomes
        if outcome.figures
    ]
    broken = [
        f"- {outcome.fault}, {promise}: {'; '.join(said)}"
        for outcome in report.outcomes
        for promise, said in outcome.broken.items()
    ]
    return (
        f"## {title}",
        f"{report.at}, {form} on {report.database}. Machine: {machine}.",
        table(HEAD, [cells(outcome) for outcome in report.outcomes]),
        "What else was measured:" if figures else "",
        "\n".join(figures),
        "What did not hold:" if broken else "",
        "\n".join(broken),
    )
