"""No operator is in without a second factor and none goes round for ever, whatever the settings say."""

import os
from collections.abc import Mapping
from datetime import timedelta
from typing import Any, cast

import pytest
from msgspec.structs import replace

from dastak.core.errors import InvalidRequest
from dastak.core.ids import digest_of
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import Asker, Entry
from dastak.core.sign_in_state import Device, Stage
from dastak.tenancy.login_changes import change_login
from tests.flow.test_login_ways import ANY, SECRET, Login, passed, password_passed
from tests.support.house import House
from tests.support.samples import MSISDN, NOW

CONSOLE, LOGIN, ACCOUNT = "/console", "/login/operators/console", "/account/operators/console"
HERE = f"{LOGIN}?next=%2Fconsole"
NUMBER: Mapping[str, Any] = {"msisdn": MSISDN, "proved_at": NOW}
REMEMBERED = "d" * 43
WRITTEN = [replace(ANY, required=required, remember_days=30) for required in (True, False)]


class KeptAsTyped:
    """Passwords that are kept as they are typed."""

    async def holds(self, kept: str | None, clear: str, _asker: Asker, _whose: bytes) -> bool:
        return kept == clear

    def is_outdated(self, _kept: str) -> bool:
        return False


def of_operators(house: House) -> House:
    """Have the house be the console."""
    caller = house.caller
    tenant, service = replace(caller.tenant, name="operators"), replace(caller.service, name="console")
    house.caller = replace(caller, tenant=tenant, service=service)
    return house


async def sign_in(login: Login) -> str:
    """Type the password at the login of the console; return where that leads."""
    shown = await login.send(HERE, username="asha", password="the one")
    assert shown.status_code == 303, shown.text
    return shown.headers["location"]


@pytest.mark.parametrize("written", WRITTEN)
async def test_operator_whose_browser_was_remembered_types_a_code_and_is_in(
    house: House, written: LoginSettings
) -> None:
    kept: Any = {"passwords": KeptAsTyped(), "password": "the one", **NUMBER}
    async with password_passed(of_operators(house), written, **kept) as login:
        month = timedelta(days=29)
        device = Device(
            digest=digest_of(REMEMBERED),
            person=login.person.id,
            created_at=NOW,
            expires_at=NOW + month,
            trusted_until=NOW + month,
        )
        inside = passed(login.person, digest=b"earlier", stage=Stage.SIGNED_IN)
        await login.people.enter(Entry(session=inside, device=device))
        login.browser.cookies.set("dastak-device", REMEMBERED, domain="otp.example.in")

        form = await login.get(HERE)
        to = await sign_in(login)
        between = await login.get(CONSOLE)
        on = await login.send(to, do="check", code=house.code(await login.asked()))
        console = await login.get(CONSOLE)

    assert 'name="remember"' not in form.text
    assert to == f"{LOGIN}/code"
    assert (between.status_code, between.headers["location"]) == (303, HERE)
    assert on.headers["location"] == f"{LOGIN}/on?next=%2Fconsole"
    assert console.status_code == 200


@pytest.mark.parametrize("written", WRITTEN)
async def test_operator_without_a_factor_is_led_to_set_one_up(house: House, written: LoginSettings) -> None:
    kept: Any = {"passwords": KeptAsTyped(), "password": "the one"}
    async with password_passed(of_operators(house), written, **kept) as login:
        to = await sign_in(login)
        account = await login.get(to)

    assert to == ACCOUNT
    assert 'value="add-totp"' in account.text or 'value="number"' in account.text


@pytest.mark.parametrize("written", WRITTEN)
@pytest.mark.parametrize("has", [NUMBER, {}])
async def test_session_that_came_by_the_password_alone_is_asked_to_sign_in_and_not_sent_round(
    house: House, written: LoginSettings, has: Mapping[str, Any]
) -> None:
    async with password_passed(of_operators(house), written, **has) as login:
        await login.people.move_session(
            digest_of(SECRET), lambda one: replace(one, stage=Stage.SIGNED_IN, trusted=bool(has))
        )

        console = await login.get(CONSOLE)
        shown = await login.get(console.headers["location"])
        on = await login.get(f"{LOGIN}/on?next=%2Fconsole")

    assert (console.status_code, console.headers["location"]) == (303, HERE)
    assert shown.status_code == 200
    assert 'type="password"' in shown.text
    assert (on.status_code, on.headers["location"]) == (303, HERE)


@pytest.mark.parametrize("field", ["remember_days", "required"])
async def test_settings_that_would_let_an_operator_in_by_the_password_alone_are_refused(
    house: House, field: str
) -> None:
    people = house.store.people
    changes = {"remember_days": 30} if field == "remember_days" else {"required": False}

    async def change(tenant: str, **changes: Any) -> LoginSettings:
        ports = {"sealer": cast(Any, None), "entropy": os.urandom, "private": False}
        return (await change_login(people, tenant, 1, changes, **ports)).settings

    with pytest.raises(InvalidRequest) as refused:
        await change("operators", **changes)
    written = await people.login_of(1)
    strict = await change("operators", remember_days=0, required=True)
    elsewhere = await change("acme", **changes)

    assert refused.value.field == field
    assert written is None
    assert (strict.remember_days, strict.required) == (0, True)
    assert getattr(elsewhere, field) == changes[field]
