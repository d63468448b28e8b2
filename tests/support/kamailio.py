"""Kamailio as the trunk: it asks for proof, stays in the way by Record-Route, and rings a phone behind it."""

import asyncio
import platform
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from bench.processes import free_port
from tests.support.foreign_daemon import ForeignDaemon
from tests.support.patience import until

MODULES: Final = f"/usr/lib/{platform.machine()}-linux-gnu/kamailio/modules/"

CONFIGURATION: Final = """
debug=1
log_stderror=yes
children=2
auto_aliases=no
enable_tls=yes
listen=udp:127.0.0.1:{port}
listen=tcp:127.0.0.1:{port}
listen=tls:127.0.0.1:{tls_port}
mpath="{modules}"
loadmodule "tls.so"
loadmodule "sl.so"
loadmodule "tm.so"
loadmodule "rr.so"
loadmodule "pv.so"
loadmodule "maxfwd.so"
loadmodule "textops.so"
loadmodule "siputils.so"
loadmodule "sanity.so"
loadmodule "auth.so"
loadmodule "xlog.so"
loadmodule "usrloc.so"
loadmodule "registrar.so"
modparam("tls", "private_key", "{key}")
modparam("tls", "certificate", "{certificate}")
modparam("tls", "tls_method", "TLSv1.2+")
modparam("auth", "nonce_expire", 300)
modparam("auth", "algorithm", "{algorithm}")
modparam("tm", "fr_timer", 5000)
modparam("rr", "enable_full_lr", 1)
"""

# Where a call is led: to the one phone behind the trunk, or to whoever registered with the number.
TO_THE_PHONE: Final = '$du = "sip:127.0.0.1:{phone_port}";'
BY_THE_BOOK: Final = 'if (!lookup("location")) {{ sl_send_reply("480", "Not registered"); exit; }}'

# The trunk: it wants a password, keeps a book, and leads to a phone.
TRUNK: Final = """
request_route {{
    if (!mf_process_maxfwd_header("10") || !sanity_check()) {{ exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (has_totag()) {{
        if (loose_route()) {{
            xlog("L_ERR", "within $rm over $pr\\n");
            t_on_reply("WITHIN");
            t_relay();
        }} else if (is_method("ACK")) {{
            t_check_trans();
        }} else {{
            sl_send_reply("404", "Not here");
        }}
        exit;
    }}
    if (is_method("REGISTER")) {{
        if (!pv_www_authenticate("trunk.example", "secret", "0")) {{
            www_challenge("trunk.example", "1");
            exit;
        }}
        xlog("L_ERR", "proved by $aa\\n");
        consume_credentials();
        save("location");
        xlog("L_ERR", "registered $tu until $hdr(Expires)\\n");
        exit;
    }}
    if (is_method("INVITE")) {{
        if (!pv_proxy_authenticate("trunk.example", "secret", "0")) {{
            xlog("L_ERR", "challenged over $pr\\n");
            proxy_challenge("trunk.example", "1");
            exit;
        }}
        xlog("L_ERR", "proved by $aa\\n");
        consume_credentials();
        if (!($rU =~ "^{prefix}")) {{ sl_send_reply("404", "No such prefix"); exit; }}
        xlog("L_ERR", "led on from $pr\\n");
        record_route();
        LED
        if (!t_relay()) {{ sl_reply_error(); }}
        exit;
    }}
    if (is_method("OPTIONS")) {{ sl_send_reply("200", "Awake"); exit; }}
    sl_send_reply("405", "Not here");
}}
onreply_route[WITHIN] {{
    xlog("L_ERR", "answered $rs to $rm\\n");
}}
"""

# A proxy before a trunk: it leads on to where the address says, and stays in the way.
PROXY: Final = """
request_route {{
    if (!mf_process_maxfwd_header("10") || !sanity_check()) {{ exit; }}
    if (is_method("OPTIONS") && !is_present_hf("Route")) {{ sl_send_reply("200", "Awake"); exit; }}
    if (is_method("CANCEL")) {{ if (t_check_trans()) {{ t_relay(); }} exit; }}
    if (!is_present_hf("Route")) {{ sl_send_reply("403", "No way through here"); exit; }}
    loose_route();  # no success where the route was but this proxy, and taken off all the same
    xlog("L_ERR", "passed on $rm to $rd\\n");
    if (is_method("INVITE")) {{ record_route(); }}
    t_relay();
}}
"""

# What it is asked until it answers.
AWAKE: Final = (
    "OPTIONS sip:trunk.example SIP/2.0",
    "Via: SIP/2.0/TCP 127.0.0.1:9;branch=z9hG4bKawake",
    "Max-Forwards: 5",
    "From: <sip:tests@trunk.example>;tag=awake",
    "To: <sip:trunk.example>",
    "Call-ID: awake",
    "CSeq: 1 OPTIONS",
    "Content-Length: 0",
    "",
    "",
)


class Kamailio:
    """A running Kamailio.

    Args:
        directory: Made here; its settings and its log.
        phone_port: Where the phone behind it is, if it is not found in the book.
        key: File of its private key.
        certificate: File of what vouches for it.
        algorithm: Of its digest, MD5 or SHA-256.
        prefix: How numbers begin that it knows, as a pattern.
        routes: What it does: `TRUNK` or `PROXY`.
        leads: Where calls go: `TO_THE_PHONE` or `BY_THE_BOOK`.
        ports: For UDP and TCP, and for TLS, where another one had them before; else free ones.

    Attributes:
        port: For UDP and TCP.
        tls_port: For TLS.
        daemon: Its process and log.
    """

    def __init__(
        self,
        directory: Path,
        *,
        phone_port: int = 9,
        key: str,
        certificate: str,
        algorithm: str = "MD5",
        prefix: str = "",
        routes: str = TRUNK,
        leads: str = TO_THE_PHONE,
        ports: tuple[int, int] | None = None,
    ) -> None:
        directory.mkdir()
        self.port, self.tls_port = ports or (free_port(), free_port())
        settings = (
            (CONFIGURATION + routes)
            .replace("LED", leads)
            .format(
                port=self.port,
                tls_port=self.tls_port,
                modules=MODULES,
                key=key,
                certificate=certificate,
                phone_port=phone_port,
                algorithm=algorithm,
                prefix=prefix,
            )
        )
        (directory / "kamailio.cfg").write_text(settings)
        self._log_file = directory / "kamailio.log"
        # With a bare name, runs at once would meet at one file outside their folders.
        pid_file = str(directory / "kamailio.pid")
        self.daemon = ForeignDaemon(
            "kamailio",
            ["-DD", "-E", "-f", "kamailio.cfg", "-P", pid_file, "-Y", ".", "-m", "64", "-M", "8"],
            directory=directory,
        )
        self.daemon.until_listening(self.port)
        self.daemon.until_listening(self.tls_port)
        # It listens before it works, and in between it would not even stop.
        until(self._awake)

    def said(self, words: str) -> int:
        """Return how often it said a line of its settings."""
        return self._log_file.read_text(encoding="utf-8", errors="replace").count(f"{words}\n")

    def _awake(self) -> bool:
        with socket.create_connection(("127.0.0.1", self.port), 2) as asking:
            asking.sendall("\r\n".join(AWAKE).encode())
            try:
                return asking.recv(4096).startswith(b"SIP/2.0 200")
            except TimeoutError:
                return False


@asynccontextmanager
async def kamailio(
    directory: Path, *, phone_port: int, key: str, certificate: str
) -> AsyncIterator[Kamailio]:
    """Run Kamailio in front of a phone; skip where it cannot be had."""
    trunk = await asyncio.to_thread(
        lambda: Kamailio(directory, phone_port=phone_port, key=key, certificate=certificate)
    )
    try:
        yield trunk
    finally:
        await asyncio.to_thread(trunk.daemon.stop)
