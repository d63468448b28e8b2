"""Whose a domain is: the rule alone."""

import pytest
from msgspec.structs import replace

from dastak.core.errors import DastakError, DomainNotProved, DomainTaken
from dastak.tenancy import operators
from dastak.tenancy.domains.domain_rules import (
    DomainGrant,
    check_domains,
    new_domains,
    own_hosts_of,
    taken_as_it_is,
)
from tests.support.samples import some_service
from tests.support.tenancy_memory import TenancyMemory

OURS = "otp.example.in"
BANK = some_service(1, n=1, domains=("bank.example", OURS))
OPERATORS = DomainGrant(shared=frozenset({OURS}))
ADMINS = replace(OPERATORS, proved=frozenset())


@pytest.mark.parametrize(
    ("tenant", "domains", "grant", "refusal"),
    [
        (2, ("bank.example",), ADMINS, DomainNotProved),
        (2, ("shop.example",), ADMINS, DomainNotProved),
        (2, ("login.bank.example",), ADMINS, DomainNotProved),
        (2, (OURS,), ADMINS, None),
        (2, (OURS, "shop.example"), ADMINS, DomainNotProved),
        (2, ("bank.example",), OPERATORS, DomainTaken),
        (2, ("bank.example",), DomainGrant(proved=frozenset({"bank.example"})), DomainTaken),
        (2, ("shop.example", "bank.example"), OPERATORS, DomainTaken),
        (2, ("shop.example",), OPERATORS, None),
        (2, ("shop.example",), DomainGrant(proved=frozenset({"shop.example"})), None),
        (2, (OURS,), OPERATORS, None),
        (2, ("localhost",), ADMINS, None),
        (1, ("bank.example",), ADMINS, None),
        (2, (), ADMINS, None),
    ],
)
def test_domain_is_given_by_proof_or_an_operator_and_to_one_tenant(
    tenant: int, domains: tuple[str, ...], grant: DomainGrant, refusal: type[DastakError] | None
) -> None:
    wanted = some_service(tenant, "other", domains=domains)

    if refusal is None:
        check_domains(wanted, (BANK,), grant)
    else:
        with pytest.raises(refusal) as refused:
            check_domains(wanted, (BANK,), grant)
        assert getattr(refused.value, "field", None) == "domains"


def test_who_proved_nothing_does_not_learn_that_another_tenant_has_a_domain() -> None:
    told = []
    for services in ((), (BANK,)):
        with pytest.raises(DomainNotProved) as refused:
            check_domains(some_service(2, domains=("bank.example",)), services, ADMINS)
        told.append(refused.value.detail)

    assert told[0] == told[1]


def test_what_two_tenants_had_before_the_rule_both_keep() -> None:
    rival = some_service(2, n=2, domains=("bank.example",))
    services = (BANK, rival)

    check_domains(replace(rival, brand="Rival"), services, ADMINS)
    check_domains(some_service(2, "second", domains=("bank.example",)), services, ADMINS)

    assert new_domains(replace(BANK, brand="Bank"), services) == ()


@pytest.mark.parametrize(
    ("public_url", "hosts"),
    [(None, set()), ("https://otp.example.in/", {OURS}), ("http://a.in:8080", {"a.in"})],
)
def test_host_of_all_pages_is_no_tenants(public_url: str | None, hosts: set[str]) -> None:
    assert own_hosts_of(public_url) == hosts


async def test_domain_from_before_the_rule_is_known_as_such_until_an_operator_names_it() -> None:
    store = TenancyMemory()
    tenant = await operators.create_tenant(store, "rival")
    # As a program before the rule wrote it.
    old = await store.put_service(some_service(tenant.n, domains=("login.bank.in", "localhost")))
    claimed = replace(old, brand="Rival", granted_domains=old.domains)

    by_itself = await operators.change_service(store, claimed, grant=ADMINS)
    by_an_operator = await operators.change_service(store, claimed, grant=OPERATORS)
    opened = await operators.open_country(store, tenant.n, old.name, "US")
    second = await operators.create_service(store, replace(old, name="second"), grant=ADMINS)
    named = await operators.change_service(store, claimed, grant=replace(OPERATORS, confirms=True))

    for kept in (by_itself, by_an_operator, opened, second):
        assert (kept.granted_domains, taken_as_it_is(kept, [kept])) == ((), ("login.bank.in",))
    assert (named.granted_domains, taken_as_it_is(named, [named])) == (("login.bank.in",), ())
    # Another service of the tenant has it as well: nobody has to name it twice.
    beside = replace(named, n=named.n + 1, granted_domains=())
    assert taken_as_it_is(beside, [named, beside]) == ()


async def test_domain_that_was_proved_or_given_is_known_as_such_while_a_service_has_it() -> None:
    store = TenancyMemory()
    tenant = await operators.create_tenant(store, "acme")
    wanted = some_service(tenant.n, domains=("acme.in", OURS))
    proved = await operators.create_service(
        store, wanted, grant=replace(ADMINS, proved=frozenset({"acme.in"}))
    )
    second = some_service(tenant.n, "second", domains=("acme.in", "given.in"))
    made = await operators.create_service(store, second, grant=OPERATORS)
    left = await operators.change_service(store, replace(made, domains=("given.in",)), grant=ADMINS)

    granted = [one.granted_domains for one in (proved, made, left)]

    assert granted == [("acme.in",), ("acme.in", "given.in"), ("given.in",)]
    assert (await store.tenancy()).services == (proved, left)


async def test_domain_that_is_taken_away_is_not_taken_back_by_a_change_of_something_else() -> None:
    store = TenancyMemory()
    tenant = await operators.create_tenant(store, "acme")
    made = await operators.create_service(store, some_service(tenant.n, domains=("acme.in",)))
    await operators.change_service(store, replace(made, domains=()))

    with pytest.raises(DomainNotProved):
        await operators.change_service(store, replace(made, brand="Acme 2"), grant=ADMINS)

    assert (await store.tenancy()).services[0].domains == ()
