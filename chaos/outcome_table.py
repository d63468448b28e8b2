"""The outcomes of a run as a table for a terminal or a page, and as a record to keep."""

from collections.abc import Mapping, Sequence

import msgspec

HEAD = (
    "fault", "what is broken", "people/s", "requests in it", "accepted", "lost", "twice", "approved twice",
    "recovers in s", "promises",
)  # fmt: skip


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What one scene came to.

    Attributes:
        per_s: People a second; each makes three to six requests.
        in_fault: Requests that were asked while something was broken.
        recovery_s: From the end of the fault, or from a kill, to the first 2xx; the longest of several.
        figures: What else was measured.
        broken: Sentences about promises that did not hold, by promise.
    """

    fault: str
    title: str
    seed: int
    per_s: float
    in_fault: int
    requests: int
    accepted: int
    lost: int
    duplicated: int
    untold: int
    approved_twice: int
    recovery_s: float | None
    figures: Mapping[str, float]
    broken: Mapping[str, Sequence[str]]
    counts: bool = True


class Report(msgspec.Struct, kw_only=True):
    """One run.

    Attributes:
        at: When it ended.
        database: What kept the rows.
        quick: Whether it was the short form, whose requests are too few to count.
    """

    at: str
    machine: Mapping[str, str]
    database: str
    quick: bool
    outcomes: Sequence[Outcome]


def unplayed(fault: str, title: str, seed: int, per_s: float, error: str) -> Outcome:
    """Return what is told of a scene that ended before its books were closed."""
    return Outcome(
        fault=fault,
        title=title,
        seed=seed,
        per_s=per_s,
        in_fault=0,
        requests=0,
        accepted=0,
        lost=0,
        duplicated=0,
        untold=0,
        approved_twice=0,
        recovery_s=None,
        figures={},
        broken={"the scene": (error,)},
        counts=False,
    )


def cells(outcome: Outcome) -> Sequence[str]:
    """Return one row of the table."""
    recovery = "" if outcome.recovery_s is None else f"{outcome.recovery_s:.1f}"
    held = "held" if not outcome.broken else f"BROKEN: {', '.join(sorted(outcome.broken))}"
    return (
        outcome.fault,
        outcome.title,
        f"{outcome.per_s:.0f}",
        f"{outcome.in_fault:,}" + ("" if outcome.counts else " (too few)"),
        f"{outcome.accepted:,}",
        str(outcome.lost),
        str(outcome.duplicated),
        str(outcome.approved_twice),
        recovery,
        held,
    )


def table(outcomes: Sequence[Outcome]) -> str:
    """Return the table for a terminal, with what was broken and what else was measured below it."""
    rows = [HEAD, *map(cells, outcomes)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(HEAD))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in rows
    ]
    for outcome in outcomes:
        figures = ", ".join(f"{name} {value:,.2f}" for name, value in outcome.figures.items())
        if figures:
            lines.append(f"{outcome.fault}: {figures}")
        lines += [f"{outcome.fault} {name}: {'; '.join(said)}" for name, said in outcome.broken.items()]
    return "\n".join(lines)
