"""Every setting of one installation, as frozen records that are read once, at start.

1. What operators change daily (services, policies, keys) lives in the database; here is what needs a restart.
2. A secret has no default and shows itself to nobody: its `repr` is a mask.
3. The descriptions below are the ones of the sample file, the JSON Schema and the reference page.
"""

import re
from ipaddress import ip_address
from pathlib import Path
from typing import Annotated, Final, Literal
from urllib.parse import urlsplit

import msgspec
from msgspec import Meta

from dastak.api.door import DoorSettings
from dastak.core.carrier import WEIGHT_MAX, Carrier, CarrierKind, Lane
from dastak.core.errors import DastakError
from dastak.delivery.false_receipts import FAST_S
from dastak.delivery.routing import EXPLORATION
from dastak.delivery.time_to_leave import WAIT_SHARE
from dastak.guard import shared_counts
from dastak.guard.call_limits import CallRates
from dastak.guard.limits import LimitSettings
from dastak.sms.smpp_settings import BINDS_MAX, BindKind, SmppSettings, Tls
from dastak.store import database_url
from dastak.voice.prompt_words import Known
from dastak.voice.prompts import LEAST

MASK: Final = "********"
# Routes into the carrier in a box are called sim_1 and so on.
CARRIER_NAME: Final = re.compile(r"(?!sim_)[a-z][a-z0-9]*(_[a-z0-9]+)*")

# Written by hand into many a file and never meant: a service that starts with one is open to everybody.
PLACEHOLDERS: Final = frozenset(
    ("", "changeme", "change-me", "change_me", "example", "none", "password", "placeholder", "secret", "todo")
)

Port = Annotated[int, Meta(ge=1, le=65535)]
Octet = Annotated[int, Meta(ge=0, le=255)]


class ConfigError(DastakError):
    """The settings cannot be used; says which one, where it came from and what to write instead."""

    code = "configuration"
    title = "The configuration cannot be used"


class Secret:
    """A text that is never shown; `reveal` is the only way to it."""

    __slots__ = ("_clear",)

    def __init__(self, clear: str) -> None:
        self._clear = clear

    def __repr__(self) -> str:
        return MASK

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._clear == other._clear

    def __hash__(self) -> int:
        return hash(self._clear)

    def reveal(self) -> str:
        """Return the text itself."""
        return self._clear


class _Section(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all sections have: frozen, and no field that is not named here."""


def address_of(listen: str) -> tuple[str, int]:
    """Split `host:port`; an IPv6 host stands in brackets.

    Raises:
        ValueError: It is not that.
    """
    host, colon, port = listen.rpartition(":")
    if not colon or not host or not (port.isascii() and port.isdigit()) or int(port) > 65535:
        raise ValueError(f"{listen!r} is not an address and a port; write 127.0.0.1:8080")
    return host.removeprefix("[").removesuffix("]"), int(port)


def is_loopback(host: str | None) -> bool:
    """Say whether only this machine reaches what listens at a host."""
    return (host or "").startswith(("127.", "::1", "localhost"))


def is_placeholder(clear: str) -> bool:
    """Return whether a secret is only a word that stands for one."""
    word = clear.strip().lower()
    return word in PLACEHOLDERS or len(set(word)) == 1 or (word.startswith("<") and word.endswith(">"))


class ServerSettings(_Section, frozen=True, kw_only=True):
    """The HTTP side.

    Attributes:
        listen: Address and port; loopback unless you set it. Port 0 takes a free one.
        public_url: Where people reach it. Links are made from it, never from a request's Host header.
        console_url: Where operators reach the console, if that has a host of its own: then no other page is
            there, and no page of the console anywhere else. Your proxy brings both hosts here.
        ops_listen: Where metrics and health details are, for your monitoring only; nowhere if absent.
        realtime: Run before everything else on this machine, for one with a single core. The system must
            allow it (`LimitRTPRIO=1` of a systemd service); Linux alone.
        role: all, or on PostgreSQL some of api, worker, carrier and voice, with commas between.
        node: What the proxy before several nodes calls this one, such as node1. It stands in the addresses
            of calls, so that the proxy leads what a carrier fetches of a call to the node that made it.
        door: How patient and how wide the door is.
    """

    listen: str = "127.0.0.1:8080"
    public_url: str | None = None
    console_url: str | None = None
    ops_listen: str | None = None
    realtime: bool = False
    role: str = "all"
    node: Annotated[str, Meta(pattern=r"^[A-Za-z0-9_-]{0,32}$")] = ""
    door: DoorSettings = DoorSettings()

    def __post_init__(self) -> None:
        address_of(self.listen)
        if self.ops_listen is not None:
            address_of(self.ops_listen)
        for name, url in (("public_url", self.public_url), ("console_url", self.console_url)):
            if url is not None and urlsplit(url).scheme not in ("http", "https"):
                raise ValueError(f"{name}: {url!r} is no address; write https://otp.example.in")
        if self.console_url is not None and _host(self.console_url) == _host(self.public_url):
            raise ValueError("console_url: it needs a host that is not the one of public_url")


def _host(url: str | None) -> str | None:
    return None if url is None else urlsplit(url).netloc.lower()


class StoreSettings(_Section, frozen=True, kw_only=True):
    """The database.

    Attributes:
        url: sqlite:///var/lib/dastak/dastak.db, sqlite:dastak.db in the working directory, or PostgreSQL
            (postgresql://dastak@db.example.in/dastak, the extra `postgres`) for several nodes.
            The variable DASTAK_DATABASE_URL says the same, with the password in it if you like.
        password: Of PostgreSQL, unless libpq finds it in its own places. Better: password_file.
        password_file: A file that holds the password. Readable by its owner only.
        retention_days: Days a verification is kept after it was created.
    """

    url: str = "sqlite:dastak.db"
    password: Secret | None = None
    password_file: Path | None = None
    retention_days: Annotated[int, Meta(ge=1, le=3650)] = 30

    def __post_init__(self) -> None:
        database_url.check(self.url)


class SecretsSettings(_Section, frozen=True, kw_only=True):
    """The keys that codes are derived with; they are never in the database.

    Attributes:
        file: The key file that `dastak init` makes. Readable by its owner only.
    """

    file: Path | None = None


class TlsSettings(_Section, frozen=True, kw_only=True):
    """TLS on the way to a carrier; its certificate and name are always checked.

    Attributes:
        enabled: Whether to speak TLS at all.
        ca_file: The only authorities to believe, in PEM; those of the system if absent.
        cert_file: Our certificate, where the carrier asks for one.
        key_file: The private key of cert_file. Readable by its owner only.
        server_name: The name the certificate must have; the host if absent.
    """

    enabled: bool = False
    ca_file: Path | None = None
    cert_file: Path | None = None
    key_file: Path | None = None
    server_name: str | None = None


class CarrierSettings(_Section, frozen=True, kw_only=True):
    """One connection to a carrier.

    Attributes:
        kind: The protocol.
        host: Its name or address.
        port: Its TCP port.
        system_id: The account it gave you.
        password: The account's password, at most 8 characters by the standard. Better: password_file.
        password_file: A file that holds the password. Readable by its owner only.
        long_password: Allow a longer password than the standard.
        system_type: What it asks for in the bind; mostly nothing.
        bind_kind: What flows over a bind: texts out, receipts in, or both; or a pair of two for each.
        binds: How many; as many pairs where bind_kind is a pair.
        window: Texts that may wait for their answers, on each bind.
        rate_per_s: Texts a second on each bind, as your contract says; if absent as the window allows.
        priority: Lower goes first; those of one priority share the traffic.
        weight: Its share among those of one priority; 0 is for probes and second attempts only.
        price_micros: What one segment costs, in millionths of your currency; the spend cap counts with it.
        source_addr_ton: Type of number of the sender; told by the sender itself if absent.
        source_addr_npi: Numbering plan of the sender, where its type is set.
        response_timeout_s: Seconds to wait for an answer to a text; after 1.5 the next route gets it too.
        enquire_link_s: Seconds of silence after which the carrier is asked whether it lives.
        tls: TLS on the way.
    """

    kind: Literal["smpp"] = "smpp"
    host: Annotated[str, Meta(min_length=1)]
    port: Port = 2775
    system_id: Annotated[str, Meta(min_length=1, max_length=15)]
    password: Secret | None = None
    password_file: Path | None = None
    long_password: bool = False
    system_type: Annotated[str, Meta(max_length=12)] = ""
    bind_kind: BindKind = BindKind.TRANSCEIVER
    binds: Annotated[int, Meta(ge=1, le=BINDS_MAX)] = 1
    window: Annotated[int, Meta(ge=1, le=1000)] = 10
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    priority: int = 100
    weight: Annotated[int, Meta(ge=0, le=WEIGHT_MAX)] = 100
    price_micros: Annotated[int, Meta(ge=0)] = 0
    source_addr_ton: Octet | None = None
    source_addr_npi: Octet = 0
    response_timeout_s: Annotated[float, Meta(gt=0)] = 5.0
    enquire_link_s: Annotated[float, Meta(gt=0)] = 5.0
    tls: TlsSettings = TlsSettings()


class SimulatorSettings(_Section, frozen=True, kw_only=True):
    """A carrier and phones in a box, for test keys. It is never on the way of a live message.

    Attributes:
        enabled: Whether it runs inside this process.
        smpp_listen: Where it speaks SMPP. Port 0 takes a free one.
        http_listen: Where it takes texts as Twilio and MSG91 do. Port 0 takes a free one.
        sip_listen: Where it takes calls to its phones, over UDP and TCP. Port 0 takes a free one.
        seed: The same seed, faults and messages have the same fates.
    """

    enabled: bool = False
    smpp_listen: str = "127.0.0.1:0"
    http_listen: str = "127.0.0.1:0"
    sip_listen: str = "127.0.0.1:0"
    seed: int = 1

    def __post_init__(self) -> None:
        address_of(self.smpp_listen)
        address_of(self.http_listen)
        # Descriptions of sound hold addresses in digits.
        ip_address(address_of(self.sip_listen)[0])


class LimitsSettings(_Section, frozen=True, kw_only=True):
    """How often somebody may ask for a code.

    Attributes:
        live: For live and team keys together; both reach real phones.
        test: For test keys, which have counts of their own.
        calls: How often a real phone rings, whoever asks.
        valkey_url: Where several nodes count client addresses, keys, services and tenants together:
            valkey://host:6379 or redis://host:6379, valkeys:// and rediss:// by TLS (the extra `valkey`). If
            absent each node counts by itself. All else is exact over all nodes without it.
        valkey_password: Of that server. Better: valkey_password_file.
        valkey_password_file: A file that holds the password. Readable by its owner only.
    """

    live: LimitSettings = LimitSettings()
    test: LimitSettings = LimitSettings()
    calls: CallRates = CallRates()
    valkey_url: str | None = None
    valkey_password: Secret | None = None
    valkey_password_file: Path | None = None

    def __post_init__(self) -> None:
        if self.valkey_url is not None:
            shared_counts.check(self.valkey_url)


class RoutingSettings(_Section, frozen=True, kw_only=True):
    """How carriers are chosen among those that may take a message.

    Attributes:
        exploration: The share of messages that try a carrier which gets hardly any, to know how good it is.
        cost_weight: How much of a score one unit of the currency costs; 0 compares prices of equals only.
        plausible_receipt_s: Receipts of which half come sooner are not believed; 0 believes them all.
        wait_share: A start is refused whose text would wait for longer than this share of its code's life.
    """

    exploration: Annotated[float, Meta(ge=0, le=0.2)] = EXPLORATION
    cost_weight: Annotated[float, Meta(ge=0)] = 0.0
    plausible_receipt_s: Annotated[float, Meta(ge=0)] = FAST_S
    wait_share: Annotated[float, Meta(gt=0, le=1)] = WAIT_SHARE


class VoiceSettings(_Section, frozen=True, kw_only=True):
    """What calls speak.

    Attributes:
        recordings: A folder with recordings of your own; a change in it is heard within seconds.
        kept: A folder for what is made here for calls: the spoken names of brands, and what tenants recorded.
            If absent it is that of the database; where that is a server, that of the key file, or the
            working directory where that one cannot be written.
        brands: Where the spoken names of brands are kept; the folder brands in `kept` if absent.
        least: How much must be known of a language's voice; else the nearest language is spoken.
    """

    recordings: Path | None = None
    kept: Path | None = None
    brands: Path | None = None
    least: Known = LEAST


class LogSettings(_Section, frozen=True, kw_only=True):
    """What is written to standard error.

    Attributes:
        level: The least serious thing that is written.
        format: One JSON object a line, lines for people, or `auto`: for people on a terminal, else JSON.
    """

    level: Literal["debug", "info", "warning", "error"] = "info"
    format: Literal["auto", "json", "human"] = "auto"


class SignInSettings(_Section, frozen=True, kw_only=True):
    """How people sign in, for all services; the rest is of each service: `dastak login`.

    Attributes:
        trusted_proxies: How many proxies of yours stand before it and append to X-Forwarded-For. With too few
            all people share one budget of wrong passwords; with too many anybody chooses whose is used.
        private_checks: Whether a customer's own check of passwords, webhooks of leads and the files that
            prove domains may be in your network, and the first two by plain http.
        breached_passwords: A file of passwords nobody may choose, one a line, beside the most common ones.
    """

    trusted_proxies: Annotated[int, Meta(ge=0, le=5)] = 0
    private_checks: bool = False
    breached_passwords: Path | None = None


class Settings(_Section, frozen=True, kw_only=True):
    """All of it.

    Attributes:
        carriers: One table each, [carriers.NAME]; a name is lower-case letters, digits and single _.
    """

    server: ServerSettings = ServerSettings()
    store: StoreSettings = StoreSettings()
    secrets: SecretsSettings = SecretsSettings()
    carriers: dict[str, CarrierSettings] = {}
    limits: LimitsSettings = LimitsSettings()
    routing: RoutingSettings = RoutingSettings()
    voice: VoiceSettings = VoiceSettings()
    login: SignInSettings = SignInSettings()
    simulator: SimulatorSettings = SimulatorSettings()
    log: LogSettings = LogSettings()


def smpp_settings(carrier: CarrierSettings) -> SmppSettings:
    """Return what our side of the bind wants to know of a carrier."""
    written = msgspec.structs.asdict(carrier)
    shared = {name: written[name] for name in SmppSettings.__struct_fields__ if name in written}
    tls = carrier.tls
    files = {
        name: str(path) if path else None
        for name, path in (("ca_file", tls.ca_file), ("cert_file", tls.cert_file), ("key_file", tls.key_file))
    }
    shared["tls"] = Tls(server_name=tls.server_name, **files) if tls.enabled else None
    shared["password"] = carrier.password.reveal() if carrier.password else ""
    return SmppSettings(**shared)


def carrier_record(name: str, carrier: CarrierSettings) -> Carrier:
    """Return a carrier of the settings file as all carriers are written down."""
    return Carrier(
        name=name,
        kind=CarrierKind.SMPP,
        lane=Lane(priority=carrier.priority, weight=carrier.weight, price_micros=carrier.price_micros),
    )
