"""The grammar of SIP headers: what is read, what is refused, and that nothing built can end its line."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from dastak.voice.sip.sip_headers import (
    MalformedSip,
    NameAddr,
    SipUri,
    Via,
    clean,
    escape_user,
    read_name_addr,
    read_parameters,
    read_reason,
    read_uri,
    read_via,
    split_outside,
    write_parameters,
)

TOKENS = st.text("abcxyz019-._~!*'", min_size=1, max_size=8)
TEXT = st.text(st.characters(codec="utf-8", exclude_characters="\r\n\0"), max_size=20)
PARAMETERS = st.dictionaries(TOKENS, st.none() | TEXT, max_size=4)


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("<sip:a@x;lr>, <sip:b@y>", ["<sip:a@x;lr>", "<sip:b@y>"]),
        ('"Shop, Inc" <sip:a@x,y>,sip:b@z', ['"Shop, Inc" <sip:a@x,y>', "sip:b@z"]),
        (r'"a\",b" <sip:x>', [r'"a\",b" <sip:x>']),
        ("plain , other", ["plain", "other"]),
        ("", [""]),
        ('"a",', ['"a"', ""]),
    ],
)
def test_split_cuts_outside_quotes_and_brackets(text: str, pieces: list[str]) -> None:
    assert split_outside(text, ",") == pieces


@pytest.mark.parametrize("text", ['"open', "<open", '"a" "', "<sip:a>, <b"])
def test_split_refuses_what_does_not_end(text: str) -> None:
    with pytest.raises(MalformedSip):
        split_outside(text, ",")


def test_tag_is_looked_for_after_the_bracket() -> None:
    outside = read_name_addr("<sip:a@x;tag=inner>;tag=outer")
    bare = read_name_addr("sip:a@x;tag=t1")

    assert (outside.uri, outside.tag) == ("sip:a@x;tag=inner", "outer")
    assert (bare.uri, bare.tag) == ("sip:a@x", "t1")
    assert read_name_addr("<sip:a@x;tag=inner>").tag == ""


@pytest.mark.parametrize("text", ["", "<>", "<sip:a", 'sip:a"b', "sip:a b", '"x', "<sip:a> junk", "<a b>"])
def test_name_addr_refuses(text: str) -> None:
    with pytest.raises(MalformedSip):
        read_name_addr(text)


@given(TEXT, PARAMETERS)
@example('a"\\', {"q": 'x"\\;,'})
def test_name_addr_is_read_as_it_was_written(display: str, parameters: dict[str, str | None]) -> None:
    address = NameAddr("sip:+919876543210@trunk.example;user=phone", display, parameters)

    assert read_name_addr(str(address)) == address


@given(PARAMETERS)
def test_parameters_are_read_as_they_were_written(parameters: dict[str, str | None]) -> None:
    assert read_parameters(write_parameters(parameters)) == parameters


def test_names_of_parameters_are_told_apart_without_case_and_the_first_counts() -> None:
    assert read_parameters(";Transport=UDP;transport=tcp;LR") == {"transport": "UDP", "lr": None}


@pytest.mark.parametrize(
    ("text", "via"),
    [
        ("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bKa", Via("UDP", "10.0.0.1", 5070, {"branch": "z9hG4bKa"})),
        ("SIP / 2.0 / tls [2001:db8::1] ;rport", Via("TLS", "[2001:db8::1]", None, {"rport": None})),
        ("SIP/2.0/TCP pbx.example", Via("TCP", "pbx.example", None, {})),
    ],
)
def test_via_is_read(text: str, via: Via) -> None:
    assert read_via(text) == via
    assert read_via(str(via)) == via


@pytest.mark.parametrize(
    "text", ["", "SIP/2.0/UDP", "SIP/1.0/UDP a", "SIP/2.0/UDP a:0", "SIP/2.0/UDP a:70000"]
)
def test_via_refuses(text: str) -> None:
    with pytest.raises(MalformedSip):
        read_via(text)


def test_uri_is_read_for_routing() -> None:
    assert read_uri("sip:+91@h.example:5070;transport=UDP?x=y") == SipUri(
        "h.example", "+91", 5070, False, {"transport": "UDP"}
    )
    assert read_uri("SIPS:h.example").hop == ("h.example", 5061)
    assert read_uri("sip:a@[2001:db8::1]").hop == ("2001:db8::1", 5060)
    assert read_uri("sip:a@b;maddr=10.0.0.9").hop == ("10.0.0.9", 5060)
    assert str(SipUri("h", "a", 1, True, {"lr": None})) == "sips:a@h:1;lr"


@pytest.mark.parametrize("text", ["tel:+91", "sip:", "sip:a@", "sip:a@b:99999", "http://x", "sip:a b@c"])
def test_uri_refuses(text: str) -> None:
    with pytest.raises(MalformedSip):
        read_uri(text)


@pytest.mark.parametrize("evil", ["a\r\nVia: x", "a\nb", "a\rb", "a\0b"])
def test_nothing_that_ends_a_line_can_be_built(evil: str) -> None:
    attempts = (
        lambda: clean(evil),
        lambda: str(NameAddr("sip:a@b", evil)),
        lambda: str(NameAddr(f"sip:{evil}@b")),
        lambda: str(NameAddr("sip:a@b", "", {"x": evil})),
        lambda: str(NameAddr("sip:a@b", "", {evil: None})),
        lambda: str(SipUri("b", evil)),
    )

    for attempt in attempts:
        with pytest.raises(MalformedSip):
            attempt()
    assert "\r" not in escape_user(evil)
    assert "\n" not in escape_user(evil)


@pytest.mark.parametrize(
    ("user", "escaped"), [("+919876543210", "+919876543210"), ("a@b", "a%40b"), ("अ", "%E0%A4%85")]
)
def test_user_part_is_escaped(user: str, escaped: str) -> None:
    assert escape_user(user) == escaped


@pytest.mark.parametrize(
    ("text", "cause"),
    [
        ("Q.850;cause=17", 17),
        ('SIP;cause=480, q.850 ; Cause=20 ;text="Absent, subscriber"', 20),
        ("SIP;cause=480", None),
        ("Q.850;cause=999", None),
        ("Q.850;cause=²", None),
        ("Q.850", None),
        ('"', None),
        ("", None),
    ],
)
def test_reason_gives_the_cause(text: str, cause: int | None) -> None:
    assert read_reason(text) == cause
