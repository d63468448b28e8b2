"""Passwords that everybody would try first: common words and what is hung on to them, and runs of keys."""

import logging
import re
from collections.abc import Container
from itertools import islice
from pathlib import Path
from typing import Final

from dastak.core.codes import trivial

_LIST: Final = """
    password passwort passwd pass passcode secret login admin administrator root user guest test testing
    demo default system server master welcome hello letmein open access changeme change qwerty qwertz
    azerty asdf asdfgh asdfghjkl zxcvbn zxcvbnm qwertyuiop qazwsx iloveyou love lovely sweet princess
    angel baby babygirl sunshine moonlight flower butterfly monkey dragon tiger lion eagle shadow ninja
    hunter killer superman batman spiderman pokemon starwars naruto football cricket soccer baseball
    hockey chelsea liverpool arsenal barcelona realmadrid juventus india bharat hindustan pakistan
    bangladesh delhi mumbai chennai kolkata bangalore hyderabad krishna ganesh shiva shivshakti hanuman
    jaishreeram omsairam sairam allah jesus god heaven freedom computer internet samsung nokia iphone
    google facebook instagram whatsapp yahoo gmail microsoft windows michael michelle jessica jennifer
    daniel charlie jordan robert thomas ashley nicole matthew joshua andrew priya rahul rohit amit
    sanjay kumar sharma singh january february march april may june july august september october
    november december summer winter spring autumn monday friday sunday cheese chocolate cookie pepper
    banana orange apple purple silver golden diamond money cash lucky trustno mustang ferrari porsche
    corvette harley yamaha whatever nothing something blink
"""
_WORDS: Final = frozenset(_LIST.split())
# What people write in place of letters.
_LEET: Final = str.maketrans({"0": "o", "1": "l", "3": "e", "4": "a", "5": "s", "7": "t", "@": "a", "$": "s"})
_HUNG_ON: Final = re.compile(r"^[\d\W_]+|[\d\W_]+$")
_RUNS: Final = (
    "1234567890" * 2,
    "0987654321" * 2,
    "qwertyuiopasdfghjklzxcvbnm",
    "mnbvcxzlkjhgfdsapoiuytrewq",
    "qazwsxedcrfvtgbyhnujmikolp",
    "1q2w3e4r5t6y7u8i9o0p",
    "1qaz2wsx3edc4rfv5tgb",
)
# What a list of a breach has: one password a line. 100,000 of them take some 10 MB of memory.
LINES_MAX: Final = 1_000_000

log = logging.getLogger("dastak.login")


def is_known(clear: str, breached: Container[str] = frozenset()) -> bool:
    """Say whether a password is one of the first that anybody would try.

    Args:
        clear: As its person typed it.
        breached: Further ones, in lower case.
    """
    lower = clear.lower()
    if lower in breached or trivial(lower) or any(lower in run for run in _RUNS):
        return True
    plain = _HUNG_ON.sub("", lower)
    for bare in (plain, plain.translate(_LEET), _HUNG_ON.sub("", lower.translate(_LEET))):
        half = bare[: len(bare) // 2]
        if bare in _WORDS or not bare or len(set(bare)) <= 2 or (half + half == bare and half in _WORDS):
            return True
    return False


def read_breached(path: Path | None) -> frozenset[str]:
    """Read a list of passwords, one a line, in any case; of what is longer than `LINES_MAX` the log tells.

    Raises:
        OSError: It cannot be read.
    """
    if path is None:
        return frozenset()
    with path.open(encoding="utf-8", errors="replace") as lines:
        known = frozenset(line.strip().lower() for line in islice(lines, LINES_MAX))
        if next(lines, None) is not None:
            log.warning("%s has more than %s lines; passwords in the rest are not refused", path, LINES_MAX)
    return known
