"""The mark of a way in, and the header by which a client proves itself: forged, cut and spelt in any way."""

from base64 import b64encode
from datetime import timedelta
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.codes import KeyRing
from dastak.web.oidc.client_proof import read_basic
from dastak.web.oidc.oidc_answers import answer_address
from dastak.web.oidc.way_in import WAY, began_at, mark_of
from tests.support.samples import NOW

KEYS = KeyRing(current=1, keys={1: bytes(range(32))})
LATER = KeyRing(current=2, keys={1: bytes(range(32)), 2: bytes(range(32, 64))})
OTHER = KeyRing(current=1, keys={1: bytes(range(64, 96))})


def test_way_is_known_again_as_long_as_it_lasts() -> None:
    mark = mark_of(KEYS, "a=1", NOW)

    assert began_at(KEYS, mark, "a=1", now=NOW) == NOW
    assert began_at(LATER, mark, "a=1", now=NOW + WAY - timedelta(seconds=1)) == NOW
    assert began_at(KEYS, mark, "a=1", now=NOW + WAY) is None
    assert began_at(KEYS, mark, "a=1", now=NOW - timedelta(seconds=1)) is None
    assert began_at(KEYS, mark, "a=2", now=NOW) is None
    assert began_at(OTHER, mark, "a=1", now=NOW) is None


@given(st.text(max_size=60))
def test_mark_that_we_did_not_make_is_none(text: str) -> None:
    assert began_at(KEYS, text, "a=1", now=NOW) is None


@given(st.integers(0, 43), st.sampled_from("0123456789abcdef-"))
def test_altered_mark_is_none(place: int, put: str) -> None:
    mark = mark_of(KEYS, "a=1", NOW)
    altered = mark[:place] + put + mark[place + 1 :]

    assert (began_at(KEYS, altered, "a=1", now=NOW) is None) is (altered != mark)


@given(st.text(min_size=1, max_size=40), st.text(max_size=40))
def test_any_id_and_secret_come_back_as_they_were_encoded(client_id: str, secret: str) -> None:
    joined = f"{quote_plus(client_id)}:{quote_plus(secret)}"

    assert read_basic(f"Basic {b64encode(joined.encode()).decode()}") == (client_id, secret)


@given(st.text(max_size=120))
def test_any_header_is_read_or_refused(text: str) -> None:
    for header in (text, f"Basic {text}"):
        read = read_basic(header)
        assert read is None or len(read) == 2


@pytest.mark.parametrize(
    ("address", "said", "whole"),
    [
        ("https://s.example/c", {"code": "a b"}, "https://s.example/c?code=a+b"),
        ("https://s.example/c?x=1", {"code": "1", "state": None}, "https://s.example/c?x=1&code=1"),
        ("com.example.app:/c", {"state": "&=#"}, "com.example.app:/c?state=%26%3D%23"),
    ],
)
def test_answer_is_added_to_what_the_address_has(
    address: str, said: dict[str, str | None], whole: str
) -> None:
    assert answer_address(address, said) == whole
