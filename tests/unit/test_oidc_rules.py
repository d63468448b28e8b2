"""The rules of OpenID Connect: what a token is exchanged for, who a person is, which key signs."""

from datetime import timedelta
from typing import Any

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, rule
from msgspec.structs import replace

from dastak.core.oidc import (
    GRANT_S,
    IDLE_S,
    SESSION_S,
    HeldToken,
    Presented,
    SubjectType,
    TokenKind,
    Visit,
    amr_of,
    challenge_of,
    exchange,
    is_good,
    is_open,
    subject_of,
)
from dastak.core.oidc_keys import KEPT_MAX, PUBLISHED_AFTER, SigningKey, begin, published, rotate, signer
from dastak.core.policy import Channel
from dastak.core.tenant import Mode
from tests.support.oidc_samples import (
    CALLBACK,
    VERIFIER,
    some_client,
    some_grant,
    some_key,
    some_token,
)
from tests.support.samples import NOW

CLIENT = some_client(n=7)
SEED = bytes(range(32))


def held(**changes: Any) -> HeldToken:
    grant = some_grant(CLIENT, **changes)
    return HeldToken(some_token(TokenKind.CODE, seconds=60), grant)


def said(**changes: Any) -> Presented:
    plain = Presented(client=7, kind=TokenKind.CODE, redirect_uri=CALLBACK, verifier=VERIFIER)
    return replace(plain, **changes)


def test_challenge_is_the_one_of_the_standard() -> None:
    # RFC 7636, appendix B.
    assert challenge_of("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk") == (
        "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"
    )


def test_code_that_fits_is_spent_for_what_is_fresh() -> None:
    fresh = (some_token(TokenKind.ACCESS),)

    decided = exchange(held(), said(), fresh, now=NOW)

    assert (decided.refusal, decided.spend, decided.revoke, decided.fresh) == (None, True, False, fresh)


@pytest.mark.parametrize(
    "changes",
    [
        {"client": 8},
        {"kind": TokenKind.REFRESH},
        {"redirect_uri": CALLBACK + "/"},
        {"redirect_uri": None},
        {"verifier": None},
        {"verifier": "v" * 42},
        {"verifier": "v" * 44},
        {"verifier": "v" * 129},
        {"verifier": "ü" * 43},
    ],
    ids=str,
)
def test_what_does_not_fit_leaves_the_code_as_it_is(changes: dict[str, Any]) -> None:
    decided = exchange(held(), said(**changes), (), now=NOW)

    assert decided.refusal
    assert not decided.spend
    assert not decided.revoke


@pytest.mark.parametrize("seconds", [60, 61, 10**6])
def test_code_is_over_when_its_time_is(seconds: int) -> None:
    decided = exchange(held(), said(), (), now=NOW + timedelta(seconds=seconds))

    assert decided.refusal == "It is over."


def test_used_code_ends_everything_even_when_it_is_over() -> None:
    used = held()
    used = HeldToken(replace(used.token, used_at=NOW), used.grant)

    assert exchange(used, said(), (), now=NOW).revoke
    assert exchange(used, said(), (), now=NOW + timedelta(days=1)).revoke
    # A stranger's use of it is no sign that its owner was robbed.
    assert not exchange(used, said(client=8), (), now=NOW).revoke


def test_nothing_comes_of_a_revoked_grant() -> None:
    assert exchange(held(revoked_at=NOW), said(), (), now=NOW).refusal == "It is over."
    access = HeldToken(some_token(TokenKind.ACCESS), some_grant(CLIENT, revoked_at=NOW))
    assert not is_good(access, now=NOW)


def test_access_token_alone_opens_and_not_for_long() -> None:
    access = HeldToken(some_token(TokenKind.ACCESS, seconds=900), some_grant(CLIENT))

    assert is_good(access, now=NOW + timedelta(seconds=899))
    assert not is_good(access, now=NOW + timedelta(seconds=900))
    assert not any(
        is_good(HeldToken(some_token(kind), some_grant(CLIENT)), now=NOW)
        for kind in (TokenKind.CODE, TokenKind.REFRESH)
    )


def test_person_has_a_name_that_tells_nothing_and_depends_on_all_it_should() -> None:
    pairwise = some_client(sector="shop.example")
    others = [
        replace(pairwise, sector="other.example"),
        replace(pairwise, tenant=2),
        replace(pairwise, mode=Mode.LIVE),
        replace(pairwise, subject=SubjectType.PUBLIC),
    ]

    name = subject_of(SEED, pairwise, "tel:+919876543210")

    assert len(name) == 43
    assert "98765" not in name
    assert name == subject_of(SEED, replace(pairwise, id="another", n=99), "tel:+919876543210")
    names = {name, *(subject_of(SEED, other, "tel:+919876543210") for other in others)}
    names |= {
        subject_of(SEED, pairwise, "tel:+919876543211"),
        subject_of(b"x" * 32, pairwise, "tel:+919876543210"),
    }
    assert len(names) == 7
    public = replace(pairwise, subject=SubjectType.PUBLIC)
    assert subject_of(SEED, public, "a") == subject_of(SEED, replace(public, sector="x.example"), "a")


def test_way_of_a_login_is_told_as_it_was() -> None:
    assert (amr_of(Channel.SMS), amr_of(Channel.VOICE)) == (("otp", "sms"), ("otp", "tel"))


@pytest.mark.parametrize(
    ("after_s", "seen_s", "is_it"),
    [
        (0, 0, True),
        (IDLE_S - 1, 0, True),
        (IDLE_S, 0, False),
        (SESSION_S - 1, SESSION_S - 2, True),
        (SESSION_S, SESSION_S - 1, False),
    ],
)
def test_visit_ends_idle_or_late(after_s: int, seen_s: int, is_it: bool) -> None:
    visit = Visit(
        digest=b"",
        service=1,
        mode=Mode.TEST,
        ends_at=NOW + timedelta(seconds=SESSION_S),
        seen_at=NOW + timedelta(seconds=seen_s),
    )

    assert is_open(visit, now=NOW + timedelta(seconds=after_s)) is is_it


def test_refresh_needs_neither_address_nor_verifier_and_ends_with_its_grant() -> None:
    refresh = HeldToken(some_token(TokenKind.REFRESH, seconds=GRANT_S), some_grant(CLIENT))
    asked = Presented(client=7, kind=TokenKind.REFRESH)

    assert exchange(refresh, asked, (), now=NOW).spend
    assert not exchange(refresh, asked, (), now=NOW + timedelta(seconds=GRANT_S)).spend


class ExactlyOneKeySignsAndWasPublishedBefore(RuleBasedStateMachine):
    """Keys rotate at any time; clients look at them at any time."""

    keys: tuple[SigningKey, ...] = ()
    now = NOW

    @initialize()
    def first(self) -> None:
        self.keys = begin((), (some_key(made_at=NOW), some_key(made_at=NOW)))

    @rule()
    def rotate(self) -> None:
        coming = [key for key in self.keys if key.signs_from is None]
        was = signer(self.keys)
        self.keys = rotate(self.keys, some_key(made_at=self.now), now=self.now)

        assert signer(self.keys).kid == coming[0].kid
        assert was.kid in {key.kid for key in published(self.keys, now=self.now)}

    @rule(seconds=st.integers(0, 100_000))
    def wait(self, seconds: int) -> None:
        self.now += timedelta(seconds=seconds)

    @invariant()
    def holds(self) -> None:
        if not self.keys:
            return
        shown = published(self.keys, now=self.now)
        assert len(shown) >= 2
        assert [key for key in self.keys if key.signs_from and not key.retired_at] == [signer(self.keys)]
        assert sum(key.signs_from is None for key in self.keys) == 1
        assert len(self.keys) <= KEPT_MAX
        # What no longer signs has no private half any more.
        assert all(bool(key.sealed) is (key.retired_at is None) for key in self.keys)
        late = [key for key in shown if key.retired_at and self.now >= key.retired_at + PUBLISHED_AFTER]
        assert late == []


TestExactlyOneKeySigns = ExactlyOneKeySignsAndWasPublishedBefore.TestCase


def test_keys_are_begun_once() -> None:
    first = begin((), (some_key(), some_key()))

    assert begin(first, (some_key(), some_key())) == first
