"""What every store keeps of OpenID Connect: tokens are spent once, a grant ends whole, keys move as one."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core import oidc
from dastak.core.errors import Conflict, NotFound, Overloaded
from dastak.core.lockout import CLEAN, Tally
from dastak.core.oidc import (
    CODE_S,
    Client,
    Exchange,
    Grant,
    HeldToken,
    Login,
    Pending,
    Presented,
    Token,
    TokenKind,
    Visit,
)
from dastak.core.oidc_keys import SigningKey, begin, rotate
from dastak.core.ports import Change
from dastak.core.tenant import Mode
from dastak.store.oidc_tables import CLIENTS_PER_TENANT_MAX, SWEPT_MAX
from tests.contract.conftest import Reopen
from tests.support.oidc_samples import CALLBACK, VERIFIER, some_client, some_grant, some_key, some_token
from tests.support.samples import MSISDN, NOW, some_opening, some_verification

LATER = NOW + timedelta(seconds=30)


def presented(client: Client, **changes: Any) -> Presented:
    plain = Presented(client=client.n, kind=TokenKind.CODE, redirect_uri=CALLBACK, verifier=VERIFIER)
    return replace(plain, **changes)


def spending(said: Presented, *fresh: Token) -> Any:
    def rule(held: HeldToken) -> Exchange:
        return oidc.exchange(held, said, fresh, now=LATER)

    return rule


async def opened(store: Any, **changes: Any) -> tuple[Client, Grant, Token]:
    client = await store.oidc.put_client(some_client())
    grant, code = some_grant(client, **changes), some_token(TokenKind.CODE, seconds=CODE_S)
    await store.oidc.open_grant(grant, code)
    return client, grant, code


async def test_client_is_read_back_changed_and_removed(store: Any) -> None:
    made = await store.oidc.put_client(some_client())
    other = await store.oidc.put_client(some_client(tenant=2))

    changed = await store.oidc.put_client(replace(made, name="Shop two"))

    assert await store.oidc.client(made.id) == changed
    assert await store.oidc.client_numbered(made.n) == changed
    assert await store.oidc.clients(1) == (changed,)
    assert await store.oidc.clients(2) == (other,)
    await store.oidc.remove_client(changed)
    assert await store.oidc.client(made.id) is None
    for gone in (store.oidc.remove_client(changed), store.oidc.put_client(changed)):
        with pytest.raises(NotFound):
            await gone


async def test_number_of_a_removed_client_is_never_given_again(store: Any) -> None:
    first = await store.oidc.put_client(some_client())
    await store.oidc.remove_client(first)

    assert (await store.oidc.put_client(some_client())).n > first.n


async def test_tenant_has_so_many_clients_at_most(store: Any) -> None:
    for _ in range(CLIENTS_PER_TENANT_MAX):
        await store.oidc.put_client(some_client())

    with pytest.raises(Conflict):
        await store.oidc.put_client(some_client())
    await store.oidc.put_client(some_client(tenant=2))


async def test_code_is_exchanged_once_by_a_hundred_at_once(store: Any) -> None:
    client, grant, code = await opened(store)
    fresh = [some_token(TokenKind.ACCESS) for _ in range(100)]

    done = await asyncio.gather(
        *(store.oidc.exchange(code.digest, spending(presented(client), one), now=LATER) for one in fresh)
    )

    won = [decided for _, decided in done if decided.refusal is None]
    assert len(won) == 1
    # Those that came later ended the grant, and the one token that was given with it.
    held = await store.oidc.token(won[0].fresh[0].digest)
    assert held.grant == replace(grant, revoked_at=LATER)
    assert not oidc.is_good(held, now=LATER)


async def test_refused_exchange_changes_nothing(store: Any) -> None:
    client, grant, code = await opened(store)
    access = some_token(TokenKind.ACCESS)

    _, decided = await store.oidc.exchange(
        code.digest, spending(presented(client, verifier="x" * 43), access), now=LATER
    )

    assert decided.refusal is not None
    assert await store.oidc.token(code.digest) == HeldToken(code, grant)
    assert await store.oidc.token(access.digest) is None
    assert await store.oidc.exchange(b"x" * 32, spending(presented(client)), now=LATER) is None


async def test_tokens_of_a_removed_client_are_gone(store: Any) -> None:
    client, _, code = await opened(store)

    await store.oidc.remove_client(client)

    assert await store.oidc.token(code.digest) is None


async def test_visit_ends_with_what_was_given_in_it_and_nothing_else(store: Any) -> None:
    visit = Visit(
        digest=b"v" * 32,
        service=1,
        mode=Mode.TEST,
        ends_at=NOW + timedelta(hours=12),
        seen_at=NOW,
        login=Login(who="tel:+911", msisdn=MSISDN, at=NOW, amr=("otp", "sms")),
    )
    await store.oidc.put_visit(visit)
    _, _, inside = await opened(store, visit=visit.digest)
    _, _, outside = await opened(store)

    kept = await store.oidc.visit(visit.digest)
    await store.oidc.end_visit(visit.digest, now=LATER)

    assert kept == visit
    assert await store.oidc.visit(visit.digest) is None
    assert (await store.oidc.token(inside.digest)).grant.revoked_at == LATER
    assert (await store.oidc.token(outside.digest)).grant.revoked_at is None


async def test_visit_takes_the_place_of_the_one_before_it(store: Any) -> None:
    pending = Pending(asked="a", verification="00" * 16, msisdn=MSISDN)
    first = Visit(digest=b"1" * 32, service=1, mode=Mode.TEST, ends_at=LATER, seen_at=NOW, pending=pending)
    await store.oidc.put_visit(first)

    second = replace(first, digest=b"2" * 32, pending=None)
    await store.oidc.put_visit(second, instead_of=first.digest)

    assert await store.oidc.visit(first.digest) is None
    assert await store.oidc.visit(second.digest) == second


async def test_what_is_over_is_deleted_by_later_writes(store: Any) -> None:
    old = [await opened(store, ends_at=NOW + timedelta(seconds=1)) for _ in range(SWEPT_MAX)]

    await opened(store, created_at=NOW + timedelta(days=1))

    assert [await store.oidc.token(code.digest) for _, _, code in old] == [None] * SWEPT_MAX


async def test_consent_is_kept_for_each_person_and_client(store: Any) -> None:
    await store.oidc.keep_consent(1, "someone", frozenset({"openid"}), now=NOW)
    await store.oidc.keep_consent(1, "someone", frozenset({"openid", "phone"}), now=NOW)

    assert await store.oidc.consented(1, "someone") == {"openid", "phone"}
    assert await store.oidc.consented(2, "someone") == frozenset()
    assert await store.oidc.consented(1, "another") == frozenset()


async def test_keys_are_begun_once_and_rotate_in_turn(store: Any) -> None:
    pairs = [(some_key(), some_key()) for _ in range(10)]

    begun = await asyncio.gather(
        *(store.oidc.move_signing_keys(lambda keys, pair=pair: begin(keys, pair)) for pair in pairs)
    )
    fresh = some_key()
    rotated = await store.oidc.move_signing_keys(lambda keys: rotate(keys, fresh, now=LATER))

    assert len(set(begun)) == 1
    assert await store.oidc.signing_keys() == rotated
    assert [key.kid for key in rotated] == [*(key.kid for key in begun[0]), fresh.kid]


async def test_rule_that_raises_leaves_the_keys_as_they_are(store: Any) -> None:
    first = await store.oidc.move_signing_keys(lambda keys: begin(keys, (some_key(), some_key())))

    def refuse(_keys: tuple[SigningKey, ...]) -> tuple[SigningKey, ...]:
        raise Overloaded("no")

    with pytest.raises(Overloaded):
        await store.oidc.move_signing_keys(refuse)
    assert await store.oidc.signing_keys() == first


async def test_seed_of_names_is_the_first_one_for_ever(store: Any, reopen: Reopen) -> None:
    seeds = await asyncio.gather(*(store.oidc.subject_seed(bytes([n]) * 40) for n in range(10)))

    assert len(set(seeds)) == 1
    async with reopen() as again:
        assert await again.oidc.subject_seed(b"another") == seeds[0]


async def test_wrong_attempts_of_a_number_are_the_ones_that_checks_count(store: Any) -> None:
    verification = some_verification()
    await store.open(some_opening(verification))
    tally = Tally(2, (1, 2))

    await store.decide(verification.id, lambda held: Change(answer=None, tally=tally))

    counted = [await store.oidc.tally(verification.tenant, mode, verification.msisdn) for mode in Mode]
    assert counted == [CLEAN, tally, tally]
    assert await store.oidc.tally(99, verification.mode, verification.msisdn) == CLEAN
