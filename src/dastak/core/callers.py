"""The numbers that calls come from, and what India's numbering rules say of them.

India drops calls from abroad that show an Indian number, and any that show none, at its border; numbers of
the 140 series are for promotion; banks and the like must call from 1600 or 1601.

Source: DoT, memo of 28 May 2024 and order of August 2022; TRAI, direction of 19 November 2025, as the press
reports them (docs/how-to/calls-in-india.md).
"""

from collections.abc import Iterable
from typing import Final

PROMOTIONAL: Final = "140"
SERVICE: Final = ("1600", "1601")
CALLERS_MAX: Final = 50
# A national number has ten digits, and only these series begin with 1.
_NATIONAL_DIGITS: Final = 10
_COUNTRY: Final = "91"


def indian(caller: str) -> str:
    """Return the ten digits of an Indian number; empty for any other.

    Without a plus, a number of ten digits is taken for Indian only if it is of a series that begins with 1:
    no other plan has such numbers, and trunks in India want them spelled like this.
    """
    digits = caller.removeprefix("+")
    if digits.startswith(_COUNTRY) and len(digits) == len(_COUNTRY) + _NATIONAL_DIGITS:
        return digits.removeprefix(_COUNTRY)
    national = not caller.startswith("+") and len(digits) == _NATIONAL_DIGITS
    return digits if national and digits.startswith((PROMOTIONAL, "160")) else ""


def is_promotional(caller: str) -> bool:
    """Say whether a number is of India's series for promotion."""
    return indian(caller).startswith(PROMOTIONAL)


def is_service(caller: str) -> bool:
    """Say whether a number is of the series that India's banks and the like must call from."""
    return indian(caller).startswith(SERVICE)


def check_callers(callers: Iterable[str]) -> None:
    """Let numbers pass that codes may come from. Raises: ValueError."""
    for caller in callers:
        if is_promotional(caller):
            raise ValueError(
                f"caller {caller} is of India's 140 series, which is for promotion; a code never comes from "
                "there: have the operator allot a number of the 1600 series"
            )
