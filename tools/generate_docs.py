"""Write the pages of docs/ that are made from the code, or with --check say which ones are behind it.

1. A page is one row of PAGES: where it goes, what it is made from, and the function that makes it.
2. Every page says in its first line that it is made, and from what.
3. Making a page twice gives the same octets: no dates, no figures of this machine.
"""

import argparse
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from tools import (
    pages_of_calls,
    pages_of_faults,
    pages_of_limits,
    pages_of_rules,
    pages_of_surface,
    pages_of_voices,
)
from tools.module_map import architecture

ROOT: Final = Path(__file__).resolve().parent.parent

PAGES: Final[Mapping[str, tuple[str, Callable[[], str]]]] = {
    "docs/architecture.md": ("the first sentence of every module", architecture),
    "docs/reference/errors.md": ("src/dastak/commands/error_pages.toml", pages_of_surface.errors),
    "docs/reference/events.md": ("src/dastak/core/events.py", pages_of_rules.events),
    "docs/reference/outcomes.md": ("outcome.py and remedies.py in src/dastak/core", pages_of_rules.outcomes),
    "docs/reference/dlt-codes.md": ("src/dastak/dlt/scrub_codes.toml", pages_of_rules.dlt_codes),
    "docs/reference/voices.md": ("src/dastak/voice/packs/*.toml", pages_of_voices.voices),
    "docs/reference/call-carriers.md": (
        "src/dastak/http_voice/profiles/*.toml",
        pages_of_calls.call_carriers,
    ),
    "docs/reference/settings.md": ("src/dastak/config.py", pages_of_surface.settings),
    "docs/reference/limits.md": (
        "the tables of limits in src/dastak, and tools/pages_of_limits.py",
        pages_of_limits.every_limit,
    ),
    "docs/reference/cli.md": ("src/dastak/cli.py", pages_of_surface.commands),
    "docs/reference/doctor.md": ("the tables of src/dastak/commands/checks", pages_of_surface.checks),
    "docs/reference/metrics.md": ("src/dastak/telemetry/metrics.py", pages_of_surface.metrics),
    "docs/reference/http-api.md": ("the tables of endpoints in src/dastak/api", pages_of_surface.http_api),
    "docs/reference/fault-tests.md": (
        "chaos/fault_list.py and the runs in chaos/results",
        pages_of_faults.fault_tests,
    ),
    "docs/explanation/verification-states.md": (
        "the tables of transitions in src/dastak/core",
        pages_of_rules.states,
    ),
    "docs/explanation/sip-states.md": (
        "the tables of transitions in src/dastak/voice",
        pages_of_rules.sip_states,
    ),
    "docs/openapi.json": ("", pages_of_surface.openapi),
}


def page(path: str) -> str:
    """Make one page with its first line. JSON has no comments, so it goes without."""
    source, make = PAGES[path]
    mark = f"<!-- Made by `make docs` from {source}; change that, not this page. -->\n\n" if source else ""
    return mark + make().rstrip() + "\n"


def behind() -> dict[str, str]:
    """Return the pages that are not as the code would have them, with what they should be."""
    made = {path: page(path) for path in PAGES}
    return {
        path: text for path, text in made.items() if not (ROOT / path).exists() or text != _read(ROOT / path)
    }


def main() -> int:
    """Write the pages, or check them. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Write the generated pages of docs/.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a page is behind")
    check = parser.parse_args().check
    stale = behind()
    for path, text in stale.items():
        if check:
            print(f"{path} is behind the code", file=sys.stderr)
        else:
            (ROOT / path).parent.mkdir(parents=True, exist_ok=True)
            (ROOT / path).write_text(text, encoding="utf-8")
            print(f"wrote {path}")
    if check and stale:
        print("Next: make docs", file=sys.stderr)
    return int(check and bool(stale))


def _read(path: Path) -> str:
    return path.read_text(encoding="utf-8")


if __name__ == "__main__":
    sys.exit(main())
