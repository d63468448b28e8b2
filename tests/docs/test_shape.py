"""The shape of the code: one sentence on top, short, few in a folder, named by words of the field."""

import ast
import re
from collections import Counter, defaultdict
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
HOUSE = ROOT / "src" / "dastak"

MODULES = sorted(HOUSE.rglob("*.py"))
TREES = ("src", "tools", "bench", "chaos", "tests")
EVERYWHERE = sorted(
    path for tree in TREES for path in (ROOT / tree).rglob("*.py") if "node_modules" not in path.parts
)

MODULE_LINES_MAX = 400
FUNCTION_LINES_MAX = 50
PACKAGE_MODULES_MAX = 12
FOLDERS_DEEP_MAX = 2

# Packages that are larger, each with its reason. A number here is a bound as well: it shall not grow unseen.
LARGER_PACKAGES = {
    ".": (21, "the doors of the house: each program, part of the wiring and tie to the system is a module"),
    "core": (55, "the rules are many small subjects of one kind, and a folder below would only hide them"),
    "http_carriers": (14, "each part of a request, an answer and a webhook is read apart, and most are pure"),
    "sms": (25, "SMPP is one protocol in many short modules; pure codec and I/O stay visibly apart"),
    "api": (30, "an endpoint table and a schema for each subject, beside the edge that serves them"),
    "store": (
        36,
        "each subject is a module for whatever database; another one than SQLite has a package of its own",
    ),
    "tenancy": (17, "each act of an operator, and each kind of secret, is a short module of its own"),
    "flows": (24, "one module for each thing a caller, a carrier or the clock can ask for"),
    "commands": (32, "one module a command; the table in cli.py is the index"),
    "store/postgres": (14, "one database: lanes, batches, shared looks and what is kept of nodes are apart"),
    "voice": (15, "SIP, media and prompts are many short modules; the pure ones and I/O stay visibly apart"),
    "simulator/exchange": (
        15,
        "the called side of SIP in small pure machines, apart from its sockets and sound",
    ),
    "web/landing": (28, "a rule, a form and a page each; most are pure, and the page builder is one subject"),
    "voice/sip": (20, "a protocol engine of small pure machines, one for each section of its standard"),
    "web/oidc": (16, "each address of the standard is a module, and so is each thing two of them share"),
    "delivery": (21, "routing and what it learns are many small pure subjects that health ties together"),
}

# Modules that are longer, each with its reason.
LONGER_MODULES: dict[str, str] = {}

NOT_OF_THE_FIELD = {
    "utils",
    "util",
    "common",
    "helpers",
    "base",
    "manager",
    "models",
    "views",
    "services",
    "misc",
}

MOCKS = {"mock", "unittest.mock", "pytest_mock", "mockito", "responses"}


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def tree_of(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_module_opens_with_one_sentence(module: Path) -> None:
    docstring = ast.get_docstring(tree_of(module))

    assert docstring, "it says nothing of what it is for"
    opening = " ".join(docstring.partition("\n\n")[0].split())
    assert opening.endswith("."), opening
    assert not re.search(r"[.!] +[A-Z]", opening), f"more than one sentence: {opening}"


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_module_is_short(module: Path) -> None:
    lines = len(module.read_text(encoding="utf-8").splitlines())

    assert lines <= MODULE_LINES_MAX or str(module.relative_to(HOUSE)) in LONGER_MODULES, lines


@pytest.mark.parametrize("module", MODULES, ids=name_of)
def test_functions_are_short(module: Path) -> None:
    functions = (
        node for node in ast.walk(tree_of(module)) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    )

    lines = {node.name: (node.end_lineno or node.lineno) - node.lineno + 1 for node in functions}

    assert {name: count for name, count in lines.items() if count > FUNCTION_LINES_MAX} == {}


def test_packages_hold_few_modules_when_no_reason_is_written_down() -> None:
    counts = Counter(str(module.parent.relative_to(HOUSE)) for module in MODULES if module.stem != "__init__")

    allowed = {package: LARGER_PACKAGES.get(package, (PACKAGE_MODULES_MAX, ""))[0] for package in counts}
    assert {package: count for package, count in counts.items() if count > allowed[package]} == {}


def test_tree_is_flat() -> None:
    deep = [name_of(path) for path in MODULES if len(path.relative_to(HOUSE).parent.parts) > FOLDERS_DEEP_MAX]

    assert deep == []


def test_file_names_are_unique() -> None:
    places = defaultdict(list)
    for path in EVERYWHERE:
        if path.stem not in {"__init__", "__main__", "conftest"}:
            places[path.name].append(name_of(path))

    assert {name: paths for name, paths in places.items() if len(paths) > 1} == {}


def test_file_names_come_from_the_field() -> None:
    assert [name_of(path) for path in EVERYWHERE if path.stem in NOT_OF_THE_FIELD] == []


def test_tests_neither_sleep_nor_mock() -> None:
    found = []
    for path in (path for path in EVERYWHERE if name_of(path).startswith("tests/")):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.Import) and any(alias.name in MOCKS for alias in node.names):
                found.append(name_of(path))
            if isinstance(node, ast.ImportFrom) and (node.module in MOCKS or _imports_mock(node)):
                found.append(name_of(path))
            if isinstance(node, ast.Call) and _dotted(node.func) == "time.sleep":
                found.append(f"{name_of(path)}:{node.lineno}")

    assert found == []


def test_environment_is_read_by_the_command_line_alone() -> None:
    reading = {
        name_of(module)
        for module in MODULES
        for node in ast.walk(tree_of(module))
        if isinstance(node, ast.Attribute) and _dotted(node) in {"os.environ", "os.getenv"}
    }

    assert {
        name for name in reading if not name.startswith(("src/dastak/commands/", "src/dastak/c"))
    } == set()


def _imports_mock(node: ast.ImportFrom) -> bool:
    return node.module == "unittest" and any(alias.name == "mock" for alias in node.names)


def _dotted(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute):
        return f"{_dotted(node.value)}.{node.attr}"
    return node.id if isinstance(node, ast.Name) else ""
