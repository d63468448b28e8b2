"""What every store keeps of factors: for one number alone, moved on in the commit of the check."""

import asyncio
from datetime import timedelta
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core import factor as rules
from dastak.core.errors import Conflict, NotFound
from dastak.core.factor import FACTORS_PER_NUMBER_MAX, Factor, FactorState
from dastak.core.hash_chain import ChainHash, begin, passwords
from dastak.core.ids import FactorId
from dastak.core.oath import HashFunction
from dastak.core.policy import Channel
from dastak.core.ports import Change, Held
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars
from tests.support.samples import MSISDN, NOW, some_id, some_msisdn, some_opening, some_verification

A_MINUTE = timedelta(minutes=1)
LIST = ("a passphrase nobody types", "seed1", 12, ChainHash.SHA1)


def some_factor(**changes: Any) -> Factor:
    plain = Factor(
        id=FactorId(some_id()),
        tenant=1,
        mode=Mode.LIVE,
        msisdn=MSISDN,
        kind=Channel.TOTP,
        created_at=NOW,
        sealed=b"sealed",
        label="my phone",
        digits=8,
        hash_function=HashFunction.SHA256,
        step_s=60,
    )
    return replace(plain, **changes)


def some_list() -> Factor:
    return some_factor(kind=Channel.HASH_CHAIN, sealed=None, chain=begin(*LIST))


async def test_factor_is_read_back_as_it_was_written(store: Any) -> None:
    authenticator, printed = some_factor(), some_list()

    await store.factors.put_factor(authenticator)
    await store.factors.put_factor(printed)

    assert await store.factors.find_factor(1, authenticator.id) == authenticator
    assert await store.factors.factors_of(1, Mode.LIVE, MSISDN) == [printed, authenticator]


async def test_factor_is_found_by_its_owner_alone(store: Any) -> None:
    factor = await store.factors.put_factor(some_factor())

    with pytest.raises(NotFound):
        await store.factors.find_factor(2, factor.id)
    assert not await store.factors.factors_of(2, Mode.LIVE, MSISDN)
    assert not await store.factors.factors_of(1, Mode.TEST, MSISDN)
    assert not await store.factors.factors_of(1, Mode.LIVE, some_msisdn(1))


async def test_removed_factor_is_not_listed_and_its_secret_is_gone(store: Any) -> None:
    printed = await store.factors.put_factor(some_list())

    removed = await store.factors.move_factor(1, printed.id, rules.remove)

    assert not await store.factors.factors_of(1, Mode.LIVE, MSISDN)
    found = await store.factors.find_factor(1, printed.id)
    assert found == removed
    assert (found.state, found.sealed, found.chain.password) == (FactorState.REMOVED, None, b"")


async def test_printed_list_is_never_begun_again_with_its_seed(store: Any) -> None:
    first = await store.factors.put_factor(some_list())
    await store.factors.move_factor(1, first.id, rules.remove)

    with pytest.raises(Conflict):
        await store.factors.put_factor(some_list())


async def test_number_has_so_many_factors_at_most(store: Any) -> None:
    proved = {"state": FactorState.ACTIVE}
    for _ in range(FACTORS_PER_NUMBER_MAX):
        kept = await store.factors.put_factor(some_factor(**proved))

    with pytest.raises(Conflict):
        await store.factors.put_factor(some_factor(**proved))
    with pytest.raises(Conflict):
        await store.factors.put_factor(some_factor())
    await store.factors.move_factor(1, kept.id, rules.remove)
    await store.factors.put_factor(some_factor())


async def test_set_up_that_was_given_up_gives_way_the_oldest_first(store: Any) -> None:
    proved = await store.factors.put_factor(some_factor(state=FactorState.ACTIVE))
    given_up = [
        await store.factors.put_factor(some_factor(created_at=NOW + n * A_MINUTE))
        for n in range(1, FACTORS_PER_NUMBER_MAX)
    ]
    elsewhere = await store.factors.put_factor(some_factor(msisdn=some_msisdn(1)))

    fresh = await store.factors.put_factor(some_factor())

    oldest, *others = given_up
    assert await store.factors.factors_of(1, Mode.LIVE, MSISDN) == [fresh, *reversed(others), proved]
    gone = await store.factors.find_factor(1, oldest.id)
    assert (gone.state, gone.sealed) == (FactorState.REMOVED, None)
    assert await store.factors.factors_of(1, Mode.LIVE, some_msisdn(1)) == [elsewhere]


async def test_one_code_of_a_list_is_accepted_once_by_a_hundred_checks_at_once(store: Any) -> None:
    printed = await store.factors.put_factor(some_list())
    password = passwords(*LIST)[0]
    asked = Particulars(channel=Channel.HASH_CHAIN, factor=printed.id.hex())
    verifications = [some_verification(particulars=asked, msisdn=some_msisdn(n)) for n in range(100)]
    for verification in verifications:
        await store.open(some_opening(verification, message=None, trace=()))

    def rule(held: Held) -> Change[bool]:
        assert held.factor is not None
        moved = rules.accept(held.factor, b"", password, at_s=0)
        return Change(answer=moved is not None, factor=moved)

    answers = await asyncio.gather(*(store.decide(each.id, rule) for each in verifications))

    assert sum(answers) == 1
    assert (await store.factors.find_factor(1, printed.id)).chain.sequence == 11


async def test_factor_that_is_proved_at_the_same_moment_never_gives_way(store: Any) -> None:
    printed = await store.factors.put_factor(some_list())
    for _ in range(1, FACTORS_PER_NUMBER_MAX):
        await store.factors.put_factor(some_factor())
    asked = Particulars(channel=Channel.HASH_CHAIN, factor=printed.id.hex())
    verification = some_verification(particulars=asked)
    await store.open(some_opening(verification, message=None, trace=()))

    def rule(held: Held) -> Change[bool]:
        assert held.factor is not None
        moved = rules.accept(held.factor, b"", passwords(*LIST)[0], at_s=0)
        return Change(answer=moved is not None, factor=moved)

    proved, _ = await asyncio.gather(
        store.decide(verification.id, rule), store.factors.put_factor(some_factor())
    )

    found = await store.factors.find_factor(1, printed.id)
    assert found.state is (FactorState.ACTIVE if proved else FactorState.REMOVED)
    assert len(await store.factors.factors_of(1, Mode.LIVE, MSISDN)) == FACTORS_PER_NUMBER_MAX
