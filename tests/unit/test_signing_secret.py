"""Which secrets sign while a new one takes the place of the one before it."""

from datetime import timedelta

import pytest

from dastak.core.signing_secret import OVERLAP_S, overlap_until, signing
from tests.support.samples import NOW


@pytest.mark.parametrize(
    ("overlap_s", "after_s", "expected"),
    [
        (OVERLAP_S, 0, (b"new", b"old")),
        (OVERLAP_S, OVERLAP_S - 1, (b"new", b"old")),
        (OVERLAP_S, OVERLAP_S, (b"new",)),
        (0, 0, (b"new",)),
    ],
    ids=["at once", "until the last second", "a day later", "old one in wrong hands"],
)
def test_old_secret_signs_beside_the_new_one_for_its_time(
    overlap_s: int, after_s: int, expected: tuple[bytes, ...]
) -> None:
    found = signing(b"new", b"old", overlap_until(NOW, overlap_s), now=NOW + timedelta(seconds=after_s))

    assert found == expected


def test_first_secret_signs_alone() -> None:
    assert signing(b"new", None, None, now=NOW) == (b"new",)
