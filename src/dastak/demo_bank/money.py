"""Rupees, read from a form, shown to people, and named to Dastak, always from whole paise."""

import re
from typing import Final

PAISE_MAX: Final = 10_00_000_00
_AMOUNT: Final = re.compile(r"([0-9]{1,8})(?:\.([0-9]{2}))?")


def read_paise(text: str) -> int | None:
    """Read an amount such as `5000`, `5,000.00` or `₹ 5000`; None when it is none, or too much."""
    found = _AMOUNT.fullmatch(text.strip().removeprefix("₹").removeprefix("Rs").strip().replace(",", ""))
    if found is None:
        return None
    paise = int(found[1]) * 100 + int(found[2] or 0)
    return paise if 0 < paise <= PAISE_MAX else None


def exact(paise: int) -> str:
    """Return an amount as Dastak takes it and the message names it: `5000.00`."""
    return f"{paise // 100}.{paise % 100:02d}"


def shown(paise: int) -> str:
    """Return an amount as India writes it: `₹12,34,567.00`."""
    rupees, rest = str(paise // 100), paise % 100
    head, tail = rupees[:-3], rupees[-3:]
    groups = [head[max(0, end - 2) : end] for end in range(len(head), 0, -2)][::-1]
    return f"₹{','.join((*groups, tail))}.{rest:02d}"
