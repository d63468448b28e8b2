import string
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import Conflict, InvalidRequest
from dastak.core.tenant import Mode, Scope
from dastak.tenancy import keys
from dastak.tenancy.keys import NewKey, digest, is_live, make_key, may_make, read_key, read_scopes, rotate

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
CHARACTERS = string.ascii_letters + string.digits


def entropy_from(octets: bytes) -> keys.Entropy:
    """Hand out these octets, one piece after the other."""
    pieces: Iterator[int] = iter(octets)
    return lambda wanted: bytes(next(pieces) for _ in range(wanted))


def zeros(wanted: int) -> bytes:
    return bytes(wanted)


def made(mode: Mode = Mode.LIVE, *, entropy: keys.Entropy = zeros, **fields: object) -> NewKey:
    wanted = {"tenant": 1, "service": 1, "scopes": (Scope.START,), "name": "app", "now": NOW, **fields}
    return make_key(entropy=entropy, mode=mode, **wanted)


octets = st.binary(min_size=28, max_size=28)


@given(st.sampled_from(Mode), octets)
def test_key_says_mode_and_id_in_letters_digits_and_underscores(mode: Mode, random: bytes) -> None:
    new = made(mode, entropy=entropy_from(random))

    assert set(new.text) <= set(CHARACTERS + "_")
    assert new.text.startswith(f"dk_{mode}_{new.key.id}_")
    assert len(new.text) == len(f"dk_{mode}_") + 11 + 1 + 27 + 6
    assert read_key(new.text) == (mode, new.key.id, new.key.digest)
    assert new.key.digest == sha256(new.text.encode()).digest()


@given(octets, octets)
def test_different_entropy_makes_different_keys(one: bytes, other: bytes) -> None:
    texts = {made(entropy=entropy_from(random)).text for random in (one, other)}

    assert len(texts) == len({one, other})


def test_secret_has_160_bits() -> None:
    asked: list[int] = []

    def entropy(wanted: int) -> bytes:
        asked.append(wanted)
        return bytes(wanted)

    made(entropy=entropy)

    assert asked == [8, 20]


def test_key_made_today_is_read_forever() -> None:
    """A golden key: changing the format would lock every customer out."""
    new = made(entropy=entropy_from(bytes(range(28))))

    assert new.text == "dk_live_001IYT0XLWR_195BXr4ExUu2VqK22sPsRuZoebb1xhJni"


@given(octets, st.data())
def test_every_typing_error_is_seen(random: bytes, data: st.DataObject) -> None:
    text = made(entropy=entropy_from(random)).text
    place = data.draw(st.integers(0, len(text) - 1))
    wrong = data.draw(st.sampled_from(CHARACTERS + "_ -é").filter(lambda char: char != text[place]))

    assert read_key(text[:place] + wrong + text[place + 1 :]) is None
    assert read_key(text[:place] + text[place + 1 :]) is None
    assert read_key(text[:place] + wrong + text[place:]) is None


@given(octets, st.integers(0, 43))
def test_swapped_neighbours_are_seen(random: bytes, place: int) -> None:
    text = made(entropy=entropy_from(random)).text
    at = len("dk_live_") + place
    swapped = text[:at] + text[at + 1] + text[at] + text[at + 2 :]

    assert swapped == text or read_key(swapped) is None


@given(st.text(max_size=80))
def test_what_is_no_key_is_read_as_none(text: str) -> None:
    assert read_key(text) is None


@pytest.mark.parametrize("around", ["{}\n", " {}", "Bearer {}", "{}\x00", "{}.", "{0}{0}"])
def test_key_is_read_only_alone(around: str) -> None:
    assert read_key(around.format(made().text)) is None


def test_new_key_shows_its_text_in_no_repr() -> None:
    new = made()
    secret = new.text.rsplit("_", 1)[1]

    assert secret not in repr(new)
    assert secret not in str([new])
    assert secret not in repr(new.key)
    assert new.text.encode() not in msgspec.json.encode(new.key)


@pytest.mark.parametrize(
    ("fields", "live"),
    [
        ({}, True),
        ({"expires_at": NOW + timedelta(seconds=1)}, True),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW - timedelta(seconds=1)}, False),
        ({"revoked_at": NOW}, False),
        ({"revoked_at": NOW + timedelta(days=1)}, False),
        ({"revoked_at": NOW, "expires_at": NOW + timedelta(days=1)}, False),
    ],
)
def test_key_is_live_until_it_expires_or_is_revoked(fields: dict[str, datetime], live: bool) -> None:
    assert is_live(msgspec.structs.replace(made().key, **fields), NOW) is live


def test_rotation_makes_a_like_key_and_ends_the_old_one_later() -> None:
    old = made(scopes=(Scope.START, Scope.CHECK)).key
    later = NOW + timedelta(days=3)

    rotation = rotate(old, timedelta(hours=24), now=later, entropy=entropy_from(bytes(range(28))))

    assert rotation.old == msgspec.structs.replace(old, expires_at=later + timedelta(hours=24))
    new = rotation.new.key
    assert (new.tenant, new.service, new.mode, new.scopes, new.name) == (
        old.tenant,
        old.service,
        old.mode,
        old.scopes,
        old.name,
    )
    assert (new.created_at, new.expires_at, new.revoked_at) == (later, None, None)
    assert new.id != old.id
    assert new.digest == digest(rotation.new.text.encode())


def test_rotation_never_lengthens_the_old_key_and_gives_the_new_one_its_span() -> None:
    old = made(expires_at=NOW + timedelta(days=90)).key
    later = NOW + timedelta(days=89)

    rotation = rotate(old, timedelta(days=7), now=later, entropy=zeros)

    assert rotation.old.expires_at == NOW + timedelta(days=90)
    assert rotation.new.key.expires_at == later + timedelta(days=90)


@pytest.mark.parametrize("days", [-1, 31])
def test_rotation_with_an_overlap_out_of_range_is_refused(days: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        rotate(made().key, timedelta(days=days), now=NOW, entropy=zeros)

    assert refused.value.field == "overlap"


def test_dead_key_is_not_rotated() -> None:
    with pytest.raises(Conflict):
        rotate(made(expires_at=NOW).key, timedelta(0), now=NOW, entropy=zeros)


def test_scopes_are_read_each_once_in_order() -> None:
    assert read_scopes(["read", "start", "read"]) == (Scope.START, Scope.READ)


@pytest.mark.parametrize("names", [[], ["start", "everything"], ["START"], [""], ["start "], ["*"]])
def test_unknown_scope_is_refused_and_not_left_out(names: list[str]) -> None:
    with pytest.raises(InvalidRequest) as refused:
        read_scopes(names)

    assert refused.value.field == "scopes"


@pytest.mark.parametrize("name", ["everything", "START", "", "admin "])
def test_unknown_scope_is_denied(name: str) -> None:
    assert name not in made(scopes=tuple(Scope)).key.scopes


def test_kept_key_with_an_unknown_scope_is_not_read() -> None:
    record = msgspec.to_builtins(made().key) | {"scopes": ["start", "everything"]}

    with pytest.raises(msgspec.ValidationError):
        msgspec.convert(record, type(made().key))


@pytest.mark.parametrize("maker_mode", Mode)
@pytest.mark.parametrize("mode", Mode)
def test_no_key_makes_one_of_a_wider_mode(maker_mode: Mode, mode: Mode) -> None:
    reach = [Mode.TEST, Mode.TEAM, Mode.LIVE]
    maker = made(maker_mode, scopes=tuple(Scope)).key

    allowed = may_make(maker, tenant=1, mode=mode, scopes=(Scope.START,))

    assert allowed is (reach.index(mode) <= reach.index(maker_mode))


@pytest.mark.parametrize(
    ("held", "tenant", "asked", "allowed"),
    [
        ((Scope.ADMIN,), 1, (Scope.START, Scope.ADMIN), True),
        ((Scope.ADMIN,), 1, (Scope.OPERATOR,), False),
        ((Scope.ADMIN,), 2, (Scope.START,), False),
        ((Scope.OPERATOR,), 2, (Scope.OPERATOR,), True),
        ((Scope.START, Scope.CHECK, Scope.READ), 1, (Scope.START,), False),
        ((), 1, (), False),
    ],
)
def test_no_key_makes_one_that_may_more(
    held: tuple[Scope, ...], tenant: int, asked: tuple[Scope, ...], allowed: bool
) -> None:
    assert may_make(made(scopes=held).key, tenant=tenant, mode=Mode.TEST, scopes=asked) is allowed


def test_command_line_makes_any_key() -> None:
    assert may_make(None, tenant=7, mode=Mode.LIVE, scopes=tuple(Scope))
