import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.codes import CODE_CHARACTERS_MAX, CODE_CHARACTERS_MIN, Alphabet, entropy_bits
from dastak.core.errors import InvalidRequest
from dastak.core.policy import (
    ATTEMPTS_MAX,
    CALL_AFTER_S_MAX,
    ENTROPY_BITS_MIN,
    LEGACY_ATTEMPTS_MAX,
    RESEND_WAIT_S_MAX,
    RESENDS_MAX,
    TTL_S_MAX,
    TTL_S_MIN,
    Channel,
    Narrowing,
    Policy,
    check_policy,
    compliance_warnings,
    for_match,
    narrow,
    resend_wait_s,
)

LEGACY = Policy(length=4, legacy=True, attempts_max=3)


def test_default_policy_is_allowed_and_compliant() -> None:
    assert check_policy(Policy()) == Policy()
    assert compliance_warnings(Policy()) == ()


@pytest.mark.parametrize(
    ("field", "lowest", "highest"),
    [
        ("length", 6, CODE_CHARACTERS_MAX),
        ("ttl_s", TTL_S_MIN, TTL_S_MAX),
        ("attempts_max", 1, ATTEMPTS_MAX),
        ("resends_max", 0, RESENDS_MAX),
        ("call_after_s", 0, CALL_AFTER_S_MAX),
    ],
)
def test_figures_have_bounds(field: str, lowest: int, highest: int) -> None:
    for inside in (lowest, highest):
        assert getattr(check_policy(Policy(**{field: inside})), field) == inside
    for outside in (lowest - 1, highest + 1, -1):
        with pytest.raises(InvalidRequest) as refused:
            check_policy(Policy(**{field: outside}))
        assert refused.value.field == field


@pytest.mark.parametrize(
    ("length", "alphabet", "plain", "legacy"),
    [
        (3, Alphabet.NUMERIC, False, False),
        (4, Alphabet.NUMERIC, False, True),
        (5, Alphabet.NUMERIC, False, True),
        (6, Alphabet.NUMERIC, True, True),
        (10, Alphabet.NUMERIC, True, True),
        (11, Alphabet.NUMERIC, False, False),
        (3, Alphabet.ALPHANUMERIC, False, False),
        (4, Alphabet.ALPHANUMERIC, False, True),
        (5, Alphabet.ALPHANUMERIC, True, True),
    ],
)
def test_weak_codes_are_allowed_only_as_legacy(
    length: int, alphabet: Alphabet, plain: bool, legacy: bool
) -> None:
    for policy, allowed in (
        (Policy(length=length, alphabet=alphabet), plain),
        (Policy(length=length, alphabet=alphabet, legacy=True, attempts_max=3), legacy),
    ):
        if allowed:
            assert check_policy(policy) == policy
            continue
        with pytest.raises(InvalidRequest) as refused:
            check_policy(policy)
        assert refused.value.field == "length"


@given(st.integers(CODE_CHARACTERS_MIN, CODE_CHARACTERS_MAX), st.sampled_from(Alphabet), st.booleans())
def test_allowed_codes_are_strong_or_labelled(length: int, alphabet: Alphabet, legacy: bool) -> None:
    policy = Policy(length=length, alphabet=alphabet, legacy=legacy, attempts_max=3)
    weak = entropy_bits(length, alphabet) < ENTROPY_BITS_MIN
    try:
        check_policy(policy)
    except InvalidRequest:
        assert weak
        assert not legacy
    else:
        assert legacy or not weak
        assert ("legacy_short_code" in compliance_warnings(policy)) is weak


def test_legacy_has_fewer_attempts() -> None:
    assert check_policy(LEGACY) == LEGACY
    with pytest.raises(InvalidRequest, match=f"1 to {LEGACY_ATTEMPTS_MAX}"):
        check_policy(msgspec.structs.replace(LEGACY, attempts_max=LEGACY_ATTEMPTS_MAX + 1))


@pytest.mark.parametrize(
    "waits_s",
    [(-1,), (30, RESEND_WAIT_S_MAX + 1), (30,) * (RESENDS_MAX + 1)],
    ids=["negative", "long", "many"],
)
def test_resend_waits_have_bounds(waits_s: tuple[int, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_policy(Policy(resend_waits_s=waits_s))

    assert refused.value.field == "resend_waits_s"


@pytest.mark.parametrize("channels", [(), (Channel.SMS, Channel.SMS)])
def test_channels_are_some_and_each_once(channels: tuple[Channel, ...]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        check_policy(Policy(channels=channels))

    assert refused.value.field == "channels"


@pytest.mark.parametrize(
    ("policy", "warnings"),
    [
        (LEGACY, ("legacy_short_code",)),
        (Policy(ttl_s=600), ()),
        (Policy(ttl_s=601), ("lifetime_over_ten_minutes",)),
        (
            msgspec.structs.replace(LEGACY, ttl_s=3600),
            ("legacy_short_code", "lifetime_over_ten_minutes"),
        ),
        (Policy(legacy=True, attempts_max=3), ()),
    ],
)
def test_warnings_name_what_falls_short(policy: Policy, warnings: tuple[str, ...]) -> None:
    assert compliance_warnings(check_policy(policy)) == warnings


@pytest.mark.parametrize(
    ("waits_s", "told_s"),
    [((30, 60, 120, 240), [30, 60, 120, 240, 240, 240]), ((45,), [45] * 6), ((), [0] * 6)],
)
def test_wait_after_each_send_and_the_last_one_for_good(waits_s: tuple[int, ...], told_s: list[int]) -> None:
    policy = Policy(resend_waits_s=waits_s)

    assert [resend_wait_s(policy, sends) for sends in range(1, 7)] == told_s


def test_request_makes_its_policy_stricter() -> None:
    asked = Narrowing(length=8, ttl_s=120, attempts_max=3, resends_max=0)

    assert narrow(Policy(), asked) == Policy(length=8, ttl_s=120, attempts_max=3, resends_max=0)
    assert narrow(Policy(), Narrowing()) == Policy()


@pytest.mark.parametrize(
    ("asked", "field"),
    [
        (Narrowing(length=7), "length"),
        (Narrowing(length=CODE_CHARACTERS_MAX + 1), "length"),
        (Narrowing(ttl_s=301), "ttl_s"),
        (Narrowing(ttl_s=TTL_S_MIN - 1), "ttl_s"),
        (Narrowing(attempts_max=6), "attempts_max"),
        (Narrowing(attempts_max=0), "attempts_max"),
        (Narrowing(resends_max=5), "resends_max"),
        (Narrowing(resends_max=-1), "resends_max"),
    ],
)
def test_request_makes_nothing_looser_or_impossible(asked: Narrowing, field: str) -> None:
    with pytest.raises(InvalidRequest) as refused:
        narrow(Policy(length=8), asked)

    assert refused.value.field == field


figures = st.none() | st.integers(-1, 700)


@given(figures, figures, figures, figures)
def test_narrowed_policy_is_never_looser(
    length: int | None, ttl_s: int | None, attempts_max: int | None, resends_max: int | None
) -> None:
    policy = Policy(length=7, ttl_s=400, attempts_max=4, resends_max=3)
    asked = Narrowing(length=length, ttl_s=ttl_s, attempts_max=attempts_max, resends_max=resends_max)
    try:
        narrowed = narrow(policy, asked)
    except InvalidRequest:
        return

    assert check_policy(narrowed) == narrowed
    assert narrowed.length >= policy.length
    assert narrowed.ttl_s <= policy.ttl_s
    assert narrowed.attempts_max <= policy.attempts_max
    assert narrowed.resends_max <= policy.resends_max


@pytest.mark.parametrize(
    "record", [{"lenght": 6}, {"length": "6"}, {"length": 6.5}, {"channels": ["pigeon"]}]
)
def test_stored_policy_with_something_unknown_is_refused(record: dict[str, object]) -> None:
    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(record, Policy)


def test_policy_survives_its_stored_form() -> None:
    assert msgspec.json.decode(msgspec.json.encode(LEGACY), type=Policy) == LEGACY


def test_matching_numbers_needs_calls() -> None:
    assert check_policy(Policy(match=True)).match
    with pytest.raises(InvalidRequest) as refused:
        check_policy(Policy(match=True, channels=(Channel.SMS,)))

    assert refused.value.field == "match"


def test_matching_numbers_has_the_limits_of_short_codes() -> None:
    assert for_match(Policy()) == Policy(legacy=True, attempts_max=LEGACY_ATTEMPTS_MAX)
    assert for_match(Policy(attempts_max=1)).attempts_max == 1
    assert check_policy(for_match(Policy(match=True)))
