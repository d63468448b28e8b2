"""Where a code that people were sent lies in clear in the files of an installation: nowhere, or it is told.

Codes of the fault tests have ten digits, so that a number of ten digits that stands alone and is one of them
is no chance; in hexadecimal ids there are so many between letters that it would be. A code in another guise,
or glued to other digits, is not found here; unit tests look for those.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Final

CODE_DIGITS: Final = 10
# Of a file at once; what lies across two pieces is seen in their overlap.
PIECE_OCTETS_MAX: Final = 16 * 1024 * 1024
_ALONE: Final = re.compile(rb"[0-9a-f]{32,}|(?<!\d)(\d{%d})(?!\d)" % CODE_DIGITS)


def traces(codes: Iterable[str], directory: Path) -> Mapping[str, int]:
    """Return how many codes lie in which file below a directory: database, WAL, log and all others."""
    wanted = {code.encode() for code in codes if len(code) == CODE_DIGITS}
    found: Counter[str] = Counter()
    for file in sorted(directory.rglob("*")):
        if file.is_file() and (there := _codes_in(file, wanted)):
            found[str(file.relative_to(directory))] = len(there)
    return found


def _codes_in(file: Path, wanted: set[bytes]) -> set[bytes]:
    found: set[bytes] = set()
    overlap = b""
    with file.open("rb") as opened:
        while piece := opened.read(PIECE_OCTETS_MAX):
            found |= wanted.intersection(_ALONE.findall(overlap + piece))
            overlap = piece[-(CODE_DIGITS + 1) :]
    return found
