"""The page about the promises has the figures that were kept."""

from pathlib import Path

from tools.pages_of_faults import KEPT, RESULTS, measured

PAGE = Path(__file__).resolve().parents[2] / "docs" / "explanation" / "what-dastak-promises.md"


def test_table_of_the_page_is_what_was_kept() -> None:
    assert f"\n\n{measured()}\n\n" in PAGE.read_text(encoding="utf-8"), measured()


def test_every_run_that_is_kept_is_told_of() -> None:
    kept = {file.name for file in RESULTS.glob("*.json") if not file.stem.startswith("latest")}
    assert kept == {name for name, _ in KEPT}
