"""What India's scrubbers would refuse is refused before it costs anything, and explained."""

from typing import Any

import msgspec
import pytest

from dastak.core.dlt_store import DltRecord
from dastak.core.errors import TemplateMismatch
from dastak.core.events import MessageRefused
from dastak.core.tenant import Mode
from dastak.dlt.chain import Chain, ChainMode
from dastak.dlt.register import Category, ContentTemplate, Entity, Header, Register
from tests.support.house import House, ScriptedRoute

PE, TM = "1101172974420810001", "1101172974420830004"
# What `tests/support/house.py` has its service say.
TEXT = "{#numeric#} is your Acme login code. Valid for {#numeric#} min. Do not share it with anyone."


def register(header: str, text: str = TEXT, chains: tuple[Chain, ...] = ()) -> Register:
    return Register(
        entities=(Entity(pe_id=PE),),
        headers=(Header(name=header, pe_id=PE),),
        templates=(
            ContentTemplate(
                template_id="1107161234567890123",
                pe_id=PE,
                header=header,
                category=Category.SERVICE_IMPLICIT,
                text=text,
            ),
        ),
        chains=chains,
    )


def chain(route: str, **fields: Any) -> Chain:
    return Chain(pe_id=PE, route=route, mode=ChainMode.SHA256, tm_ids=(TM,), **{"approved": True} | fields)


async def registered(house: House, **fields: Any) -> None:
    header = house.caller.service.sender
    body = msgspec.json.encode(register(header, **fields))
    await house.store.put_dlt_record(1, DltRecord(body, 0))
    await house.registers.refresh(house.store)


async def test_text_of_a_template_goes_out_with_what_scrubbers_want_to_know(house: House) -> None:
    await registered(house, chains=(chain("north"),))

    await house.start()
    await house.deliver()

    (outgoing,) = house.routes[0].offered
    told = dict(outgoing.dlt)
    assert (told["pe_id"], told["template_id"]) == (PE, "1107161234567890123")
    assert told["chain"] == "c0c951afca257c5b87c3da535c09112080483f35b7e6faf35e2428b3b526b694"
    assert outgoing.text.startswith(told["var1"])


async def test_text_of_no_template_is_refused_before_it_costs_anything(house: House) -> None:
    await registered(house, text=TEXT.replace("login code", "Login code"))

    with pytest.raises(TemplateMismatch) as refused:
        await house.start()

    assert "At character 21: expected" in refused.value.detail
    assert not any(character.isdigit() for character in refused.value.detail.split("found")[1])
    assert (refused.value.place, refused.value.expected) == (20, "`Login code. Valid for `")
    assert refused.value.found == "login code. Valid for * min. Do "
    assert (await house.all(), house.handed) == ((), [])


async def test_refusal_shows_nothing_of_a_code_with_letters(house: House) -> None:
    await registered(house)

    with pytest.raises(TemplateMismatch) as refused:
        await house.start(code="48ab29")

    assert refused.value.place == 0
    assert refused.value.expected == "a digit or ` is your Acme login code. Valid `"
    assert (refused.value.found or "").startswith("****** is your Acme")


async def test_route_without_an_approved_chain_is_passed_by(house: House) -> None:
    house.use(ScriptedRoute("north"), ScriptedRoute("south"))
    await registered(house, chains=(chain("north", approved=False), chain("south")))

    await house.start()
    await house.deliver()

    (refusal,) = house.told_of(MessageRefused)
    assert (refusal.route, refusal.status, refusal.outcome) == ("north", "chain_not_approved", "dlt_chain")
    assert [len(route.offered) for route in house.routes] == [0, 1]


async def test_text_again_is_held_against_the_register_as_it_is_now(house: House) -> None:
    started = await house.start()
    house.clock.advance(60)
    await registered(house, text=TEXT.replace("login code", "Login code"))
    handed = len(house.handed)

    with pytest.raises(TemplateMismatch):
        await house.resend(started)

    (kept,) = await house.all()
    assert (kept.sends, len(house.handed)) == (started.sends, handed)


async def test_text_of_a_test_key_is_not_asked(house: House) -> None:
    await registered(house, text="{#numeric#} is nothing that we say.")

    assert await house.start(caller=house.caller_of(mode=Mode.TEST))


async def test_tenant_without_a_register_is_not_asked(house: House) -> None:
    await registered(house, text="{#numeric#} is nothing that we say.")

    assert await house.start(caller=house.caller_of(tenant=2))
