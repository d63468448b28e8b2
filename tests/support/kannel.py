"""Kannel as a customer of our simulated carrier: bearerbox binds to it, smsbox takes texts over HTTP."""

import asyncio
import contextlib
import urllib.parse
import urllib.request
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from bench.processes import free_port
from tests.support.foreign_daemon import ForeignDaemon
from tests.support.smpp_pair import soon

USER = {"username": "shop", "password": "shopsecret"}

CORE = """
group = core
admin-port = {admin_port}
admin-interface = 127.0.0.1
admin-password = {admin_password}
smsbox-port = {smsbox_port}
smsbox-interface = 127.0.0.1
log-level = 1

group = smsc
smsc = smpp
smsc-id = carrier
host = 127.0.0.1
port = {smsc_port}
transceiver-mode = true
smsc-username = sim_1
smsc-password = {smsc_password}
system-type = ""
source-addr-ton = 5
source-addr-npi = 0
dest-addr-ton = 1
dest-addr-npi = 1
msg-id-type = 0x03
enquire-link-interval = 1
reconnect-delay = 1

group = smpp-tlv
name = PE_ID
tag = 0x1400
type = nulterminated
length = 30

group = smsbox
bearerbox-host = 127.0.0.1
bearerbox-port = {smsbox_port}
sendsms-port = {sendsms_port}
sendsms-interface = 127.0.0.1
log-level = 1

group = sendsms-user
username = shop
password = shopsecret
max-messages = 5
concatenation = true

group = sms-service
keyword = default
max-messages = 0
get-url = "{ears}/reply?from=%p&to=%P&text=%b"
"""


class Kannel:
    """A running Kannel.

    Attributes:
        daemons: Its bearerbox and smsbox.
        told: What Kannel told us over HTTP: receipts and texts from phones, as path and fields.
    """

    def __init__(self, sendsms_port: int, ears: str) -> None:
        self.daemons: list[ForeignDaemon] = []
        self.told: asyncio.Queue[tuple[str, dict[str, str]]] = asyncio.Queue()
        self._sendsms = f"http://127.0.0.1:{sendsms_port}/cgi-bin/sendsms"
        self._ears = ears

    async def send(self, msisdn: str, text: str, **options: str) -> str:
        """Hand a text over, with a wish for every kind of receipt; return what Kannel answered."""
        name = options.pop("name", msisdn)
        receipt = f"{self._ears}/receipt?name={urllib.parse.quote(name)}&type=%d&id=%F&text=%A"
        fields = {
            "from": "DASTAK",
            "to": msisdn,
            "text": text,
            "charset": "UTF-8",
            "dlr-mask": "31",
            "dlr-url": receipt,
        }
        query = urllib.parse.urlencode(USER | fields | options)
        return await asyncio.to_thread(_fetch, f"{self._sendsms}?{query}")

    async def heard(self, path: str) -> dict[str, str]:
        """Wait for the next thing Kannel tells, which has to be of this kind."""
        told, fields = await soon(self.told.get())
        assert told == path
        return fields


def _fetch(url: str) -> str:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return str(answer.read().decode())


@asynccontextmanager
async def kannel(directory: Path, smsc_port: int, *, smsc_password: str = "secret") -> AsyncIterator[Kannel]:
    """Run Kannel with one bind to a carrier on this port; see `CORE`."""

    async def hear(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(asyncio.IncompleteReadError):
            while True:
                head = await reader.readuntil(b"\r\n\r\n")
                path, _, query = head.split(b" ")[1].decode().partition("?")
                peer.told.put_nowait((path, dict(urllib.parse.parse_qsl(query, keep_blank_values=True))))
                writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(hear, "127.0.0.1", 0) as server:
        ears = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        smsbox_port, sendsms_port = free_port(), free_port()
        peer = Kannel(sendsms_port, ears)
        settings = CORE.format(
            admin_port=free_port(),
            admin_password="onlyhere",
            smsbox_port=smsbox_port,
            sendsms_port=sendsms_port,
            smsc_port=smsc_port,
            smsc_password=smsc_password,
            ears=ears,
        )
        (directory / "kannel.conf").write_text(settings)
        try:
            bearerbox = ForeignDaemon("bearerbox", ["-v", "1", "kannel.conf"], directory=directory)
            peer.daemons.append(bearerbox)
            await asyncio.to_thread(bearerbox.until_listening, smsbox_port)
            smsbox = ForeignDaemon("smsbox", ["-v", "1", "kannel.conf"], directory=directory)
            peer.daemons.append(smsbox)
            # It answers HTTP before it knows its users (403) and before it has a bearerbox (it panics).
            await asyncio.to_thread(smsbox.until_said, "Connected to bearerbox")
            yield peer
        finally:
            for daemon in reversed(peer.daemons):
                await asyncio.to_thread(daemon.stop)
