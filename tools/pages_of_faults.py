"""Make the page of the fault tests: the whole list, and the figures of the run that is kept."""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import msgspec

from chaos.fault_list import FAULTS
from chaos.outcome_table import HEAD, Report, cells
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
    ("postgres-queue.json", "The run on PostgreSQL with a long queue"),
    ("postgres-rest.json", "The run on PostgreSQL of what was played there in short forms alone before"),
    ("postgres-floods.json", "The floods and the want of memory on PostgreSQL"),
    ("failovers.json", "The database cluster on a slow machine, asked for all that it carries"),
    ("failovers-fewer.json", "The same with fewer people"),
)

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


def _run(name: str, title: str) -> Sequence[str]:
    """Tell of one run."""
    report = msgspec.json.decode((RESULTS / name).read_bytes(), type=Report)
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
