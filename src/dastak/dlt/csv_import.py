"""Read templates and headers from the CSV exports of DLT portals, and put them into a register.

1. A row that cannot be used is told with its line and why; the others count.
2. What a file says of a template that is known already replaces it; what it does not name stays.
3. A template's entity and header come into the register with it.
"""

import re
import tomllib
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from functools import lru_cache
from importlib import resources
from typing import Any, Final

import msgspec

from dastak.core.errors import DastakError, InvalidRequest
from dastak.dlt.csv_rows import SEPARATORS, Row, decode, rows
from dastak.dlt.register import Category, ContentTemplate, Entity, Header, Register, Standing

# The row of names is looked for among so many: exports begin with titles.
HEAD_ROWS_MAX: Final = 15
FAULTS_MAX: Final = 200
NEEDED: Final = ("template_id", "text", "header")

_PLAIN: Final = re.compile(r"[^a-z0-9]+")
_DATES: Final = ("%Y-%m-%d", "%d-%m-%Y", "%d/%m/%Y", "%d-%b-%Y", "%d %b %Y", "%d.%m.%Y")


class Fault(msgspec.Struct, frozen=True):
    """A row that was not taken."""

    line: int
    why: str


class Imported(msgspec.Struct, frozen=True, kw_only=True):
    """The register with a file put in, and what became of its rows."""

    register: Register
    added: int
    replaced: int
    faults: tuple[Fault, ...]

    @property
    def taken(self) -> int:
        """How many templates the file brought."""
        return self.added + self.replaced


def import_csv(register: Register, octets: bytes, *, pe_id: str | None = None) -> Imported:
    """Put the templates of a portal's export into a register.

    Args:
        register: As it stands.
        octets: The file.
        pe_id: The entity of rows that do not name theirs; needed where the file has no such column and the
            register has not exactly one entity.

    Raises:
        InvalidRequest: It is no CSV file, or has no columns for id, header and text.
    """
    names, found = _table(decode(octets))
    if pe_id is None and len(register.entities) == 1:
        pe_id = register.entities[0].pe_id
    templates = {template.template_id: template for template in register.templates}
    known = set(templates)
    faults: list[Fault] = []
    taken: set[str] = set()
    for row in found:
        try:
            fresh = _template(names, row, pe_id)
        except DastakError as error:
            faults.append(Fault(row.line, error.detail))
        else:
            taken.add(fresh.template_id)
            templates[fresh.template_id] = fresh
    merged = _with_owners(register, templates.values())
    replaced = len(taken & known)
    return Imported(
        register=merged, added=len(taken) - replaced, replaced=replaced, faults=tuple(faults[:FAULTS_MAX])
    )


def _table(text: str) -> tuple[list[str], Iterable[Row]]:
    """Find the row of names; return what each column is, and the rows below."""
    best: tuple[int, list[str], list[Row]] = (0, [], [])
    for separator in SEPARATORS:
        found = list(rows(text, separator))
        for n, row in enumerate(found[:HEAD_ROWS_MAX]):
            names = _names(row.cells)
            if len(known := set(names) - {""}) > best[0]:
                best = len(known), names, found[n + 1 :]
    missing = [name for name in NEEDED if name not in best[1]]
    if missing:
        spelled = ", ".join(f"`{name}`" for name in missing)
        raise InvalidRequest(
            f"No column of the file is {spelled}; name the columns in its first row.", field="file"
        )
    return best[1], best[2]


def _names(cells: Iterable[str]) -> list[str]:
    names: list[str] = []
    for cell in cells:
        name = _words()["columns"].get(_plain(cell), "")
        names.append("" if name in names else name)
    return names


def _template(names: list[str], row: Row, pe_id: str | None) -> ContentTemplate:
    """Make a template of a row. Raises: InvalidRequest (what is wrong with it)."""
    if row.fault:
        raise InvalidRequest(row.fault)
    cells = dict(zip(names, row.cells, strict=False))
    entity = _digits(cells.get("pe_id", "")) or pe_id
    if not entity:
        raise InvalidRequest("it names no entity; say which one it is")
    text = cells.get("text", "").replace("\r\n", "\n")
    if not text:
        raise InvalidRequest("it has no text")
    return ContentTemplate(
        template_id=_digits(cells.get("template_id", "")),
        pe_id=entity,
        header=cells.get("header", "").strip(),
        category=Category(_word("category", cells, Category.SERVICE_IMPLICIT)),
        text=text,
        name=cells.get("name", "").strip()[:200],
        standing=Standing(_word("standing", cells, Standing.ACTIVE)),
        approved_on=_date(cells.get("approved_on", "")),
        valid_until=_date(cells.get("valid_until", "")),
    )


def _digits(cell: str) -> str:
    """Return an id, without what spreadsheets put around one to keep its digits."""
    return cell.strip().strip("'=\" ")


def _word(column: str, cells: Mapping[str, str], usual: str) -> str:
    cell = cells.get(column, "").strip()
    if not cell:
        return usual
    meaning = _words()[column].get(_plain(cell))
    if meaning is None:
        raise InvalidRequest(f"its {column} `{cell[:30]}` is none that is known")
    return meaning


def _date(cell: str) -> date | None:
    """Return a day; one that cannot be read is none, for portals write them in many ways."""
    day = cell.strip().split("T")[0]
    for form in _DATES:
        for part in (day, day.split(" ")[0]):
            try:
                return datetime.strptime(part, form).date()
            except ValueError:
                continue
    return None


def _with_owners(register: Register, templates: Iterable[ContentTemplate]) -> Register:
    """Return the register with these templates, and with the entities and headers that they name."""
    listed = tuple(templates)
    entities = {entity.pe_id: entity for entity in register.entities}
    headers = {header.name: header for header in register.headers}
    for template in listed:
        entities.setdefault(template.pe_id, Entity(pe_id=template.pe_id))
        headers.setdefault(template.header, Header(name=template.header, pe_id=template.pe_id))
    return msgspec.structs.replace(
        register, entities=tuple(entities.values()), headers=tuple(headers.values()), templates=listed
    )


def _plain(cell: str) -> str:
    return _PLAIN.sub("", cell.lower())


@lru_cache(maxsize=1)
def _words() -> Mapping[str, Mapping[str, str]]:
    """Return what words of portals mean, by what they are about."""
    raw: dict[str, Any] = tomllib.loads(
        resources.files("dastak.dlt").joinpath("csv_columns.toml").read_text(encoding="utf-8")
    )
    return {
        about: {synonym: meaning for meaning, synonyms in table.items() for synonym in synonyms}
        for about, table in raw.items()
    }
