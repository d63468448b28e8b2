"""A domain is one tenant's in every store, whoever asks at the same time."""

import asyncio

import pytest
from msgspec.structs import replace

from dastak.core.errors import DomainNotProved, DomainTaken
from dastak.core.ports import Replayed, Store
from dastak.core.tenant import Service
from dastak.tenancy import operators
from dastak.tenancy.domains.domain_rules import DomainGrant
from tests.support.samples import some_once, some_service, some_tenant

AT_ONCE = 20
BANK = "bank.example"


async def owners(store: Store) -> list[int]:
    """Return the tenant of each service that has the domain."""
    return [one.tenant for one in (await store.tenancy()).services if BANK in one.domains]


async def test_of_many_tenants_at_once_one_gets_a_domain(store: Store) -> None:
    tenants = [await store.put_tenant(some_tenant(f"t{n}")) for n in range(AT_ONCE)]
    services = [await operators.create_service(store, some_service(one.n)) for one in tenants]

    came = await asyncio.gather(
        *(operators.change_service(store, replace(one, domains=(BANK,))) for one in services),
        return_exceptions=True,
    )

    given = [one for one in came if isinstance(one, Service)]
    assert len(given) == 1
    assert sum(isinstance(one, DomainTaken) for one in came) == AT_ONCE - 1
    assert await owners(store) == [given[0].tenant]


async def test_of_services_that_are_made_at_once_one_gets_a_domain_and_no_other_is_there(
    store: Store,
) -> None:
    tenants = [await store.put_tenant(some_tenant(f"t{n}")) for n in range(AT_ONCE)]

    came = await asyncio.gather(
        *(operators.create_service(store, some_service(one.n, domains=(BANK,))) for one in tenants),
        return_exceptions=True,
    )

    assert sum(isinstance(one, DomainTaken) for one in came) == AT_ONCE - 1
    assert len((await store.tenancy()).services) == len(await owners(store)) == 1


async def test_refused_domain_changes_nothing_and_keeps_no_answer(store: Store) -> None:
    first, second = [await store.put_tenant(some_tenant(name)) for name in ("first", "second")]
    await operators.create_service(store, some_service(first.n, domains=(BANK,)))
    before, once = await store.tenancy(), some_once(answer=b"201 no")

    for grant, refusal in ((DomainGrant(), DomainTaken), (DomainGrant(proved=frozenset()), DomainNotProved)):
        with pytest.raises(refusal):
            await operators.create_service(
                store, some_service(second.n, domains=(BANK,)), grant=grant, once=once
            )

    assert await store.tenancy() == before
    assert await store.kept(once) is None
    made = await operators.create_service(store, some_service(second.n), once=once)
    assert (made.domains, await store.kept(once)) == ((), Replayed(b"201 no"))


async def test_domain_that_a_tenant_gave_up_may_be_another_ones(store: Store) -> None:
    first, second = [await store.put_tenant(some_tenant(name)) for name in ("first", "second")]
    former = await operators.create_service(store, some_service(first.n, domains=(BANK,)))
    await operators.change_service(store, replace(former, domains=()))

    await operators.create_service(store, some_service(second.n, domains=(BANK,)))

    assert await owners(store) == [second.n]
    with pytest.raises(DomainTaken):
        await operators.change_service(store, former)
