"""Every error has a code and a title of its own and a section in the reference."""

import importlib
import pkgutil
import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import dastak
from dastak.api import problems
from dastak.core.errors import DastakError

PAGE = Path(__file__).resolve().parents[2] / "docs" / "reference" / "errors.md"


def kinds(kind: type[DastakError] = DastakError) -> Iterator[type[DastakError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from kinds(below)


def all_kinds() -> list[type[DastakError]]:
    """Import everything, since an error may be defined where it is raised, then list them."""
    for module in pkgutil.walk_packages(dastak.__path__, "dastak."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
    return list(kinds())


def test_error_has_its_own_code_and_title() -> None:
    found = all_kinds()

    borrowed = [kind.__name__ for kind in found if "code" not in vars(kind) or "title" not in vars(kind)]
    assert borrowed == []
    assert [code for code, count in Counter(kind.code for kind in found).items() if count > 1] == []
    assert [title for title, count in Counter(kind.title for kind in found).items() if count > 1] == []


def test_error_has_a_section_in_the_reference() -> None:
    sections = set(re.findall(r"^## `(\w+)`$", PAGE.read_text(encoding="utf-8"), re.MULTILINE))

    codes = (
        {kind.code for kind in all_kinds()} | set(problems.HTTP) | {str(reason) for reason in problems.CLOSED}
    )

    assert codes - sections == set()
