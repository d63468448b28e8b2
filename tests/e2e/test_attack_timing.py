"""How long a refusal takes tells nothing about the code, and a delay of five milliseconds would be told.

Three kinds of wrong guesses in random order: first digit right, none right, and none right with a delay that
is added to the time taken, as if the server needed so much longer for them.
"""

import random
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path
from statistics import median

import pytest

from bench.two_kinds import compare
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.plenty import PLENTY

VERIFICATIONS = 300
# Fewer than would end a verification.
GUESSES_EACH = 4
# What is smaller than this no network shows.
DIFFERENCE_S_MAX = 20e-6
PLANTED_S = 5e-3
FIRST_RIGHT, NONE_RIGHT, DELAYED = KINDS = ("first digit right", "none right", "none right, delayed")
_NUMBERS = count(7_090_000_001)


@pytest.fixture
def api(tmp_path: Path) -> Iterator[ApiClient]:
    with (
        DastakProcess(tmp_path / "data", environment=PLENTY) as process,
        ApiClient(process.url, process.api_key, kept=True) as client,
    ):
        yield client


def other(digit: str) -> str:
    return str((int(digit) + random.randint(1, 9)) % 10)


def guess(code: str, kind: str) -> str:
    return (code[0] if kind == FIRST_RIGHT else other(code[0])) + "".join(map(other, code[1:]))


def test_right_first_digit_takes_no_longer_than_a_wrong_one(
    api: ApiClient,
) -> None:
    shots = []
    for _ in range(VERIFICATIONS):
        to = f"+91{next(_NUMBERS)}"
        verification, code = api.start(to).body["id"], api.next_text(to)["code"]
        kinds = random.choices(KINDS, k=GUESSES_EACH)
        shots += [(kind, verification, guess(code, kind)) for kind in kinds]
    random.shuffle(shots)

    times_s: dict[str, list[float]] = {kind: [] for kind in KINDS}
    for kind, verification, code in shots:
        began_s = time.perf_counter()
        answer = api.check(verification, code)
        took_s = time.perf_counter() - began_s
        times_s[kind].append(took_s + (PLANTED_S if kind == DELAYED else 0))
        assert answer.body["reason"] == "wrong_code"

    beside = compare(times_s[FIRST_RIGHT], times_s[NONE_RIGHT])
    slower_s = median(times_s[FIRST_RIGHT]) - median(times_s[NONE_RIGHT])
    assert not beside.differs or abs(slower_s) < DIFFERENCE_S_MAX
    assert compare(times_s[DELAYED], times_s[NONE_RIGHT]).differs, f"only {beside.seen_s} s would be seen"
