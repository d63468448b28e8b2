import itertools
from datetime import UTC, datetime, timedelta

import msgspec
import pytest

from dastak.core.errors import Conflict, Forbidden, InvalidRequest, NotFound, Unauthenticated
from dastak.core.msisdn import Msisdn
from dastak.core.policy import Policy
from dastak.core.tenant import Mode, Scope, Service, Tenant
from dastak.tenancy import issuance, operators
from dastak.tenancy.directory import Directory
from dastak.tenancy.issuance import WantedKey, create_key, revoke_key, rotate_key
from dastak.tenancy.keys import NewKey, read_key
from dastak.tenancy.service_rules import check_service
from tests.support.tenancy_memory import TenancyMemory

NOW = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = timedelta(days=1)
SERVICE = Service(n=0, tenant=1, name="login", brand="Acme", policy=Policy())

_seeds = itertools.count(1)


def entropy(octets: int) -> bytes:
    return next(_seeds).to_bytes(octets)


@pytest.fixture
async def store() -> TenancyMemory:
    made = TenancyMemory()
    await operators.ensure_default(made)
    return made


async def key_of(store: TenancyMemory, name: str = "app", **fields: object) -> NewKey:
    return await create_key(store, 1, WantedKey(name=name, **fields), maker=None, now=NOW, entropy=entropy)


async def counts(store: TenancyMemory, new: NewKey, now: datetime) -> bool:
    directory = Directory(lambda: now)
    await directory.refresh(store)
    try:
        directory.caller(b"Bearer " + new.text.encode())
    except Unauthenticated:
        return False
    return True


async def test_fresh_installation_has_one_tenant_one_service_and_one_country(store: TenancyMemory) -> None:
    again = await operators.ensure_default(store)
    tenancy = await store.tenancy()

    assert [tenant.name for tenant in tenancy.tenants] == ["default"]
    assert tenancy.services == (again,)
    assert (again.name, again.countries, again.policy) == ("default", ("IN",), Policy())
    assert check_service(again) == again


async def test_tenant_is_made_and_changed(store: TenancyMemory) -> None:
    acme = await operators.create_tenant(store, "acme", daily_spend_cap_micros=5)

    changed = [
        await operators.change_tenant(store, acme.n, suspended=True),
        await operators.change_tenant(store, acme.n, daily_spend_cap_micros=0),
        await operators.change_tenant(store, acme.n, suspended=False),
    ]

    assert [(tenant.suspended, tenant.daily_spend_cap_micros) for tenant in changed] == [
        (True, 5),
        (True, 0),
        (False, 0),
    ]
    with pytest.raises(Conflict):
        await operators.create_tenant(store, "acme")
    with pytest.raises(NotFound):
        await operators.change_tenant(store, 99, suspended=True)


@pytest.mark.parametrize("cap", [-1, 2**53])
async def test_spend_cap_is_within_what_json_can_tell(store: TenancyMemory, cap: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await operators.create_tenant(store, "acme", daily_spend_cap_micros=cap)

    assert refused.value.field == "daily_spend_cap_micros"


@pytest.mark.parametrize("name", ["", "-a", "a-", "A", "a b", "a_b", "a\n", "é", "a" * 41, "a/b", "१"])
async def test_names_are_slugs(store: TenancyMemory, name: str) -> None:
    with pytest.raises(InvalidRequest):
        await operators.create_tenant(store, name)
    with pytest.raises(InvalidRequest):
        await operators.create_service(store, msgspec.structs.replace(SERVICE, name=name))
    with pytest.raises(InvalidRequest):
        await key_of(store, name)


@pytest.mark.parametrize("name", ["a", "0", "a-b", "a--b", "a" * 40, "42"])
async def test_slugs_are_names(store: TenancyMemory, name: str) -> None:
    assert (await operators.create_tenant(store, name)).name == name


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"brand": ""}, "brand"),
        ({"brand": "Acme\nInc"}, "brand"),
        ({"brand": "Pаytm"}, "brand"),  # with a Cyrillic letter
        ({"sender": ""}, "sender"),
        ({"sender": "TWELVELETTER"}, "sender"),
        ({"sender": "AC\nME"}, "sender"),
        ({"sender": "ÄCME"}, "sender"),
        ({"sender": "1" * 16}, "sender"),
        ({"locale": "xx"}, "locale"),
        ({"countries": ("in",)}, "countries"),
        ({"countries": ("IN", "XX")}, "countries"),
        ({"countries": ("001",)}, "countries"),
        ({"domains": ("http://acme.in",)}, "domains"),
        ({"domains": tuple(f"a{n}.in" for n in range(21))}, "domains"),
        ({"team_numbers": (Msisdn("9876543210"),)}, "team_numbers"),
        ({"team_numbers": tuple(Msisdn(f"+9198765432{n:02}") for n in range(51))}, "team_numbers"),
        ({"policy": Policy(length=4)}, "length"),
    ],
)
async def test_service_with_something_wrong_is_refused(
    store: TenancyMemory, fields: dict[str, object], field: str
) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await operators.create_service(store, msgspec.structs.replace(SERVICE, **fields))

    assert refused.value.field == field


@pytest.mark.parametrize(
    "sender", ["ACMEIN", "Acme Bank", "A-B.C", "X", "56767", "+919876543210", "12345678901"]
)
def test_senders_are_names_or_numbers(sender: str) -> None:
    assert check_service(msgspec.structs.replace(SERVICE, sender=sender)).sender == sender


async def test_service_keeps_lists_in_order_and_each_entry_once(store: TenancyMemory) -> None:
    service = await operators.create_service(
        store,
        msgspec.structs.replace(
            SERVICE,
            n=77,
            countries=("IN", "GB", "IN"),
            domains=("b.in", "a.in"),
            team_numbers=(Msisdn("+919876543210"), Msisdn("+447400123456"), Msisdn("+919876543210")),
        ),
    )

    assert service.n == 2
    assert service.countries == ("GB", "IN")
    assert service.domains == ("a.in", "b.in")
    assert service.team_numbers == ("+447400123456", "+919876543210")


async def test_service_belongs_to_a_tenant_and_is_changed_under_its_name(store: TenancyMemory) -> None:
    made = await operators.create_service(store, SERVICE)
    changed = await operators.change_service(store, msgspec.structs.replace(SERVICE, brand="Acme Bank"))

    assert changed == msgspec.structs.replace(made, brand="Acme Bank")
    for wrong in (
        msgspec.structs.replace(SERVICE, tenant=9),
        msgspec.structs.replace(SERVICE, name="other"),
    ):
        with pytest.raises(NotFound):
            await operators.change_service(store, wrong)
    with pytest.raises(NotFound):
        await operators.create_service(store, msgspec.structs.replace(SERVICE, tenant=9))
    with pytest.raises(Conflict):
        await operators.create_service(store, SERVICE)


async def test_tenant_has_a_bounded_number_of_services(
    store: TenancyMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(operators, "SERVICES_MAX", 2)
    await operators.create_service(store, SERVICE)

    with pytest.raises(Conflict, match="at most 2"):
        await operators.create_service(store, msgspec.structs.replace(SERVICE, name="third"))


async def test_country_is_opened_and_closed(store: TenancyMemory) -> None:
    async def countries() -> tuple[str, ...]:
        return (await store.tenancy()).services[0].countries

    await operators.open_country(store, 1, "default", "GB")
    await operators.open_country(store, 1, "default", "GB")
    opened = await countries()
    await operators.close_country(store, 1, "default", "IN")
    await operators.close_country(store, 1, "default", "IN")

    assert (opened, await countries()) == (("GB", "IN"), ("GB",))
    for act in (operators.open_country, operators.close_country):
        with pytest.raises(InvalidRequest):
            await act(store, 1, "default", "ZZ")
        with pytest.raises(NotFound):
            await act(store, 2, "default", "GB")


async def test_created_key_counts_at_once_and_is_kept_without_its_text(store: TenancyMemory) -> None:
    new = await key_of(store, mode=Mode.LIVE, scopes=(Scope.READ, Scope.START))
    kept = (await store.tenancy()).keys

    assert kept == (new.key,)
    assert read_key(new.text) == (Mode.LIVE, new.key.id, new.key.digest)
    assert new.key.scopes == (Scope.START, Scope.READ)
    assert new.text not in repr(kept)
    assert await counts(store, new, NOW)


async def test_plain_key_is_a_test_key_for_an_application(store: TenancyMemory) -> None:
    new = await key_of(store)

    assert (new.key.mode, new.key.scopes) == (Mode.TEST, (Scope.START, Scope.CHECK, Scope.READ))


async def test_key_needs_a_tenant_a_service_and_time(store: TenancyMemory) -> None:
    with pytest.raises(NotFound):
        await create_key(store, 9, WantedKey(name="app"), maker=None, now=NOW, entropy=entropy)
    with pytest.raises(NotFound):
        await key_of(store, service="none")
    with pytest.raises(InvalidRequest):
        await key_of(store, expires_at=NOW)
    with pytest.raises(InvalidRequest):
        await key_of(store, scopes=())

    assert (await store.tenancy()).keys == ()


async def test_live_name_is_taken_within_its_mode(store: TenancyMemory) -> None:
    first = await key_of(store)
    await key_of(store, mode=Mode.LIVE)
    with pytest.raises(Conflict, match="rotate"):
        await key_of(store)

    await revoke_key(store, 1, first.key.id, now=NOW)

    assert await counts(store, await key_of(store), NOW)


async def test_tenant_has_a_bounded_number_of_live_keys(
    store: TenancyMemory, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(issuance, "LIVE_KEYS_MAX", 2)
    first, _ = [await key_of(store, name) for name in ("a", "b")]
    with pytest.raises(Conflict, match="at most 2"):
        await key_of(store, "c")

    await revoke_key(store, 1, first.key.id, now=NOW)

    await key_of(store, "c")


async def test_no_key_makes_one_that_reaches_further(store: TenancyMemory) -> None:
    admin = (await key_of(store, "admin", mode=Mode.TEAM, scopes=(Scope.ADMIN,))).key

    for wanted in (WantedKey(name="x", mode=Mode.LIVE), WantedKey(name="x", scopes=(Scope.OPERATOR,))):
        with pytest.raises(Forbidden):
            await create_key(store, 1, wanted, maker=admin, now=NOW, entropy=entropy)
    made = await create_key(
        store, 1, WantedKey(name="x", mode=Mode.TEAM), maker=admin, now=NOW, entropy=entropy
    )

    assert made.key.mode is Mode.TEAM


async def test_rotation_overlaps_and_then_only_the_new_key_counts(store: TenancyMemory) -> None:
    old = await key_of(store)
    new = await rotate_key(store, 1, old.key.id, overlap=DAY, maker=None, now=NOW, entropy=entropy)

    both = [(await counts(store, key, NOW + DAY / 2)) for key in (old, new)]
    after = [(await counts(store, key, NOW + DAY)) for key in (old, new)]

    assert (both, after) == ([True, True], [False, True])
    assert new.key.name == old.key.name


async def test_name_never_has_three_live_keys(store: TenancyMemory) -> None:
    old = await key_of(store)
    new = await rotate_key(store, 1, old.key.id, overlap=DAY, maker=None, now=NOW, entropy=entropy)
    for key in (old, new):
        with pytest.raises(Conflict):
            await rotate_key(store, 1, key.key.id, overlap=DAY, maker=None, now=NOW, entropy=entropy)

    third = await rotate_key(store, 1, new.key.id, overlap=DAY, maker=None, now=NOW + DAY, entropy=entropy)

    assert [await counts(store, key, NOW + DAY) for key in (old, new, third)] == [False, True, True]


async def test_rotation_without_overlap_ends_the_old_key_now(store: TenancyMemory) -> None:
    old = await key_of(store)
    new = await rotate_key(store, 1, old.key.id, overlap=timedelta(0), maker=None, now=NOW, entropy=entropy)

    assert [await counts(store, key, NOW) for key in (old, new)] == [False, True]


async def test_key_that_reaches_further_is_not_rotated(store: TenancyMemory) -> None:
    admin = (await key_of(store, "admin", scopes=(Scope.ADMIN,))).key
    live = await key_of(store, mode=Mode.LIVE)

    with pytest.raises(Forbidden):
        await rotate_key(store, 1, live.key.id, overlap=DAY, maker=admin, now=NOW, entropy=entropy)


async def test_revoked_key_ends_and_stays_as_it_was_revoked(store: TenancyMemory) -> None:
    new = await key_of(store)
    first = await revoke_key(store, 1, new.key.id, now=NOW)
    second = await revoke_key(store, 1, new.key.id, now=NOW + DAY)

    assert first == second == msgspec.structs.replace(new.key, revoked_at=NOW)
    assert not await counts(store, new, NOW)
    with pytest.raises(Conflict):
        await rotate_key(store, 1, new.key.id, overlap=DAY, maker=None, now=NOW, entropy=entropy)


async def test_key_of_another_tenant_is_not_found(store: TenancyMemory) -> None:
    beta: Tenant = await operators.create_tenant(store, "beta")
    new = await key_of(store)

    with pytest.raises(NotFound):
        await revoke_key(store, beta.n, new.key.id, now=NOW)
    with pytest.raises(NotFound):
        await rotate_key(store, beta.n, new.key.id, overlap=DAY, maker=None, now=NOW, entropy=entropy)
    assert await counts(store, new, NOW)
