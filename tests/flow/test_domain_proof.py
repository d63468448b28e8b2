"""A tenant proves a domain by a line in a file there, and by nothing else."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Collection
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from msgspec.structs import replace

from dastak.core.codes import KeyRing
from dastak.core.errors import DomainNotProved, InvalidRequest, Overloaded
from dastak.core.tenant import Caller, Scope
from dastak.tenancy.domains import domain_proof
from dastak.tenancy.domains.domain_proof import DomainProofs, line_of
from dastak.tenancy.domains.domain_rules import DomainGrant
from dastak.tenancy.host_lookup import HostLookup
from dastak.tenancy.signed_request import ANSWER_OCTETS_MAX, GuardedSender
from tests.support.authority import Authority
from tests.support.house import FakeClock
from tests.support.samples import RING, some_key, some_service, some_tenant

BANK, INNER = "bank.example", "127.0.0.1"
LINE = line_of(RING.key(RING.current), 1, BANK)


class Site:
    """Serves one file, whatever is asked for.

    Attributes:
        body, status, head: What it answers; None for the body is never.
        asked: The first lines and the hosts of the requests.
        came: Set by each request.
    """

    def __init__(self) -> None:
        self.body: bytes | None = b""
        self.status, self.head = 200, ""
        self.asked: list[tuple[str, str]] = []
        self.came = asyncio.Event()
        self.over = asyncio.Event()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """Answer one request; none came where somebody hung up."""
        try:
            first, *head = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
        except (asyncio.IncompleteReadError, ConnectionError):
            return
        hosts = [line.partition(": ")[2] for line in head if line.lower().startswith("host: ")]
        self.asked.append((first, *hosts))
        self.came.set()
        if self.body is None:
            await self.over.wait()
        else:
            begin = f"HTTP/1.1 {self.status} X\r\nconnection: close\r\ncontent-length: {len(self.body)}\r\n"
            writer.write(f"{begin}{self.head}\r\n".encode() + self.body)
        writer.close()


@asynccontextmanager
async def serving(monkeypatch: pytest.MonkeyPatch, tls: ssl.SSLContext | None = None) -> AsyncIterator[Site]:
    """Serve every domain on a free port of this machine."""
    site = Site()
    server = await asyncio.start_server(site.serve, INNER, 0, ssl=tls)
    port = server.sockets[0].getsockname()[1]
    begin = f"{'http' if tls is None else 'https'}://{{domain}}:{port}"
    address = domain_proof.ADDRESS.replace("https://{domain}", begin)
    monkeypatch.setattr(domain_proof, "ADDRESS", address)
    async with server:
        yield site
        site.over.set()


@pytest.fixture
async def site(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Site]:
    async with serving(monkeypatch) as running:
        yield running


def proofs(keys: KeyRing = RING, **said: Any) -> DomainProofs:
    """Return what asks the site for every domain."""
    lookup = HostLookup(lambda _host, _port: [INNER])
    return DomainProofs(keys, GuardedSender(FakeClock(), private=True, lookup=lookup), **said)


def caller(tenant: int = 1, *scopes: Scope) -> Caller:
    key = some_key(tenant=tenant, scopes=scopes or (Scope.ADMIN,))
    return Caller(key, replace(some_tenant(), n=tenant), some_service(tenant))


async def grant(asking: DomainProofs, *domains: str, tenant: int = 1) -> DomainGrant:
    return await asking.grant(caller(tenant), some_service(tenant, domains=domains), ())


async def test_tenant_is_told_a_line_and_given_the_domain_when_it_stands_there(site: Site) -> None:
    with pytest.raises(DomainNotProved) as refused:
        await grant(proofs(), BANK)
    site.body = f"# of our OTPs\r\n{LINE}\r\n".encode()

    given = await grant(proofs(), BANK)

    assert LINE in refused.value.detail
    assert f"//{BANK}" in refused.value.detail
    assert given == DomainGrant(proved=frozenset({BANK}))
    port = domain_proof.ADDRESS.split(":")[2].partition("/")[0]
    assert site.asked == [("GET /.well-known/dastak-domain HTTP/1.1", f"{BANK}:{port}")] * 2


OTHER_RING = KeyRing(current=1, keys={1: bytes(range(100, 132))})


@pytest.mark.parametrize(
    "body",
    [
        b"",
        line_of(RING.key(2), 2, BANK).encode(),
        line_of(RING.key(2), 1, "shop.example").encode(),
        line_of(OTHER_RING.key(1), 1, BANK).encode(),
        b"x" + LINE.encode(),
        LINE.encode() + b"0",
        LINE[:-1].encode(),
        b"<a>" + LINE.encode() + b"</a>",
        LINE.encode() + b"\n" + b"x" * ANSWER_OCTETS_MAX,
        b"\xff\xfe" + LINE.encode(),
    ],
)
async def test_any_other_file_proves_nothing(site: Site, body: bytes) -> None:
    site.body = body

    with pytest.raises(DomainNotProved):
        await grant(proofs(), BANK)


@pytest.mark.parametrize("status", [201, 206, 301, 302, 404, 500])
async def test_only_an_answer_with_status_200_proves(site: Site, status: int) -> None:
    site.body, site.status = LINE.encode(), status
    site.head = f"location: http://{BANK}/elsewhere\r\n"

    with pytest.raises(DomainNotProved):
        await grant(proofs(), BANK)

    assert len(site.asked) == 1


async def test_line_of_a_key_that_is_kept_goes_on_to_prove_after_a_rotation(site: Site) -> None:
    site.body = line_of(RING.key(1), 1, BANK).encode()

    assert await grant(proofs(), BANK) == DomainGrant(proved=frozenset({BANK}))


async def test_tenant_that_names_a_domain_from_before_the_rule_confirms_nothing(site: Site) -> None:
    had = some_service(1, domains=(BANK,))

    given = await proofs().grant(caller(), had, (had,), named=True)

    assert given == DomainGrant(proved=frozenset())
    assert site.asked == []


async def test_each_new_domain_is_proved_and_one_that_the_tenant_has_is_not_asked_about(site: Site) -> None:
    site.body = LINE.encode()
    had = some_service(1, domains=("acme.in",))
    wanted = some_service(1, "second", domains=("acme.in", BANK, "localhost"))

    given = await proofs().grant(caller(), wanted, (had,))
    with pytest.raises(DomainNotProved, match=r"`shop\.example`"):
        await proofs().grant(caller(), replace(wanted, domains=(BANK, "shop.example")), (had,))

    assert given == DomainGrant(proved=frozenset({BANK}))
    assert [host.partition(":")[0] for _, host in site.asked] == [BANK, BANK, "shop.example"]


async def test_lines_of_all_domains_that_are_not_proved_are_told_at_once(site: Site) -> None:
    site.body = LINE.encode()
    missing = ("login.shop.example", "shop.example")

    with pytest.raises(DomainNotProved) as refused:
        await grant(proofs(), BANK, *missing)

    told = refused.value.detail
    assert all(f"{line_of(RING.key(2), 1, one)} into http://{one}:" in told for one in missing)
    assert BANK not in told


async def test_operator_and_sandbox_are_asked_nothing(site: Site) -> None:
    wanted = some_service(2, domains=(BANK,))

    operator = await proofs(shared={"otp.in"}).grant(caller(1, Scope.OPERATOR), wanted, ())
    sandbox = await proofs(asked=False).grant(caller(2), wanted, ())
    naming = await proofs().grant(caller(1, Scope.OPERATOR), wanted, (), named=True)

    assert naming == DomainGrant(confirms=True)
    assert (operator, sandbox) == (DomainGrant(shared=frozenset({"otp.in"})), DomainGrant())
    assert site.asked == []


async def test_host_of_all_pages_is_given_to_every_tenant_and_nobody_is_asked_there(site: Site) -> None:
    asking = proofs(shared={"otp.in"})

    given = [await grant(asking, "otp.in", tenant=tenant) for tenant in (1, 2)]
    with pytest.raises(DomainNotProved, match=rf"`{BANK}`"):
        await grant(asking, "otp.in", BANK)

    assert given == [DomainGrant(proved=frozenset(), shared=frozenset({"otp.in"}))] * 2
    assert [host.partition(":")[0] for _, host in site.asked] == [BANK]


async def test_what_is_no_host_is_refused_before_anybody_is_asked(site: Site) -> None:
    for domain in ("bank.example/x", "a@bank.example", "127.0.0.1", "bank.example:8080", "[::1]"):
        with pytest.raises(InvalidRequest):
            await grant(proofs(), domain)

    assert site.asked == []


async def test_host_with_an_inner_address_is_not_connected_to(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.body = LINE.encode()
    port = int(domain_proof.ADDRESS.split(":")[2].partition("/")[0])
    monkeypatch.setattr("dastak.tenancy.signed_request.PORTS", (port,))
    monkeypatch.setattr(domain_proof, "ADDRESS", domain_proof.ADDRESS.replace("http:", "https:"))
    lookup = HostLookup(lambda _host, _port: [INNER])
    asking = DomainProofs(RING, GuardedSender(FakeClock(), private=False, lookup=lookup))

    with pytest.raises(DomainNotProved):
        await grant(asking, BANK)

    assert site.asked == []


@pytest.mark.parametrize(
    ("domain", "trusted", "proved"),
    [("smsc.test", True, True), ("smsc.test", False, False), (BANK, True, False)],
)
async def test_certificate_is_one_that_is_trusted_and_of_the_domain(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, domain: str, trusted: bool, proved: bool
) -> None:
    authority = Authority.make(tmp_path / "authority")
    authority.issue("site")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(authority.path("site.pem"), authority.path("site.key"))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", authority.path("ca.pem"))
    async with serving(monkeypatch, context) as site:
        site.body = line_of(RING.key(2), 1, domain).encode()

        came = await asyncio.gather(grant(proofs(), domain), return_exceptions=True)

    assert [type(one) for one in came] == [DomainGrant if proved else DomainNotProved]
    assert len(site.asked) == proved


async def test_sites_that_never_answer_are_given_up_and_are_few_at_once(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.body = None
    monkeypatch.setattr(domain_proof, "AT_ONCE_MAX", 1)
    asking = proofs()
    waiting = asyncio.create_task(grant(asking, BANK, "shop.example"))
    await site.came.wait()

    for tenant in (1, 2):
        with pytest.raises(Overloaded):
            await grant(asking, BANK, tenant=tenant)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    monkeypatch.setattr(domain_proof, "WITHIN_S", 0.05)
    with pytest.raises(DomainNotProved):
        await grant(asking, BANK)


async def test_tenant_whose_site_never_answers_keeps_nobody_but_itself_from_proving(site: Site) -> None:
    site.body, asking = None, proofs()
    waiting = asyncio.create_task(grant(asking, "shop.example"))
    await site.came.wait()
    # As many as may be under way in all.
    again = [grant(asking, f"{n}.shop.example") for n in range(domain_proof.AT_ONCE_MAX)]
    refused = await asyncio.gather(*again, return_exceptions=True)
    site.body = line_of(RING.key(2), 2, BANK).encode()

    given = await grant(asking, BANK, tenant=2)
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    site.body = LINE.encode()

    assert {type(one) for one in refused} == {Overloaded}
    assert given == await grant(asking, BANK) == DomainGrant(proved=frozenset({BANK}))


async def test_no_other_domain_is_looked_at_when_the_time_is_over(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: list[str] = []

    def look(host: str, _port: int) -> list[str]:
        looked.append(host)
        return [INNER]

    site.body = None
    monkeypatch.setattr(domain_proof, "WITHIN_S", 0.05)
    asking = DomainProofs(RING, GuardedSender(FakeClock(), private=True, lookup=HostLookup(look)))

    with pytest.raises(DomainNotProved, match=r"`bank\.example` is not proved") as told:
        await grant(asking, BANK, "shop.example")

    assert looked == [BANK]
    assert "no time to look at `shop.example`" in told.value.detail


async def test_domain_that_nobody_had_time_to_look_at_is_not_proved_by_the_one_before_it(
    site: Site, monkeypatch: pytest.MonkeyPatch
) -> None:
    site.body = LINE.encode()
    asking = proofs()
    lines_at = asking._lines_at

    async def slowly(domain: str, late_at: float) -> Collection[str]:
        found = await lines_at(domain, late_at)
        # It came just before the time was over.
        monkeypatch.setattr(asyncio.get_running_loop(), "time", lambda: late_at + 1.0)
        return found

    monkeypatch.setattr(asking, "_lines_at", slowly)
    with pytest.raises(DomainNotProved, match=r"no time to look at `shop\.example`"):
        await grant(asking, BANK, "shop.example")


def test_file_is_fetched_by_https_from_the_domain_itself() -> None:
    assert domain_proof.ADDRESS.format(domain=BANK) == f"https://{BANK}/.well-known/dastak-domain"
