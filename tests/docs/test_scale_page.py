"""The page about shards tells of every statement of the hot path by what it is found, and that is so."""

import re
from pathlib import Path
from random import Random

import msgspec

from bench import to_scale
from bench.growth import Grown, Growth
from dastak.store.statements import load

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "explanation" / "to-internet-scale.md"
# What a batch of the program runs takes its rows as a set.
IN_SETS = {name: sql for name, sql in load("postgres").items() if "jsonb_to_recordset(" in sql}
ROW = re.compile(r"^\| ((?:`\w+`(?:, )?)+) \| ([^|]+) \| ([^|]+) \|$", re.MULTILINE)
WORD = re.compile(r"`(\w+)`")


def told() -> dict[str, list[str]]:
    """Return by which columns each statement of the page is found."""
    rows = ROW.findall(PAGE.read_text(encoding="utf-8"))
    return {name: WORD.findall(found_by) for names, found_by, _ in rows for name in WORD.findall(names)}


def test_every_statement_of_a_batch_is_on_the_page() -> None:
    assert set(told()) == set(IN_SETS)


def test_statement_is_asked_by_the_columns_that_the_page_names() -> None:
    asked = {
        name: set(re.findall(r"[(,]\s*(\w+) (?:text|int|bigint)\b", sql)) for name, sql in IN_SETS.items()
    }

    assert {name: [c for c in columns if c not in asked[name]] for name, columns in told().items()} == {
        name: [] for name in told()
    }
    assert all(told().values())


def test_figures_of_the_page_are_those_that_were_kept() -> None:
    page = PAGE.read_text(encoding="utf-8")
    growth = msgspec.json.decode((ROOT / to_scale.MEASURED).read_bytes(), type=Growth)
    cost = to_scale.cost_of(growth)
    plans = [to_scale.plan(codes, cost) for codes in to_scale.CODES_A_DAY]

    measured = [
        f"| {one.database} | {one.verifications:,} | {one.row_octets:.0f} | {one.starts.per_s:,.0f} "
        f"| {one.starts.cpu_us:.0f} | {one.checks.per_s:,.0f} | {one.checks.cpu_us:.0f} |"
        for one in growth.sizes
    ]
    planned = [
        f"| {one.codes_a_day:,} | {one.peak_per_s:,.0f} | {shown(one.node_cores)} "
        f"| {shown(one.server_cores)} | {shown(one.log_mb_s)} | {shown(one.disk_tb)} | {one.shards} |"
        for one in plans
    ]
    assert [line for line in (*measured, *planned) if line not in page] == []
    assert f"carries {to_scale.one_carries(cost) // 10**6} million codes a day" in page


def test_changes_of_the_page_are_those_against_the_smallest() -> None:
    page = PAGE.read_text(encoding="utf-8")
    growth = msgspec.json.decode((ROOT / to_scale.MEASURED).read_bytes(), type=Growth)
    smallest = {one.database: one for one in reversed(growth.sizes)}

    changed = [
        " | ".join(
            (f"| {one.database}", f"{one.verifications:,}", *changes(one, smallest[one.database]))
        ).rstrip()
        + " |"
        for one in growth.sizes
        if one is not smallest[one.database]
    ]

    assert len(changed) == 6
    assert [line for line in changed if line not in page] == []


def test_shares_of_the_busiest_shard_are_those_that_are_drawn() -> None:
    page = PAGE.read_text(encoding="utf-8")

    for shards in to_scale.SHARDS_DRAWN:
        tenant = to_scale.hottest(shards, to_scale.by_tenant(), Random(1))
        number = to_scale.hottest(shards, to_scale.by_number, Random(1))
        assert re.search(rf"\| {shards} \| {tenant:.2f}( times its share)? \| {number:.2f} \|", page)


def changes(one: Grown, smallest: Grown) -> list[str]:
    """Return in percent what differs from the smallest size; nothing where there is no such figure."""
    now, then = (
        (
            grown.starts.per_s,
            grown.starts.cpu_us,
            grown.checks.per_s,
            grown.checks.cpu_us,
            grown.starts_server_us + grown.checks_server_us,
        )
        for grown in (one, smallest)
    )
    return [f"{100 * (a / b - 1):+.1f}" if b else "" for a, b in zip(now, then, strict=True)]


def shown(figure: float) -> str:
    """Write a figure with as many places as it deserves."""
    return f"{figure:,.0f}" if figure >= 10 else f"{figure:.2f}" if figure < 0.1 else f"{figure:.1f}"
