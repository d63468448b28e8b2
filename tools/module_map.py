"""Draw the map of the house: every package and module with its own first sentence."""

import ast
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

from tools.markdown import code, join, table

ROOT: Final = Path(__file__).resolve().parent.parent
HOUSE: Final = ROOT / "src" / "dastak"


def sentence(module: Path) -> str:
    """Return the first paragraph of a module's docstring, on one line; empty when it has none."""
    docstring = ast.get_docstring(ast.parse(module.read_text(encoding="utf-8"))) or ""
    return " ".join(docstring.partition("\n\n")[0].split())


def layers() -> list[list[str]]:
    """Return the names on each floor, top first, as the import contract has them."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    contracts = settings["tool"]["importlinter"]["contracts"]
    floors = next(contract["layers"] for contract in contracts if contract["id"] == "down")
    named = [[name.strip(" ()") for name in floor.replace(":", "|").split("|")] for floor in floors]
    return [[name for name in floor if _exists(name)] for floor in named]


def architecture() -> str:
    """Make the page of the map."""
    return join(
        "# The map of the house",
        "Imports point down, from a floor to the ones below it; names on one floor do not know each other. "
        "`make check` holds both. Why it is built so stands in [the decisions](decisions/).",
        *_floors(),
    )


def _floors() -> Iterator[str]:
    for number, floor in enumerate((names for names in layers() if names), start=1):
        yield f"## Floor {number}: {', '.join(code(name) for name in floor)}"
        alone = [HOUSE / f"{name}.py" for name in floor if not (HOUSE / name).is_dir()]
        if alone:
            yield _table(alone)
        for name in floor:
            if (HOUSE / name).is_dir():
                yield _room(name)


def _room(name: str) -> str:
    own = HOUSE / name / "__init__.py"
    modules = [module for module in sorted((HOUSE / name).rglob("*.py")) if module != own]
    head = f"**`{name}/`** {sentence(own)}"
    return join(head, _table(modules)) if modules else head


def _table(modules: Iterable[Path]) -> str:
    rows = [
        (code(str(module.relative_to(HOUSE)).removesuffix("__init__.py")), sentence(module))
        for module in modules
    ]
    return table(("module", "what it is for"), rows)


def _exists(name: str) -> bool:
    return (HOUSE / name).is_dir() or (HOUSE / f"{name}.py").is_file()
