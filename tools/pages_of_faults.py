"""Make the page of the fault tests: the whole list, and the figures of the run that is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from chaos.failovers import NORMAL, NORMAL_WITHIN_S, REFUSED, REFUSED_S_MAX
from chaos.fault_list import FAULTS, OWN_DATABASE
from chaos.outcome_table import HEAD, Outcome, Report, cells
from tools.markdown import join, table

RESULTS: Final = Path(__file__).resolve().parent.parent / "chaos" / "results"
# The runs that are kept: where, and of what.
KEPT: Final = (
    ("reference.json", "The run that is kept"),
    ("later.json", "The runs of the other faults, on the same day"),
    ("again.json", "The floods and the stops, run again after what they had shown was mended"),
    ("proxy.json", "The flood by way of HAProxy"),
    ("soak.json", "The long day, for ten minutes"),
    ("postgres.json", "The run on PostgreSQL"),
    ("postgres-queue.json", "The run on PostgreSQL with a long queue: 20,000 texts, and its server lived"),
    ("postgres-rest.json", "The run on PostgreSQL of what was played there in short forms alone before"),
    ("postgres-floods.json", "The floods and the want of memory on PostgreSQL"),
    ("failovers.json", "The database cluster on a slow machine, asked for all that it carries"),
    ("failovers-fewer.json", "The same with fewer people"),
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


def late_by_newer_bounds(report: Report) -> Sequence[str]:
    """Say what of a run is over a bound that was not judged yet when it was played."""
    found = []
    for outcome in report.outcomes:
        if report.quick or "p99 before s" not in outcome.figures or "speed" in outcome.broken:
            continue
        judged = [(NORMAL, outcome.figures.get(NORMAL, float("inf")), NORMAL_WITHIN_S)]
        if outcome.fault == "F5":
            judged.append((REFUSED, outcome.figures[REFUSED], REFUSED_S_MAX))
        found += [
            f"- {outcome.fault}: {name} {measured_s:,.2f}, and {most_s:g} at most"
            for name, measured_s, most_s in judged
            if measured_s > most_s
        ]
    return found


def _report(name: str) -> Report:
    return msgspec.json.decode((RESULTS / name).read_bytes(), type=Report)


def _run(name: str, title: str) -> Sequence[str]:
    """Tell of one run."""
    report = _report(name)
    late = late_by_newer_bounds(report)
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
        "What did not hold either, by bounds that are judged since this run:" if late else "",
        "\n".join(late),
    )
