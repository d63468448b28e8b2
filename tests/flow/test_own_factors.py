"""Factors on one's own account: renewed, run low, given up half-way, and changed by two browsers at once."""

import asyncio
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any, cast

import pytest
from msgspec.structs import replace

from dastak.core.errors import Refused
from dastak.core.factor import FACTORS_PER_NUMBER_MAX, FactorState
from dastak.core.hash_chain import SEQUENCE_LOW
from dastak.core.ids import digest_of
from dastak.core.login_settings import LoginSettings
from dastak.core.msisdn import Msisdn
from dastak.core.people_store import LoginPorts, Passwords
from dastak.core.person import Owned
from dastak.core.policy import Channel
from dastak.core.sign_in_state import FRESH, Stage
from dastak.core.tenant import Mode
from dastak.flows import enrol, factors
from dastak.flows.factors import Enrolled
from dastak.flows.sign_in import Visitor
from tests.flow.test_login_ways import ACCOUNT, BY_CODE, CODE, SECRET, Login, code_of, password_passed
from tests.support.house import House
from tests.support.samples import MSISDN, NOW, some_msisdn

LISTS = LoginSettings(service=1, mode=Mode.LIVE, required=True, factors=(Channel.HASH_CHAIN,))
APPS = LoginSettings(service=1, mode=Mode.LIVE, required=True, factors=(Channel.TOTP,))
VISITOR = Visitor(address="203.0.113.9", agent="")


async def proved(house: House, kind: Channel, *, codes: int = 20) -> Enrolled:
    """Make a factor, and prove it by its first code."""
    wanted = factors.Enrolment(to=MSISDN, kind=kind, codes=codes)
    made = await factors.enrol(house.ports, house.caller, wanted)
    first = made.printed[0] if made.printed else code_of(made)
    await house.check(await house.start(factor=made.factor.id), first)
    return made


def owned_by(*made: Enrolled) -> dict[str, Any]:
    mine = tuple(Owned(one.factor.kind, one.factor.id.hex()) for one in made)
    return {"msisdn": MSISDN, "proved_at": NOW, "owned": mine}


@asynccontextmanager
async def signed_in(house: House, settings: LoginSettings, **changes: Any) -> AsyncIterator[Login]:
    """Open the pages to somebody who typed a code just now."""
    async with password_passed(house, settings, **changes) as login:
        await login.people.move_session(digest_of(SECRET), lambda one: replace(one, **BY_CODE))
        yield login


async def state_of(house: House, made: Enrolled) -> FactorState:
    found = await house.store.factors.find_factor(1, made.factor.id)
    return FactorState(found.state)


def ports_of(house: House) -> LoginPorts:
    return LoginPorts(
        ports=house.ports,
        people=house.store.people,
        passwords=cast(Passwords, None),
        asks_elsewhere=cast(Any, None),
    )


def printed_on(page: str) -> list[str]:
    return re.findall(r"<li>([^<]+)</li>", page.partition("<ol")[2].partition("</ol>")[0])


async def begin_list(login: Login) -> tuple[str, list[str]]:
    """Begin a new printed list; return the id of its factor, and its codes."""
    shown = await login.send(ACCOUNT, do="add-hash_chain")
    assert shown.status_code == 200, shown.headers.get("location")
    return (await login.asked()).particulars.factor or "", printed_on(shown.text)


async def test_last_list_is_renewed_where_one_is_required_and_the_old_one_goes_with_its_proof(
    house: House,
) -> None:
    old = await proved(house, Channel.HASH_CHAIN)
    async with signed_in(house, LISTS, **owned_by(old)) as login:
        account = (await login.get(ACCOUNT)).text
        dropped = await login.send(ACCOUNT, do="drop-hash_chain")
        factor, codes = await begin_list(login)
        meanwhile = (await login.has()).owned
        answer = await login.send(f"{ACCOUNT}/code", do="check", code=codes[0])

        assert 'value="add-hash_chain" aria-label="Set up: Printed list"' in account
        assert dropped.status_code == 403
        assert meanwhile == (Owned(Channel.HASH_CHAIN, old.factor.id.hex()),)
        assert await state_of(house, old) is FactorState.REMOVED
        assert (await login.has()).owned == (Owned(Channel.HASH_CHAIN, factor),)
        assert answer.status_code == 200, "recovery codes are shown, for there were none"


async def test_renewal_that_is_given_up_leaves_the_old_list_as_good_as_it_was(house: House) -> None:
    old = await proved(house, Channel.HASH_CHAIN)
    async with signed_in(house, LISTS, **owned_by(old)) as login:
        await begin_list(login)
        await login.people.move_session(
            digest_of(SECRET), lambda one: replace(one, stage=Stage.PASSWORD_PASSED, second_at=None)
        )
        await login.send(CODE, do="use-hash_chain")
        entered = await login.send(CODE, do="check", code=old.printed[1])

        assert entered.headers["location"] == ACCOUNT
        assert (await login.session()).stage is Stage.SIGNED_IN


async def test_set_up_begun_by_a_password_alone_takes_no_factor_away_that_came_meanwhile(
    house: House,
) -> None:
    mine = await proved(house, Channel.HASH_CHAIN)
    number = {"msisdn": MSISDN, "proved_at": NOW}
    async with signed_in(house, replace(LISTS, required=False), **number) as login:
        await login.people.move_session(digest_of(SECRET), lambda one: replace(one, second_at=None))
        _, codes = await begin_list(login)
        person = await login.has()
        await login.people.move_person(person.id, lambda one: replace(one, **owned_by(mine)))

        answer = await login.send(f"{ACCOUNT}/code", do="check", code=codes[0])

        assert "again=1" in answer.headers["location"]
        assert (await login.has()).owned == (Owned(Channel.HASH_CHAIN, mine.factor.id.hex()),)
        assert await state_of(house, mine) is FactorState.ACTIVE


async def test_factor_is_renewed_after_a_recent_proof_alone(house: House) -> None:
    old = await proved(house, Channel.HASH_CHAIN)
    async with signed_in(house, LISTS, **owned_by(old)) as login:
        house.clock.advance(FRESH.total_seconds() + 1)
        answer = await login.send(ACCOUNT, do="add-hash_chain")

        assert "fresh=1" in answer.headers["location"]
        assert len(await house.store.factors.factors_of(1, Mode.LIVE, MSISDN)) == 1


async def test_codes_left_of_a_list_are_told_and_marked_when_they_run_low(house: House) -> None:
    old = await proved(house, Channel.HASH_CHAIN, codes=SEQUENCE_LOW + 1)
    async with signed_in(house, LISTS, **owned_by(old)) as login:
        enough = (await login.get(ACCOUNT)).text
        await house.check(await house.start(factor=old.factor.id), old.printed[1])
        low = (await login.get(ACCOUNT)).text

        assert f'<span class="hint">Codes left: {SEQUENCE_LOW}</span>' in enough
        assert f'<span class="bad">Codes left: {SEQUENCE_LOW - 1}</span>' in low


async def test_set_ups_that_were_given_up_take_nobodys_place(house: House) -> None:
    async with signed_in(house, LISTS, msisdn=MSISDN, proved_at=NOW) as login:
        begun = [await begin_list(login) for _ in range(FACTORS_PER_NUMBER_MAX + 1)]
        factor, codes = begun[-1]
        await login.send(f"{ACCOUNT}/code", do="check", code=codes[0])

        assert (await login.has()).owned == (Owned(Channel.HASH_CHAIN, factor),)


async def test_number_that_has_as_many_factors_as_it_may_is_not_said_to_be_none(house: House) -> None:
    for _ in range(FACTORS_PER_NUMBER_MAX):
        await proved(house, Channel.TOTP)
    async with signed_in(house, LISTS, msisdn=MSISDN, proved_at=NOW) as login:
        refused = await login.send(ACCOUNT, do="add-hash_chain")

        assert refused.status_code == 422
        assert "This is not possible here." in refused.text
        assert "not a number of a phone" not in refused.text


@pytest.mark.parametrize("number", [MSISDN, some_msisdn(7)])
async def test_authenticator_added_while_a_number_is_proved_stays_or_goes_with_its_number(
    house: House, number: Msisdn
) -> None:
    made = await proved(house, Channel.TOTP)
    async with signed_in(house, APPS, msisdn=MSISDN, proved_at=NOW) as login:
        stale = await login.has()
        await login.people.move_person(stale.id, lambda one: replace(one, **owned_by(made)))

        moved = await enrol.set_number(
            ports_of(house), house.caller, replace(APPS, required=False), stale, number, visitor=VISITOR
        )

        kept = number == MSISDN
        assert moved.owned == (owned_by(made)["owned"] if kept else ())
        assert await state_of(house, made) is (FactorState.ACTIVE if kept else FactorState.REMOVED)


async def test_number_stays_while_the_last_factor_that_is_required_is_filed_under_it(house: House) -> None:
    made, other = await proved(house, Channel.TOTP), some_msisdn(7)
    async with signed_in(house, APPS, msisdn=MSISDN, proved_at=NOW) as login:
        # The authenticator comes while the new number is being proved.
        stale = await login.has()
        await login.people.move_person(stale.id, lambda one: replace(one, **owned_by(made)))

        with pytest.raises(Refused):
            await enrol.set_number(ports_of(house), house.caller, APPS, stale, other, visitor=VISITOR)
        asked = await house.all()
        refused = await login.send(ACCOUNT, do="number", msisdn=other)

        assert (await login.has()) == replace(stale, **owned_by(made))
        assert await state_of(house, made) is FactorState.ACTIVE
        assert refused.status_code == 403
        assert await house.all() == asked, "nothing is sent in vain"
        assert await login.people.lines_of(stale.id, limit=9) == []

        again = await login.send(ACCOUNT, do="number", msisdn=MSISDN)

        assert again.headers["location"] == f"{ACCOUNT}/code"


async def test_of_two_factors_of_a_kind_that_are_proved_at_once_one_stays_and_the_other_is_removed(
    house: House,
) -> None:
    first, second = await proved(house, Channel.TOTP), await proved(house, Channel.TOTP)
    async with signed_in(house, APPS, msisdn=MSISDN, proved_at=NOW) as login:
        stale = await login.has()
        for made in (first, second):
            asked = await house.start(factor=made.factor.id)
            await enrol.own_factor(ports_of(house), house.caller, stale, asked, VISITOR)

        assert (await login.has()).owned == owned_by(second)["owned"]
        assert await state_of(house, first) is FactorState.REMOVED


@pytest.mark.parametrize("required", [True, False])
async def test_of_the_last_two_factors_that_two_browsers_drop_at_once_one_stays_where_one_is_required(
    house: House, *, required: bool
) -> None:
    app, printed = await proved(house, Channel.TOTP), await proved(house, Channel.HASH_CHAIN)
    both = replace(LISTS, required=required, factors=(Channel.TOTP, Channel.HASH_CHAIN))
    async with signed_in(house, both, **owned_by(app, printed)) as login:
        seen = await login.has()

        dropped = await asyncio.gather(
            *(
                enrol.drop_factor(ports_of(house), house.caller, both, seen, kind, visitor=VISITOR)
                for kind in both.factors
            ),
            return_exceptions=True,
        )

        assert [isinstance(one, Refused) for one in dropped] == [False, required]
        assert (await login.has()).owned == (owned_by(printed)["owned"] if required else ())
        assert await state_of(house, app) is FactorState.REMOVED
        assert await state_of(house, printed) is (FactorState.ACTIVE if required else FactorState.REMOVED)
