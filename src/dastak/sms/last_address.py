"""Connect to a carrier by its name, or where it was last while no name server tells where that is."""

import asyncio
import logging
import socket
from collections.abc import Callable

from dastak.sms.smpp_link import SmppLink
from dastak.sms.smpp_settings import SmppSettings

log = logging.getLogger("dastak.sms")


class LastAddress:
    """Where the carrier of one bind is.

    A name that does not exist any more is an answer, and is believed: the carrier is gone.
    """

    def __init__(self, settings: SmppSettings) -> None:
        self._settings = settings
        self._ssl = settings.tls.context() if settings.tls else None
        self._address = ""

    async def connect(self, new_link: Callable[[], SmppLink]) -> SmppLink:
        """Open a connection. Raises: OSError (also where no answer came in time)."""
        host = self._settings.host
        try:
            return await self._connect_to(host, new_link)
        except (socket.gaierror, TimeoutError) as error:
            untold = isinstance(error, TimeoutError) or error.errno == socket.EAI_AGAIN
            if not untold or self._address in ("", host):
                raise
            log.warning("%s: %s; it is looked for at %s, where it was last", host, error, self._address)
        return await self._connect_to(self._address, new_link)

    async def _connect_to(self, host: str, new_link: Callable[[], SmppLink]) -> SmppLink:
        settings = self._settings
        name = (settings.tls.server_name or settings.host) if settings.tls else None
        async with asyncio.timeout(settings.connect_timeout_s):
            transport, link = await asyncio.get_running_loop().create_connection(
                new_link, host, settings.port, ssl=self._ssl, server_hostname=name
            )
        peer = transport.get_extra_info("peername")
        self._address = peer[0] if peer else self._address
        return link
