"""Every metric that a running program shows is in the reference."""

import re
import urllib.request
from pathlib import Path

from tests.support.dastak_process import DastakProcess

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "metrics.md"


def test_metric_shown_is_documented(dastak: DastakProcess) -> None:
    with urllib.request.urlopen(f"{dastak.url}/metrics") as answer:
        shown = set(re.findall(r"^# TYPE (\w+)", answer.read().decode(), re.MULTILINE))

    names = re.findall(r"^\| `([\w{}]+)`", PAGE.read_text(encoding="utf-8"), re.MULTILINE)
    documented = re.compile("|".join(re.sub(r"{\w+}", r"\\w+", name) for name in names))
    assert shown, "it shows nothing"
    assert {name for name in shown if not documented.fullmatch(name)} == set()
