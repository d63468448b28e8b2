"""How strong a login must be for a request: each client, each wish, each login."""

import pytest

from dastak.core.oidc import LoginWay, amr_of
from dastak.core.oidc_acr import (
    ACR_PHONE,
    ACR_TWO_FACTORS,
    AcrWanted,
    acr_of,
    suffices,
    way_for,
    who_by_password,
)
from dastak.core.policy import Channel
from tests.support.oidc_samples import some_login

PHONE, BOTH = LoginWay
TWO = ("pwd", "otp", "sms", "mfa")


def test_strength_of_a_login_is_told_as_it_was() -> None:
    assert acr_of(amr_of(Channel.VOICE)) == ACR_PHONE
    assert acr_of(("pwd",)) == ACR_PHONE
    assert acr_of(TWO) == ACR_TWO_FACTORS


@pytest.mark.parametrize(
    ("registered", "values", "has_passwords", "way"),
    [
        (PHONE, (), True, PHONE),
        (PHONE, (ACR_TWO_FACTORS,), True, BOTH),
        (PHONE, (ACR_TWO_FACTORS, ACR_PHONE), True, BOTH),
        (PHONE, (ACR_PHONE, ACR_TWO_FACTORS), True, PHONE),
        (PHONE, (ACR_TWO_FACTORS, ACR_PHONE), False, PHONE),
        (PHONE, ("x", ACR_TWO_FACTORS), True, BOTH),
        (BOTH, (), True, BOTH),
        (BOTH, (ACR_TWO_FACTORS,), True, BOTH),
        (BOTH, (ACR_PHONE, ACR_TWO_FACTORS), True, BOTH),
    ],
)
@pytest.mark.parametrize("essential", [False, True])
def test_wish_that_can_be_met_is_met(
    registered: LoginWay, values: tuple[str, ...], has_passwords: bool, way: LoginWay, essential: bool
) -> None:
    assert way_for(registered, AcrWanted(values, essential), has_passwords=has_passwords) is way


@pytest.mark.parametrize(
    ("registered", "values", "has_passwords"),
    [(PHONE, ("x",), True), (PHONE, (ACR_TWO_FACTORS,), False), (BOTH, (ACR_PHONE,), True)],
)
def test_what_cannot_be_met_is_passed_over_unless_it_is_essential(
    registered: LoginWay, values: tuple[str, ...], has_passwords: bool
) -> None:
    wish, must = AcrWanted(values), AcrWanted(values, essential=True)

    assert way_for(registered, wish, has_passwords=has_passwords) is registered
    assert way_for(registered, must, has_passwords=has_passwords) is None


@pytest.mark.parametrize(
    ("amr", "number", "who"),
    [
        (TWO, "+919876543210", "tel:+919876543210"),
        (("pwd", "otp", "tel", "mfa"), "+919876543210", "tel:+919876543210"),
        (("pwd", "otp", "mfa"), "+919876543210", "person:aa"),
        (("pwd",), "+919876543210", "person:aa"),
        (TWO, None, "person:aa"),
    ],
)
def test_number_is_who_somebody_is_only_with_its_phone_in_their_hands(
    amr: tuple[str, ...], number: str | None, who: str
) -> None:
    assert who_by_password(PHONE, "aa", number, amr) == who
    assert who_by_password(BOTH, "aa", number, amr) == "person:aa"


@pytest.mark.parametrize(
    ("amr", "who", "by_phone_client", "by_password_client"),
    [
        (TWO, "tel:+919876543210", True, True),
        (("pwd", "otp", "mfa"), "person:aa", False, True),
        (("pwd",), "person:aa", False, False),
        (("otp", "sms"), "tel:+919876543210", False, False),
    ],
)
def test_password_alone_or_code_alone_do_not_suffice_for_both(
    amr: tuple[str, ...], who: str, by_phone_client: bool, by_password_client: bool
) -> None:
    login = some_login(amr=amr, who=who)

    assert suffices(login, PHONE, BOTH) is by_phone_client
    assert suffices(login, BOTH, BOTH) is by_password_client
    assert suffices(login, PHONE, PHONE)
