"""The page about the promises has the figures that were kept, which are judged by bounds that came later."""

from pathlib import Path

import msgspec
import pytest

from chaos.outcome_table import Report
from tools.pages_of_faults import RESULTS, late_by_newer_bounds, measured

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "what-dastak-promises.md"


def kept(name: str) -> Report:
    return msgspec.json.decode((RESULTS / name).read_bytes(), type=Report)


def test_table_of_the_page_is_what_was_kept() -> None:
    assert f"\n\n{measured()}\n\n" in PAGE.read_text(encoding="utf-8"), measured()


@pytest.mark.parametrize(
    ("name", "late"),
    [
        (
            "failovers.json",
            [
                "- F29: p99 normal after s 38.52, and 30 at most",
                "- F30: p99 normal after s 44.78, and 30 at most",
                "- F33: p99 normal after s 44.38, and 30 at most",
            ],
        ),
        ("failovers-fewer.json", []),
        ("later.json", []),
        ("reference.json", []),
    ],
)
def test_kept_run_is_judged_by_bounds_that_came_later(name: str, late: list[str]) -> None:
    assert late_by_newer_bounds(kept(name)) == late


def test_run_in_which_p99_was_never_normal_is_late() -> None:
    report = kept("failovers-fewer.json")
    del report.outcomes[0].figures["p99 normal after s"]

    assert late_by_newer_bounds(report) == ["- F5: p99 normal after s inf, and 30 at most"]
