"""The doctor outside: carriers are really bound, and the certificate of the public address is really read."""

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random

import pytest
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from dastak.commands.doctor import Finding
from dastak.simulator.faults import FaultScript
from dastak.simulator.smsc import Account, Smsc
from tests.support.installed import AIRTEL, Installation


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "installed")


@contextlib.asynccontextmanager
async def carrier() -> AsyncIterator[int]:
    smsc = Smsc(
        [Account(system_id="ACME", password="s3cret-7")],
        on_message=lambda _: None,
        faults=FaultScript(Random(1)),
    )
    async with smsc:
        yield smsc.port


@pytest.mark.parametrize(("password", "status"), [("s3cret-7", "ok"), ("s3cret-8", "failed")])
def test_a_carrier_is_really_bound(installation: Installation, password: str, status: str) -> None:
    async def bind() -> Finding:
        async with carrier() as port:
            installation.add(AIRTEL.format(port=port, password=password))
            return (await asyncio.to_thread(installation.examine))["carriers.bind"]

    finding = asyncio.run(bind())

    assert finding.status == status
    assert password not in finding.what


@pytest.mark.parametrize(("password", "status"), [("s3cret-7", "ok"), ("s3cret-8", "failed")])
def test_a_carrier_of_the_database_is_really_bound(
    installation: Installation, password: str, status: str
) -> None:
    async def bind() -> Finding:
        async with carrier() as port:
            await asyncio.to_thread(installation.add_stored, port=port, password=password)
            return (await asyncio.to_thread(installation.examine))["carriers.bind"]

    finding = asyncio.run(bind())

    assert finding.status == status
    assert password not in finding.what
    assert finding.command in ("", "dastak carrier test airtel")


@pytest.fixture
def certified(tmp_path: Path) -> Callable[[timedelta], tuple[ssl.SSLContext, Path]]:
    """Make a server's TLS for localhost, and the file that trusts it."""

    def certify(life: timedelta) -> tuple[ssl.SSLContext, Path]:
        key = ec.generate_private_key(ec.SECP256R1())
        name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
        now = datetime.now(UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(name)
            .issuer_name(name)
            .public_key(key.public_key())
            .serial_number(1)
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + life)
            .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
            .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
            .sign(key, hashes.SHA256())
        )
        shown, private = tmp_path / "certificate.pem", tmp_path / "private.pem"
        shown.write_bytes(certificate.public_bytes(serialization.Encoding.PEM))
        private.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.PKCS8,
                serialization.NoEncryption(),
            )
        )
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(shown, private)
        return context, shown

    return certify


@pytest.mark.parametrize(
    ("days", "trusted", "status", "words"),
    [
        (90, True, "ok", ""),
        (3, True, "warning", "ends on"),
        (90, False, "failed", "is not valid"),
    ],
)
def test_the_certificate_of_the_public_address_is_looked_at(
    installation: Installation,
    certified: Callable[[timedelta], tuple[ssl.SSLContext, Path]],
    monkeypatch: pytest.MonkeyPatch,
    days: int,
    trusted: bool,
    status: str,
    words: str,
) -> None:
    context, shown = certified(timedelta(days=days))
    if trusted:
        monkeypatch.setenv("SSL_CERT_FILE", str(shown))

    async def look() -> Finding:
        server = await asyncio.start_server(hang_up, "127.0.0.1", 0, ssl=context)
        async with server:
            installation.set_public_url(f"https://localhost:{server.sockets[0].getsockname()[1]}")
            return (await asyncio.to_thread(installation.examine))["web.certificate"]

    # This loop closes at its end what a handshake that failed leaves open.
    finding = uvloop.run(look())

    assert finding.status == status
    assert words in finding.what


async def hang_up(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


def test_a_public_address_that_nobody_answers_is_found(installation: Installation) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
    installation.set_public_url(f"https://localhost:{port}")

    finding = installation.examine()["web.certificate"]

    assert (finding.status, "does not answer" in finding.what) == ("failed", True)
