from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dastak.core.errors import Forbidden, NotFound, Unauthenticated
from dastak.core.policy import Policy
from dastak.core.ports import Tenancy
from dastak.core.tenant import ApiKey, Caller, Mode, Scope, Service, Tenant
from dastak.tenancy.directory import Directory
from dastak.tenancy.keys import NewKey, make_key
from tests.support.tenancy_memory import TenancyMemory

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
SECOND = timedelta(seconds=1)
ACME = Tenant(n=1, name="acme", daily_spend_cap_micros=0)
BETA = Tenant(n=2, name="beta", daily_spend_cap_micros=0)
LOGIN = Service(n=1, tenant=1, name="login", brand="Acme", policy=Policy())
PAY = Service(n=2, tenant=1, name="pay", brand="Acme", policy=Policy())
BETA_LOGIN = Service(n=3, tenant=2, name="login", brand="Beta", policy=Policy())


def new_key(seed: int = 1, **fields: object) -> NewKey:
    wanted = {
        "tenant": 1,
        "service": 1,
        "mode": Mode.LIVE,
        "scopes": (Scope.START,),
        "name": "app",
        "now": NOW,
        **fields,
    }
    return make_key(entropy=lambda octets: bytes([seed]) * octets, **wanted)


async def directory_of(
    *kept: ApiKey, tenants: tuple[Tenant, ...] = (ACME, BETA), now: datetime = NOW
) -> Directory:
    class Store(TenancyMemory):
        async def tenancy(self) -> Tenancy:
            return Tenancy(0, tenants, (LOGIN, PAY, BETA_LOGIN), kept)

    directory = Directory(lambda: now)
    await directory.refresh(Store())
    return directory


def header(new: NewKey) -> bytes:
    return b"Bearer " + new.text.encode()


async def test_key_names_its_caller() -> None:
    new = new_key(service=2)
    directory = await directory_of(new.key)

    assert directory.caller(header(new)) == Caller(new.key, ACME, PAY)
    assert directory.caller_of_key(new.text.encode()) == Caller(new.key, ACME, PAY)


@pytest.mark.parametrize("written", ["Bearer {}", "bearer {}", "BEARER {}", "Bearer  {} "])
async def test_header_is_read_as_http_writes_it(written: str) -> None:
    new = new_key()
    directory = await directory_of(new.key)

    assert directory.caller(written.format(new.text).encode()).key is new.key


@pytest.mark.parametrize(
    "authorization",
    [None, b"", b"Bearer", b"Bearer ", b"Basic ZDpk", b"{}", b"Bearer{}", b"Token {}", b"Bearer \xff\x00"],
)
async def test_header_without_a_key_is_refused(authorization: bytes | None) -> None:
    new = new_key()
    directory = await directory_of(new.key)
    sent = authorization and authorization.replace(b"{}", new.text.encode())

    with pytest.raises(Unauthenticated) as refused:
        directory.caller(sent)

    assert new.text not in refused.value.detail


async def test_mistyped_key_is_told_from_an_unknown_one() -> None:
    known, unknown = new_key(1), new_key(2)
    directory = await directory_of(known.key)

    with pytest.raises(Unauthenticated, match="mistyped"):
        directory.caller(header(known)[:-1])
    with pytest.raises(Unauthenticated, match="unknown, expired or revoked"):
        directory.caller(header(unknown))


async def test_key_counts_until_it_expires() -> None:
    new = new_key(expires_at=NOW + SECOND)
    in_time = await directory_of(new.key)
    too_late = await directory_of(new.key, now=NOW + SECOND)

    assert in_time.caller(header(new)).key is new.key
    with pytest.raises(Unauthenticated):
        too_late.caller(header(new))


async def test_unknown_expired_and_revoked_keys_get_one_answer() -> None:
    unknown, expired = new_key(1), new_key(2, expires_at=NOW)
    revoked = new_key(3)
    directory = await directory_of(expired.key, msgspec.structs.replace(revoked.key, revoked_at=NOW))

    answers = set()
    for new in (unknown, expired, revoked):
        with pytest.raises(Unauthenticated) as refused:
            directory.caller(header(new))
        answers.add(refused.value.detail)

    assert len(answers) == 1


async def test_suspended_tenant_is_refused_and_others_are_not() -> None:
    acme, beta = new_key(1), new_key(2, tenant=2, service=3)
    suspended = msgspec.structs.replace(ACME, suspended=True)
    directory = await directory_of(acme.key, beta.key, tenants=(suspended, BETA))

    with pytest.raises(Forbidden) as refused:
        directory.caller(header(acme))

    assert refused.value.reason == "tenant_suspended"
    assert directory.caller(header(beta)).tenant == BETA


@pytest.mark.parametrize("fields", [{"tenant": 9}, {"service": 9}, {"service": 3}])
async def test_key_that_points_nowhere_or_across_tenants_opens_nothing(fields: dict[str, int]) -> None:
    new = new_key(**fields)
    directory = await directory_of(new.key)

    with pytest.raises(Unauthenticated):
        directory.caller(header(new))


async def test_service_is_found_by_its_tenant_only() -> None:
    directory = await directory_of()

    assert directory.service(1, "pay") == PAY
    assert directory.service(1, "login") == LOGIN
    assert directory.service(2, "login") == BETA_LOGIN
    assert directory.service_of(3) == BETA_LOGIN
    for tenant, name in ((2, "pay"), (1, "none"), (9, "login")):
        with pytest.raises(NotFound):
            directory.service(tenant, name)
    with pytest.raises(NotFound):
        directory.service_of(9)


async def test_service_without_a_name_is_the_oldest() -> None:
    directory = await directory_of()

    assert (directory.service(1, None), directory.service(2, None)) == (LOGIN, BETA_LOGIN)
    with pytest.raises(NotFound):
        directory.service(9, None)


async def test_empty_directory_knows_nobody() -> None:
    with pytest.raises(Unauthenticated):
        Directory(lambda: NOW).caller(header(new_key()))


async def test_refresh_reads_all_only_when_something_changed() -> None:
    store, directory, new = TenancyMemory(), Directory(lambda: NOW), new_key()
    changed = [await directory.refresh(store)]
    await store.put_tenant(msgspec.structs.replace(ACME, n=0))
    await store.put_service(msgspec.structs.replace(LOGIN, n=0))
    await store.put_key(new.key)
    changed += [await directory.refresh(store) for _ in range(3)]

    assert changed == [True, True, False, False]
    assert store.reads == 2
    assert directory.caller(header(new)).tenant == ACME


async def test_revoked_key_ends_with_the_next_refresh() -> None:
    store, directory, new = TenancyMemory(), Directory(lambda: NOW), new_key()
    await store.put_tenant(msgspec.structs.replace(ACME, n=0))
    await store.put_service(msgspec.structs.replace(LOGIN, n=0))
    await store.put_key(new.key)
    await directory.refresh(store)
    directory.caller(header(new))

    await store.put_key(msgspec.structs.replace(new.key, revoked_at=NOW))
    await directory.refresh(store)

    with pytest.raises(Unauthenticated):
        directory.caller(header(new))


async def test_directory_keeps_no_key_text() -> None:
    new = new_key()
    directory = await directory_of(new.key)
    directory.caller(header(new))
    view = directory._view

    kept = repr([view.tenancy, view.callers, view.services, view.named])
    assert new.text not in kept
    assert new.text[len("dk_live_") + 12 :] not in kept


async def test_sender_names_the_tenants_that_write_as_it_however_carriers_spell_it() -> None:
    class Store(TenancyMemory):
        async def tenancy(self) -> Tenancy:
            shared, own = msgspec.structs.replace(PAY, sender="56161"), LOGIN
            beta = msgspec.structs.replace(BETA_LOGIN, sender="56161")
            return Tenancy(0, (ACME, BETA), (msgspec.structs.replace(own, sender="ACMEOT"), shared, beta), ())

    directory = Directory(lambda: NOW)
    nobody = directory.owners_of("ACMEOT")
    await directory.refresh(Store())

    assert nobody == set()
    assert directory.owners_of("VM-ACMEOT-S") == {1}
    assert directory.owners_of("+56161") == {1, 2}
    assert directory.owners_of("OTHERS") == set()
