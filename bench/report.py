"""What was measured, beside what is to be reached: tables for people, JSON to keep."""

import os
import platform
import sqlite3
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar

import msgspec

from bench.call_setups import CallSetups
from bench.cases import Failover, Latencies, Throughput
from bench.footprint import Footprint
from bench.pages import Pages, Rendered
from bench.postgres_cases import Costed, OnPostgres
from bench.spoken_calls import SpokenCalls, limit_of
from bench.submits import Submits

Found = TypeVar("Found")


class Memory(msgspec.Struct, kw_only=True):
    """Resident memory of the server in MiB: just started, after all cases, after filling the database."""

    started_mib: float | None
    ended_mib: float | None
    filled_mib: float | None


class Report(msgspec.Struct, kw_only=True):
    """One run; a case that failed has no figures.

    Attributes:
        neighbour_slowdown: How many times as long Python takes on the server's core while the load's core
            works: 1 on cores of their own, about 1.6 on two threads of one core.
        fsyncs: Appends of 4 KiB made durable, one after the other.
        bare: Our edge answering a constant.
        throughput: Closed loops; of several rounds the one with the middle rate.
        rounds: All rounds.
        submits: One bind alone, against a carrier that costs nothing.
        failover: One of two binds is cut under load.
        spoken_calls: So many calls that speak and hear at one time, while the API is at its limit.
        call_setups: Calls that are answered and hung up at once.
        pages: Pages for people, and what logins do to codes.
        postgres: The closed loops on PostgreSQL, where that is installed.
        failures: Which cases failed, and how.
    """

    machine: dict[str, str]
    neighbour_slowdown: float | None
    fsyncs: dict[str, float] | None
    bare: list[Throughput]
    throughput: list[Throughput]
    rounds: list[Throughput]
    latencies: list[Latencies]
    submits: list[Submits]
    failover: Failover | None
    spoken_calls: list[SpokenCalls]
    call_setups: CallSetups | None
    pages: Pages | None
    postgres: OnPostgres | None
    memory: Memory
    footprint: Footprint | None
    failures: dict[str, str]


class Reached(msgspec.Struct):
    """A target and what was measured; what was not measured is not reached."""

    what: str
    target: str
    measured: float | None
    reached: bool


def machine() -> dict[str, str]:
    """Describe what a figure depends on."""
    cpu = next(
        line.partition(":")[2].strip()
        for line in Path("/proc/cpuinfo").read_text().splitlines()
        if line.startswith("model name")
    )
    return {
        "at": datetime.now(UTC).isoformat(timespec="seconds"),
        "cpu": f"{os.cpu_count()} cores, {cpu}",
        "system": f"{platform.system()} {platform.release()}",
        "python": platform.python_version(),
        "sqlite": sqlite3.sqlite_version,
        "load_average": " ".join(f"{load:.1f}" for load in os.getloadavg()),
    }


def targets(report: Report) -> list[Reached]:
    """Set every target beside its figure; of two concurrencies the better one counts."""

    def best(name: str) -> float | None:
        return max((case.per_s for case in report.throughput if case.name == name), default=None)

    def p99(name: str) -> float | None:
        return next((case.p99_ms for case in report.latencies if case.name == name), None)

    def at_least(what: str, bound: float, measured: float | None) -> Reached:
        return Reached(what, f">= {bound:,.0f}", measured, measured is not None and measured >= bound)

    def at_most(what: str, bound: float, measured: float | None) -> Reached:
        return Reached(what, f"<= {bound:,.0f}", measured, measured is not None and measured <= bound)

    at_500 = next((case for case in report.spoken_calls if case.wanted == 500), None)
    submits = {case.name: case.cpu_us for case in report.submits}
    footprint, failover = report.footprint, report.failover
    settled = max((case.settled_per_s for case in report.throughput if case.name == "starts"), default=None)
    failed = sum(of.failed for of in report.rounds) + sum(of.failed for of in report.latencies)
    postgres, setups, pages = report.postgres, report.call_setups, report.pages

    def at_256(name: str, postgres: OnPostgres) -> float:
        return max(
            of.case.per_s for of in postgres.one_node if (of.case.name, of.case.connections) == (name, 256)
        )

    on_postgres = (
        []
        if postgres is None
        else [
            at_least("PostgreSQL: starts/s at 256", 3_000, at_256("starts", postgres)),
            at_least("PostgreSQL: checks/s at 256", 5_000, at_256("checks", postgres)),
            at_most("PostgreSQL: 201 to submit_sm at 500/s, p99 ms", 30, postgres.by_a_clock[1].p99_ms),
        ]
    )
    return [
        *on_postgres,
        at_least("starts/s, durable, one core", 5_000, best("starts")),
        at_least("checks/s, durable, one core", 9_000, best("checks")),
        at_least("mixed/s, durable, one core", 7_500, best("mixed")),
        at_most("201 to submit_sm at 500/s, p99 ms", 20, p99("201 to submit_sm")),
        at_most("start to approved, p99 ms", 300, p99("start to approved")),
        at_most("submit_sm through one bind, CPU us", 40, submits.get("submit_sm")),
        at_most("submit_sm and its receipt, CPU us", 60, submits.get("submit_sm and its receipt")),
        at_least("start, submit, receipt, settled /s", 2_000, settled),
        at_most("a bind is cut: texts lost", 0, _of(failover, lambda it: it.lost)),
        at_most(
            "a bind is cut: twice without being in doubt", 0, _of(failover, lambda it: it.twice - it.in_doubt)
        ),
        at_most(
            "a bind is cut: extra p99 ms", 1_000, _of(failover, lambda it: it.cut_p99_ms - it.calm_p99_ms)
        ),
        at_most("negative receipt to INVITE, p99 ms", 100, p99("negative receipt to INVITE")),
        at_least("call set-ups for a CPU second", 1_500, _of(setups, lambda it: it.per_cpu_s)),
        at_least("500 speaking calls: spoke throughout", 500, _of(at_500, lambda it: it.calls)),
        at_most("500 speaking calls: gap between packets, p99 ms", 30, _of(at_500, lambda it: it.gap_p99_ms)),
        at_most(
            "storm of logins: start to approved, p99, % more",
            10,
            _of(pages, lambda it: it.storm.costs_percent),
        ),
        at_most(
            "the same with server.realtime, % more",
            10,
            _of(pages, lambda it: it.realtime_storm.costs_percent),
        ),
        at_most("disk per 100,000 pending, MiB", 31, _of(footprint, lambda it: it.per_100k_mib)),
        at_most("disk left after the sweep, MiB", 1, _of(footprint, lambda it: it.swept_mib - it.empty_mib)),
        at_most("answers that were not 2xx", 0, failed),
    ]


def text(report: Report) -> str:
    """Return all tables; of what was not measured a line that says so, and how each case failed."""
    floor = {case.connections: case.per_s for case in report.bare}
    return "\n\n".join(
        (
            "\n".join(f"{name:14}{value}" for name, value in report.machine.items()),
            _told("a busy neighbour core", report.neighbour_slowdown, _neighbour_line),
            _told("fsync", report.fsyncs, _fsyncs_line),
            tabulated(
                _THROUGHPUT, [_throughput_row(case, floor) for case in (*report.bare, *report.throughput)]
            ),
            tabulated(_SUBMITS, [_submits_row(case) for case in report.submits]),
            tabulated(_LATENCIES, [_latency_row(case) for case in report.latencies]),
            tabulated(_FAILOVER, [_failover_row(case) for case in (report.failover,) if case]),
            tabulated(_SPOKEN, [_spoken_row(case) for case in report.spoken_calls]),
            _told("speaking calls", report.spoken_calls or None, limit_of),
            _told("call set-ups", report.call_setups, _setups_line),
            _told("pages", report.pages, _pages_text),
            _told("PostgreSQL", report.postgres, _postgres_table),
            _memory_line(report.memory),
            _told("disk", report.footprint, _disk_line),
            tabulated(_TARGETS, [_target_row(reached) for reached in targets(report)]),
            *(f"FAILED: {case}: {how}" for case, how in report.failures.items()),
        )
    )


def _of(found: Found | None, figure: Callable[[Found], float]) -> float | None:
    return None if found is None else figure(found)


def _told(name: str, found: Found | None, tell: Callable[[Found], str]) -> str:
    return f"{name}: not measured" if found is None else tell(found)


def _neighbour_line(slowdown: float) -> str:
    return f"a busy neighbour core slows this one {slowdown:.2f} times"


def _fsyncs_line(found: dict[str, float]) -> str:
    return (
        f"fsync of 4 KiB  {found['per_s']:,.0f}/s, p50 {found['p50_ms']:.2f} ms, p99 {found['p99_ms']:.2f} ms"
    )


def _setups_line(found: CallSetups) -> str:
    return (
        f"call set-ups  {found.per_cpu_s:,.0f} for a CPU second of the voice process, "
        f"{found.per_s:,.0f} a second on the clock"
    )


def _pages_text(found: Pages) -> str:
    return f"{tabulated(_PAGES, [_page_row(page) for page in found.rendered])}\n\n{_logins_lines(found)}"


def _memory_line(memory: Memory) -> str:
    started, ended, filled = (
        "-" if mib is None else f"{mib:.0f}"
        for mib in (memory.started_mib, memory.ended_mib, memory.filled_mib)
    )
    return (
        f"memory        {started} MiB started, {ended} after the cases, {filled} in a fresh one when filled"
    )


def _disk_line(footprint: Footprint) -> str:
    return (
        f"disk          {footprint.empty_mib:.1f} MiB empty, {footprint.full_mib:.1f} with "
        f"{footprint.pending:,} pending, {footprint.swept_mib:.1f} after the sweep"
    )


_THROUGHPUT = (
    "case", "conns", "per s", "of bare", "p50 ms", "p99 ms", "p99.9", "CPU us", "load us", "commits/s",
    "batch", "kept up", "drain s", "settled/s", "sent away", "failed",
)  # fmt: skip
_LATENCIES = ("case", "per s", "p50 ms", "p99 ms", "p99.9 ms", "CPU us", "failed")
_SUBMITS = ("one bind, window 50", "per s", "CPU us")
_FAILOVER = (
    "a bind is cut", "per s", "lost", "in doubt", "twice", "calm p99 ms", "cut p99 ms", "longest ms",
)  # fmt: skip
_SPOKEN = (
    "speaking calls", "throughout", "CPU % each", "KiB each", "gap p50 ms", "gap p99 ms", "p99.9 ms",
    "longest ms", "lost", "MiB", "API starts/s",
)  # fmt: skip
_PAGES = ("page", "per s", "p50 ms", "p99 ms", "CPU us", "octets")
_TARGETS = ("target", "to reach", "measured", "")


_POSTGRES = (
    "case",
    "conns",
    "per s",
    "p50 ms",
    "p99 ms",
    "CPU us",
    "PostgreSQL us",
    "commits/s",
    "batch",
    "sent away",
    "failed",
)


def _postgres_table(found: OnPostgres) -> str:
    nodes = (("one node", found.one_node), ("two nodes, on the same cores", found.two_nodes))
    tables = (
        f"PostgreSQL {found.version}, {name}\n{tabulated(_POSTGRES, [*map(_postgres_row, cases)])}"
        for name, cases in nodes
    )
    clock = tabulated(_LATENCIES, [_latency_row(case) for case in found.by_a_clock])
    return "\n\n".join((*tables, f"PostgreSQL, one node\n{clock}"))


def _postgres_row(costed: Costed) -> Sequence[str]:
    case = costed.case
    times = (case.p50_ms, case.p99_ms)
    return (
        case.name,
        str(case.connections),
        f"{case.per_s:,.0f}",
        *(f"{figure:,.1f}" for figure in times),
        f"{case.cpu_us:.0f}",
        f"{costed.server_us:.0f}",
        f"{case.commits_per_s or 0:,.0f}",
        f"{case.batch_mean or 0:.1f}",
        str(case.sent_away),
        str(case.failed),
    )


def _submits_row(case: Submits) -> Sequence[str]:
    return (case.name, f"{case.per_s:,.0f}", f"{case.cpu_us:.1f}")


def _failover_row(case: Failover) -> Sequence[str]:
    figures = (case.calm_p99_ms, case.cut_p99_ms, case.longest_ms)
    counts = (case.lost, case.in_doubt, case.twice)
    return ("starts", f"{case.per_s:,.0f}", *map(str, counts), *(f"{figure:,.1f}" for figure in figures))


def _spoken_row(case: SpokenCalls) -> Sequence[str]:
    gaps = (case.gap_p50_ms, case.gap_p99_ms, case.gap_p999_ms, case.longest_ms)
    return (
        str(case.wanted),
        str(case.calls),
        f"{case.cpu_share * 100:.3f}",
        f"{case.kib_each:.1f}",
        *(f"{gap:.1f}" for gap in gaps),
        f"{case.lost} of {case.packets:,}",
        f"{case.resident_mib:.0f}",
        f"{case.loaded_per_s:,.0f}",
    )


def _throughput_row(case: Throughput, floor: dict[int, float]) -> Sequence[str]:
    return (
        case.name,
        str(case.connections),
        f"{case.per_s:,.0f}",
        f"{case.per_s / floor[case.connections]:.0%}" if case.connections in floor else "",
        f"{case.p50_ms:.1f}",
        f"{case.p99_ms:.1f}",
        f"{case.p999_ms:.1f}",
        f"{case.cpu_us:.0f}",
        f"{case.load_cpu_us:.0f}",
        "-" if case.commits_per_s is None else f"{case.commits_per_s:,.0f}",
        "-" if case.batch_mean is None else f"{case.batch_mean:.1f}",
        f"{case.delivered_share:.0%}",
        f"{case.drain_s:.2f}",
        f"{case.settled_per_s:,.0f}",
        str(case.sent_away),
        str(case.failed),
    )


def _latency_row(case: Latencies) -> Sequence[str]:
    return (
        case.name,
        f"{case.per_s:,.0f}",
        f"{case.p50_ms:.1f}",
        f"{case.p99_ms:.1f}",
        f"{case.p999_ms:.1f}",
        f"{case.cpu_us:.0f}",
        str(case.failed),
    )


def _logins_lines(pages: Pages) -> str:
    return f"logins        {pages.logins_per_s:,.0f}/s alone" + "".join(
        f"\n{name:14}{storm.logins_per_s:,.0f}/s beside codes, whose p99 from start to approved is "
        f"{storm.storm_p99_ms:.1f} ms then and {storm.calm_p99_ms:.1f} ms without"
        for name, storm in (("", pages.storm), ("by realtime", pages.realtime_storm))
    )


def _page_row(page: Rendered) -> Sequence[str]:
    return (
        page.name,
        f"{page.per_s:,.0f}",
        f"{page.p50_ms:.1f}",
        f"{page.p99_ms:.1f}",
        f"{page.cpu_us:.0f}",
        f"{page.octets:,}",
    )


def _target_row(reached: Reached) -> Sequence[str]:
    return (
        reached.what,
        reached.target,
        "-" if reached.measured is None else f"{reached.measured:,.1f}",
        "not measured" if reached.measured is None else "reached" if reached.reached else "MISSED",
    )


def tabulated(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table for people: the first column to the left, the others to the right."""
    widths = [max(len(row[column]) for row in (head, *rows)) for column in range(len(head))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(row, widths, strict=True))
        )
        for row in (head, *rows)
    )
