"""Digest authentication: the vectors of the standards, the better algorithm first, no count used twice."""

import itertools
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.voice.sip.sip_digest import (
    REALMS_MAX,
    Challenge,
    Credentials,
    DigestClient,
    authorization,
    digest,
    read_challenge,
)
from dastak.voice.sip.sip_headers import MalformedSip
from dastak.voice.sip.sip_message import SipMessage, parse
from tests.support import sip_samples
from tests.support.sip_samples import reply

MUFASA = Credentials("Mufasa", "Circle of Life")
RFC7616 = {"realm": "http-auth@example.org", "nonce": "7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v"}


def challenge_of(*values: str, status: int = 407) -> SipMessage:
    name = "Proxy-Authenticate" if status == 407 else "WWW-Authenticate"
    invite = parse(sip_samples.INVITE)
    return parse(reply(invite, status, headers=[(name, value) for value in values]))


def client(credentials: Credentials | None = MUFASA) -> DigestClient:
    numbers = itertools.count()
    return DigestClient(credentials, lambda: f"drawn{next(numbers)}")


def field(value: str, name: str) -> str:
    found = re.search(rf'\b{name}=("[^"]*"|[^,\s]+)', value)
    assert found, value
    return found[1]


@pytest.mark.parametrize(
    ("algorithm", "response"),
    [
        ("MD5", "8ca523f5e9506fed4657c9700eebdbec"),
        ("SHA-256", "753927fa0e85d155564e2e272a28d1802ca10daf4496794697cf8db5856cb6c1"),
    ],
)
def test_proof_is_that_of_rfc_7616_section_3_9_1(algorithm: str, response: str) -> None:
    challenge = Challenge(
        **RFC7616,
        opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS",
        algorithm=algorithm,
        named=True,
        qop=True,
    )

    value = authorization(
        challenge,
        MUFASA,
        "GET",
        "/dir/index.html",
        count=1,
        cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ",
    )

    assert value == (
        'Digest username="Mufasa", realm="http-auth@example.org", '
        'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", uri="/dir/index.html", '
        f'response="{response}", algorithm={algorithm}, qop=auth, nc=00000001, '
        'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", '
        'opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
    )


def test_proof_without_qop_is_that_of_rfc_2069_as_corrected() -> None:
    challenge = Challenge(realm="testrealm@host.com", nonce="dcd98b7102dd2f0e8b11d0f600bfb0c093")

    value = authorization(
        challenge, Credentials("Mufasa", "CircleOfLife"), "GET", "/dir/index.html", count=1, cnonce="x"
    )

    assert field(value, "response") == '"1949323746fe6a43ef61f9606e7febea"'
    assert not re.search("qop|nc=|cnonce|algorithm|opaque", value)


def test_sha_512_256_is_that_of_fips_180_4() -> None:
    assert digest("SHA-512-256", "abc") == "53048e2681941ef99b2e29b76b4c7dabe4c2d0c634fc6d46e0e2f13107e7af23"


def test_proof_is_that_of_rfc_7616_section_3_9_2_as_its_erratum_4897_corrects_it() -> None:
    challenge = Challenge(
        realm="api@example.org",
        nonce="5TsQWLVdgBdmrQ0XsxbDODV+57QdFR34I9HAbC/RVvkK",
        algorithm="SHA-512-256",
        named=True,
        qop=True,
    )

    value = authorization(
        challenge,
        Credentials("Jäsøn Doe", "Secret, or not?"),
        "GET",
        "/doe.json",
        count=1,
        cnonce="NTg6RKcb9boFIAS3KrFK9BGeh+iDa/sm6jUMp2wds69v",
    )

    assert field(value, "response") == '"3798d4131c277846293534c3edc11bd8a5e4cdcbff78b05db9d95eeb1cec68a5"'


def test_session_proof_keeps_its_cnonce() -> None:
    trunk = client()
    trunk.challenged(challenge_of('Digest realm="r", nonce="n", qop="auth", algorithm=MD5-sess'))

    ((_, first),) = trunk.proofs("INVITE", "sip:x")
    ((_, second),) = trunk.proofs("INVITE", "sip:x")

    cnonce = field(first, "cnonce")
    ha1 = digest("MD5", digest("MD5", "Mufasa:r:Circle of Life") + f":n:{cnonce[1:-1]}")
    expected = digest("MD5", f"{ha1}:n:00000001:{cnonce[1:-1]}:auth:{digest('MD5', 'INVITE:sip:x')}")
    assert field(first, "response") == f'"{expected}"'
    assert field(first, "algorithm") == "MD5-sess"
    assert field(second, "cnonce") == cnonce
    assert field(second, "nc") == "00000002"


def test_strongest_algorithm_is_taken() -> None:
    trunk = client()

    assert trunk.challenged(
        challenge_of(
            'Digest realm="r", nonce="a", algorithm=MD5',
            'Digest realm="r", nonce="b", algorithm=SHA-256, qop="auth,auth-int"',
            'Digest realm="r", nonce="c", algorithm=SHA-1024',
            "Basic realm=x",
            "Digest nonsense",
        )
    )

    ((name, value),) = trunk.proofs("INVITE", "sip:x")
    assert name == "Proxy-Authorization"
    assert (field(value, "nonce"), field(value, "algorithm"), field(value, "qop")) == (
        '"b"',
        "SHA-256",
        "auth",
    )


def test_count_rises_with_each_use_and_begins_again_with_a_new_nonce() -> None:
    trunk = client()
    ask = 'Digest realm="r", nonce="{}", qop="auth"'
    trunk.challenged(challenge_of(ask.format("one")))
    counts = [field(value, "nc") for _ in range(3) for _, value in trunk.proofs("INVITE", "sip:x")]
    trunk.challenged(challenge_of(ask.format("one")))
    counts += [field(value, "nc") for _, value in trunk.proofs("INVITE", "sip:x")]
    trunk.challenged(challenge_of(ask.format("two")))
    counts += [field(value, "nc") for _, value in trunk.proofs("INVITE", "sip:x")]

    assert counts == ["00000001", "00000002", "00000003", "00000004", "00000001"]


def test_proxy_and_server_are_proved_to_apart() -> None:
    trunk = client()
    trunk.challenged(challenge_of('Digest realm="p", nonce="1"'))
    trunk.challenged(challenge_of('Digest realm="s", nonce="2", opaque=""', status=401))

    proofs = trunk.proofs("BYE", "sip:x")

    assert [name for name, _ in proofs] == ["Proxy-Authorization", "Authorization"]
    assert field(proofs[1][1], "opaque") == '""'


def test_realms_are_bounded() -> None:
    trunk = client()
    for number in range(REALMS_MAX + 3):
        trunk.challenged(challenge_of(f'Digest realm="r{number}", nonce="1"'))

    realms = [field(value, "realm") for _, value in trunk.proofs("BYE", "sip:x")]

    assert realms == [f'"r{number}"' for number in range(3, REALMS_MAX + 3)]


def test_nothing_is_proved_without_credentials_or_to_unknown_schemes() -> None:
    assert not client(None).challenged(challenge_of('Digest realm="r", nonce="1"'))
    assert not client().challenged(challenge_of("Basic realm=r"))
    assert not client().challenged(challenge_of('Digest realm="r", nonce="1", qop="auth-int"'))
    assert client().proofs("INVITE", "sip:x") == []


def test_password_is_in_no_repr() -> None:
    assert "Circle" not in repr(MUFASA)


def test_evil_user_name_is_refused() -> None:
    with pytest.raises(MalformedSip):
        authorization(
            Challenge(realm="r", nonce="n"), Credentials("a\r\nb", "p"), "X", "y", count=1, cnonce="c"
        )


@given(
    st.text(max_size=60) | st.from_regex(r'Digest (realm|nonce|qop)="[^\r\n]{0,9}"?,?.{0,20}', fullmatch=True)
)
def test_challenges_raise_nothing_but_malformed_sip(text: str) -> None:
    try:
        challenge = read_challenge(text)
    except MalformedSip:
        return
    assert challenge is None or challenge.algorithm == "MD5"


def test_challenge_of_rfc_7616_is_read() -> None:
    value = (
        'Digest realm="http-auth@example.org", qop="auth, auth-int", algorithm=SHA-256, '
        f'nonce="{RFC7616["nonce"]}", opaque="FQhe"'
    )

    assert read_challenge(value) == Challenge(
        **RFC7616, opaque="FQhe", algorithm="SHA-256", named=True, qop=True
    )
