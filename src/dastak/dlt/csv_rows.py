"""Cut the octets of a CSV file of unknown make into rows, losing no row for the fault of another.

1. A quote that is not closed in time is a fault of its own line; reading goes on with the next one.
2. Every row knows the line it begins on.
3. What is read is bounded: octets, rows, cells, characters of a cell.

Source: RFC 4180, and what spreadsheets make of it: other separators, a byte order mark, UTF-16, Latin-1.
"""

import codecs
import re
from collections.abc import Iterator
from typing import Final

import msgspec

from dastak.core.errors import InvalidRequest

FILE_OCTETS_MAX: Final = 4 * 1024 * 1024
ROWS_MAX: Final = 20_000
CELLS_MAX: Final = 100
CELL_CHARACTERS_MAX: Final = 8_000
SEPARATORS: Final = ",;\t|"

_MARKS: Final = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)


_LINE_END: Final = re.compile(r"\r\n|\n|\r")


class Row(msgspec.Struct, frozen=True):
    """One row; with a `fault` it could not be read and has no cells."""

    line: int
    cells: tuple[str, ...] = ()
    fault: str = ""


def decode(octets: bytes) -> str:
    """Return the text of a file: by its mark, else UTF-8, else as Windows writes it.

    Raises:
        InvalidRequest: It is too large, or a spreadsheet and no text.
    """
    if len(octets) > FILE_OCTETS_MAX:
        raise InvalidRequest(f"The file has more than {FILE_OCTETS_MAX // 2**20} MiB.", field="file")
    if octets.startswith((b"PK\x03\x04", b"\xd0\xcf\x11\xe0")):
        raise InvalidRequest("The file is a spreadsheet; save it as CSV (UTF-8).", field="file")
    encoding = next((name for mark, name in _MARKS if octets.startswith(mark)), "utf-8")
    try:
        return octets.decode(encoding)
    except UnicodeDecodeError:
        return octets.decode("cp1252", errors="replace")


def rows(text: str, separator: str) -> Iterator[Row]:
    """Yield every row that is not empty.

    Args:
        text: The whole file; a line ends with LF, CRLF or CR.
        separator: One character.
    """
    place, line = 0, 1
    for _ in range(ROWS_MAX):
        if place >= len(text):
            return
        row, end = _row(text, place, line, separator)
        if row.fault or any(cell.strip() for cell in row.cells):
            yield row
        line += _line_ends(text, place, end)
        place = end
    if text[place:].strip():
        yield Row(line, fault=f"only the first {ROWS_MAX} rows are read; divide the file")


def _row(text: str, place: int, line: int, separator: str) -> tuple[Row, int]:
    """Read one row, and return where the next one begins; after a fault that is the next line."""
    begin, cells = place, list[str]()
    while True:
        cell, end, fault = _cell(text, place, separator)
        cells.append(cell)
        if len(cells) > CELLS_MAX:
            fault = f"it has more than {CELLS_MAX} cells"
        if fault:
            return Row(line, fault=fault), _next_line(text, begin)
        if not text.startswith(separator, end):
            return Row(line, tuple(cells)), _next_line(text, end)
        place = end + 1


def _cell(text: str, place: int, separator: str) -> tuple[str, int, str]:
    """Read one cell: what stands in it, where it ends, and what is wrong with it."""
    most = place + CELL_CHARACTERS_MAX
    if not text.startswith('"', place):
        end = next((n for n in range(place, min(most + 1, len(text))) if text[n] in f"{separator}\r\n"), None)
        if end is None and most < len(text):
            return "", place, f"a cell has more than {CELL_CHARACTERS_MAX} characters"
        end = len(text) if end is None else end
        return text[place:end], end, ""
    parts, at = list[str](), place + 1
    while True:
        close = text.find('"', at, most)
        if close < 0:
            return "", place, "a quote is not closed"
        parts.append(text[at:close])
        if not text.startswith('"', close + 1):
            break
        parts.append('"')
        at = close + 2
    if close + 1 < len(text) and text[close + 1] not in f"{separator}\r\n":
        # It was closed by the quote that begins a cell of a later line.
        return "", place, "a quote is not closed"
    return "".join(parts), close + 1, ""


def _next_line(text: str, place: int) -> int:
    """Return where the next line begins."""
    found = _LINE_END.search(text, place)
    return len(text) if found is None else found.end()


def _line_ends(text: str, begin: int, end: int) -> int:
    return sum(1 for _ in _LINE_END.finditer(text, begin, end))
