"""How long a refusal takes tells nothing about the code: two kinds of wrong guesses, in random order."""

import random
import time
from collections.abc import Iterator
from itertools import count
from math import sqrt
from pathlib import Path
from statistics import mean, median, variance

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.plenty import PLENTY

VERIFICATIONS = 200
# Fewer than would end a verification.
GUESSES_EACH = 4
# Welch's t of a chance difference is hardly ever larger, and what is smaller than this no network shows.
T_MAX = 4.5
DIFFERENCE_S_MAX = 20e-6
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


def guess(code: str, *, first_right: bool) -> str:
    return (code[0] if first_right else other(code[0])) + "".join(map(other, code[1:]))


def without_slowest(times_s: list[float]) -> list[float]:
    return sorted(times_s)[: len(times_s) * 9 // 10]


def test_right_first_digit_takes_no_longer_than_a_wrong_one(api: ApiClient) -> None:
    shots = []
    for _ in range(VERIFICATIONS):
        to = f"+91{next(_NUMBERS)}"
        verification, code = api.start(to).body["id"], api.next_text(to)["code"]
        kinds = [random.random() < 0.5 for _ in range(GUESSES_EACH)]
        shots += [(kind, verification, guess(code, first_right=kind)) for kind in kinds]
    random.shuffle(shots)

    times_s: dict[bool, list[float]] = {True: [], False: []}
    for kind, verification, code in shots:
        began_s = time.perf_counter()
        answer = api.check(verification, code)
        times_s[kind].append(time.perf_counter() - began_s)
        assert answer.body["reason"] == "wrong_code"

    right, wrong = (without_slowest(times_s[kind]) for kind in (True, False))
    t = (mean(right) - mean(wrong)) / sqrt(variance(right) / len(right) + variance(wrong) / len(wrong))
    assert abs(t) < T_MAX or abs(median(right) - median(wrong)) < DIFFERENCE_S_MAX
