"""What a SIP trunk wants of its settings."""

import ssl
from datetime import date
from typing import Annotated, Final, Literal

import msgspec

from dastak.core.call_price import TALK_S_MAX
from dastak.core.callers import check_callers
from dastak.voice.baresip_stack import baresip_installed
from dastak.voice.sip.call_outcomes import read_overrides
from dastak.voice.sip.sip_dialog import SipTrunk
from dastak.voice.sip.sip_digest import Credentials
from dastak.voice.sip.sip_headers import SipUri, escape_user, read_uri
from dastak.voice.sip.sip_message import Address
from dastak.voice.sip.sip_registration import Registrar
from dastak.voice.sip.sip_sockets import LineSettings, is_address
from dastak.voice.sip.sip_transactions import Timing
from dastak.voice.sip.sip_transport import CALL_TARGETS_MAX
from dastak.voice.sound.srtp import SrtpUse, srtp_installed

RTP_PORTS_DEFAULT: Final = (20_000, 20_999)
# RFC 4028, section 5.
SESSION_S_MIN: Final = 90
PROBE_S_MIN: Final = 1
DNS_PORT: Final = 53
# Measured: one thread for each call, 0.6 % of a core; it sets up about 28 calls a second.
BARESIP_CALLS_MAX: Final = 150
Port = Annotated[int, msgspec.Meta(ge=1, le=65_535)]


class SipSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One trunk.

    Attributes:
        adapter: Whose engine calls: ours, or the library baresip-python for a trunk that dislikes ours.
        host: The trunk or its proxy, name or address.
        port: None is what SRV records say, or else the usual one of the transport.
        transport: How signalling travels.
        username: By digest; empty where the trunk knows us by our address.
        password: The one it issued.
        outbound_proxy: Through whom everything goes, as `proxy.example` or `proxy.example:5080`; its name is
            looked up instead of the host's, and its certificate is the one that counts.
        name_server: Whom names are asked of, as `192.0.2.53` or `192.0.2.53:5353`; empty asks the system's.
        domain: What stands behind numbers in addresses; empty is the host.
        caller: The number that phones are shown; the trunk must have allotted it.
        callers: Other numbers that it allotted; a service may choose one of them.
        auto_dialler_declared_on: The day when its operator was told that a program dials, as India wants it.
        calls_max: How many calls the contract allows at once.
        ring_s: How long a phone may ring.
        talk_s: How long a call may last from the answer on; prices reserve for the most.
        silence_s: How long a trunk may say nothing before the call goes by another.
        progress_s: How long it may search for the phone, from its first word to the ring.
        probe_s: How often the trunk is asked by OPTIONS whether it is there; 0 never asks.
        register: Whether it wants us in its book, under the username.
        register_s: How long an entry there shall last.
        prack: Whether to offer reliable provisional answers; a trunk that demands them gets them anyway.
        session_s: How often the trunk shall make sure that we still live (RFC 4028); 0 does not ask for it.
        assert_identity: Whether the caller is repeated as P-Asserted-Identity.
        media_host: Where we hear, as the trunk sees it; empty is the address that reaches the trunk.
        srtp: Whether the sound is encrypted.
        srtp_in_clear: Whether its keys may travel over UDP or TCP, where everybody on the way can read them.
        symmetric: Whether the sound follows who sends from elsewhere than the trunk said, as behind a NAT.
        rtp_ports: The first and the last port for sound, two for each call.
        ca_file: Whose certificates are believed with TLS; empty is the system's.
        outcomes: Rows of its own for SIP status and Q.850 cause, such as `503/17 = busy`.
    """

    adapter: Literal["dastak", "baresip"] = "dastak"
    host: Annotated[str, msgspec.Meta(min_length=1, max_length=255)]
    port: Port | None = None
    transport: Literal["udp", "tcp", "tls"] = "udp"
    username: Annotated[str, msgspec.Meta(max_length=128)] = ""
    password: Annotated[str, msgspec.Meta(max_length=128)] = ""
    outbound_proxy: Annotated[
        str, msgspec.Meta(max_length=255, pattern=r"\A(([A-Za-z0-9.-]+|\[[0-9A-Fa-f:]+\])(:[0-9]{1,5})?)?\Z")
    ] = ""
    name_server: Annotated[str, msgspec.Meta(pattern=r"\A([0-9.]+(:[0-9]{1,5})?)?\Z")] = ""
    domain: Annotated[str, msgspec.Meta(max_length=255)] = ""
    caller: Annotated[str, msgspec.Meta(pattern=r"\A\+?[0-9]{3,15}\Z")]
    callers: tuple[Annotated[str, msgspec.Meta(pattern=r"\A\+?[0-9]{3,15}\Z")], ...] = ()
    auto_dialler_declared_on: Annotated[str, msgspec.Meta(pattern=r"\A([0-9]{4}-[0-9]{2}-[0-9]{2})?\Z")] = ""
    calls_max: Annotated[int, msgspec.Meta(ge=1, le=500)] = 30
    ring_s: Annotated[float, msgspec.Meta(ge=5, le=60)] = 25.0
    talk_s: Annotated[float, msgspec.Meta(ge=10, le=TALK_S_MAX)] = TALK_S_MAX
    silence_s: Annotated[float, msgspec.Meta(ge=1, le=32)] = 5.0
    progress_s: Annotated[float, msgspec.Meta(ge=1, le=30)] = 12.0
    probe_s: Annotated[float, msgspec.Meta(ge=0, le=3600)] = 30.0
    register: bool = False
    register_s: Annotated[int, msgspec.Meta(ge=60, le=86_400)] = 300
    prack: bool = False
    session_s: Annotated[int, msgspec.Meta(ge=0, le=3600)] = 90
    assert_identity: bool = False
    media_host: Annotated[str, msgspec.Meta(max_length=64)] = ""
    srtp: SrtpUse = SrtpUse.OFF
    srtp_in_clear: bool = False
    symmetric: bool = True
    rtp_ports: tuple[Port, Port] = RTP_PORTS_DEFAULT
    ca_file: str = ""
    outcomes: dict[str, str] = {}

    def __post_init__(self) -> None:
        first, last = self.rtp_ports
        if last - first + 1 < 2 * self.calls_max:
            raise ValueError(f"rtp_ports holds too few ports for {self.calls_max} calls: two for each")
        if bool(self.username) != bool(self.password):
            raise ValueError("username and password belong together")
        if self.register and not self.username:
            raise ValueError("register needs the username under which the trunk keeps us")
        if 0 < self.session_s < SESSION_S_MIN:
            raise ValueError(f"session_s is 0 or at least {SESSION_S_MIN}")
        if 0 < self.probe_s < PROBE_S_MIN:
            raise ValueError(f"probe_s is 0 or at least {PROBE_S_MIN}")
        if self.name_server and not is_address(self.name_server.partition(":")[0]):
            raise ValueError("name_server is no address in digits")
        self._proxy()
        self._check_srtp()
        self._check_baresip()
        check_callers((self.caller, *self.callers))
        if self.auto_dialler_declared_on:
            date.fromisoformat(self.auto_dialler_declared_on)
        read_overrides(self.outcomes)

    def _check_srtp(self) -> None:
        if self.srtp is SrtpUse.OFF:
            return
        if self.transport != "tls" and not self.srtp_in_clear:
            raise ValueError(
                f"srtp sends its keys in the signalling, and over {self.transport} everybody on the way can "
                "read them: set transport to tls, or srtp_in_clear to true where a VPN leads to the trunk"
            )
        if not srtp_installed():
            raise ValueError("srtp needs the extra voice-srtp: pip install '.[voice-srtp]' in the checkout")

    def _check_baresip(self) -> None:
        if self.adapter != "baresip":
            return
        lacks = {
            "transport = tls": self.transport == "tls",
            "srtp": self.srtp is not SrtpUse.OFF,
            "register": self.register,
            "prack": self.prack,
            "name_server": bool(self.name_server),
            "probe_s (set it to 0)": bool(self.probe_s),
            "session_s (set it to 0)": bool(self.session_s),
        }
        if wanted := [name for name, is_wanted in lacks.items() if is_wanted]:
            raise ValueError(f"adapter = baresip cannot do: {', '.join(wanted)}")
        if self.calls_max > BARESIP_CALLS_MAX:
            raise ValueError(
                f"adapter = baresip carries {BARESIP_CALLS_MAX} calls at once, not {self.calls_max}"
            )
        if not baresip_installed():
            raise ValueError(
                "adapter = baresip needs the extra voice-baresip: "
                "pip install '.[voice-baresip]' in the checkout"
            )

    @property
    def heard_within_s(self) -> float:
        """How long a phone may take to ring: a trunk may be silent wherever it is tried, and then search."""
        proxy = self._proxy()
        named = not is_address(self.host if proxy is None else proxy.host.strip("[]"))
        return self.silence_s * (CALL_TARGETS_MAX if named else 1) + self.progress_s

    def line(self) -> LineSettings:
        """Return how the line is reached."""
        tls = None
        if self.transport == "tls":
            tls = ssl.create_default_context(cafile=self.ca_file or None)
        # Where we are is known once the socket is there.
        trunk = SipTrunk(
            transport=self.transport.upper(),
            sent_by="",
            contact="",
            routes=self._routes(),
            ring_s=self.ring_s,
            talk_s_max=self.talk_s,
            prack=self.prack,
            session_s=self.session_s,
            assert_identity=self.assert_identity,
            timing=Timing(silence_s=self.silence_s),
            overrides=read_overrides(self.outcomes),
        )
        credentials = Credentials(self.username, self.password) if self.username else None
        proxy = self._proxy()
        return LineSettings(
            trunk=trunk,
            host=self.host if proxy is None else proxy.host.strip("[]"),
            port=self.port if proxy is None else proxy.port,
            credentials=credentials,
            name_server=self._name_server(),
            registrar=self._registrar() if self.register else None,
            probe_uri=f"sip:{self.domain or self.host}",
            probe_s=self.probe_s,
            tls=tls,
        )

    def _proxy(self) -> SipUri | None:
        return read_uri(f"sip:{self.outbound_proxy}") if self.outbound_proxy else None

    def _routes(self) -> tuple[str, ...]:
        if not self.outbound_proxy:
            return ()
        over = "" if self.transport == "udp" else f";transport={self.transport}"
        return (f"<sip:{self.outbound_proxy}{over};lr>",)

    def _name_server(self) -> Address | None:
        host, _, port = self.name_server.partition(":")
        return (host, int(port or DNS_PORT)) if host else None

    def _registrar(self) -> Registrar:
        domain = self.domain or self.host
        address = f"sip:{escape_user(self.username)}@{domain}"
        return Registrar(uri=f"sip:{domain}", address=address, expires_s=self.register_s)
