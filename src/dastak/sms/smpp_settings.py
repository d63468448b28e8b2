"""What an operator writes down to bind to a carrier."""

import ssl
from collections.abc import Mapping
from contextlib import suppress
from enum import StrEnum
from typing import Annotated, Final
from urllib.parse import urlsplit

import msgspec

from dastak.core.outcome import Outcome
from dastak.sms.coded_text import Concatenation, DefaultAlphabet, TextOptions
from dastak.sms.correlation import Correlation
from dastak.sms.shift_tables import Language
from dastak.sms.smpp_codes import REGISTERED_FINAL_RECEIPT, Command, read_status
from dastak.sms.vendor_tlvs import VendorTlv

# A TLV.
Tag = Annotated[int, msgspec.Meta(ge=0, le=0xFFFF)]
Octet = Annotated[int, msgspec.Meta(ge=0, le=0xFF)]
Seconds = Annotated[float, msgspec.Meta(gt=0)]


class BindKind(StrEnum):
    """What flows over a bind: texts out, receipts in, or both."""

    TRANSMITTER = "transmitter"
    RECEIVER = "receiver"
    TRANSCEIVER = "transceiver"
    PAIR = "pair"  # a transmitter and a receiver, where a carrier wants both apart


# Of a pair the bind group makes its two halves; taken alone it is the half that sends.
BIND_COMMANDS = {
    BindKind.PAIR: Command.BIND_TRANSMITTER,
    BindKind.TRANSMITTER: Command.BIND_TRANSMITTER,
    BindKind.RECEIVER: Command.BIND_RECEIVER,
    BindKind.TRANSCEIVER: Command.BIND_TRANSCEIVER,
}


# Carriers give an account a few; each one costs a connection on both sides.
BINDS_MAX: Final = 32
_BY_REFERENCE: Final = frozenset({Correlation.REFERENCE, Correlation.REFERENCE_LOW})


class EsmMode(StrEnum):
    """What the carrier shall do with a text, as bits 1 and 0 of esm_class say."""

    DEFAULT = "default"
    DATAGRAM = "datagram"
    FORWARD = "forward"  # the answer itself tells whether the phone got it
    STORE_AND_FORWARD = "store_and_forward"


ESM_MODES: Final[Mapping[EsmMode, int]] = {mode: bits for bits, mode in enumerate(EsmMode)}


class ValidityForm(StrEnum):
    """How validity_period is written."""

    RELATIVE = "relative"
    ABSOLUTE = "absolute"
    NONE = "none"  # for a carrier that refuses any; it then keeps a text as long as it likes


class Tls(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How the carrier proves itself, and we to it.

    Attributes:
        ca_file: The only authority that is believed; None believes those of the system.
        cert_file: Our certificate, for carriers that ask for one.
        key_file: Its private key, where it is not in the same file.
        server_name: The name asked for (SNI) and checked; None takes the host.
    """

    ca_file: str | None = None
    cert_file: str | None = None
    key_file: str | None = None
    server_name: str | None = None

    def context(self) -> ssl.SSLContext:
        """Make the context of a connection; the peer's certificate and name are always checked."""
        context = ssl.create_default_context(cafile=self.ca_file)
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        if self.cert_file is not None:
            context.load_cert_chain(self.cert_file, self.key_file)
        return context


class SmppSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The binds to one carrier.

    Attributes:
        host: The carrier's SMSC.
        port: Where it listens.
        also_at: More addresses of it, `host` or `host:port`; its binds take turns among all of them.
        system_id: Whom the carrier knows us as.
        password: The one it issued.
        system_type: What it wants there; most want nothing.
        long_password: Allow more than the eight characters of the standard.
        bind_kind: What flows over a bind: texts out, receipts in, or both; or a pair of two for each.
        binds: How many; as many pairs where `bind_kind` is a pair.
        tls: TLS on the way; None for none.
        window: How many submit_sm may wait for their answers, on each bind.
        queue_max: How many more may wait for room in the window; past that a message goes elsewhere.
        inbound_max: How many receipts may wait to be acknowledged; more are refused and come again.
        connect_timeout_s: Then a try to connect is given up.
        bind_timeout_s: Then a connection that is not bound is given up.
        response_timeout_s: Then the outcome of a submit_sm counts as unknown.
        enquire_link_s: After so much silence the carrier is asked; after as much again the link is dead.
        rate_per_s: The contracted rate of each bind; None has no limit until a throttle.
        service_type: What it wants there; most want nothing.
        source_addr: The sender of messages that bring none.
        source_addr_ton: None tells by the sender: 5 and NPI 0 for letters, 1 and 1 for a number.
        source_addr_npi: Of the sender, where its TON is set.
        dest_addr_ton: Of the phone; 1 is international.
        dest_addr_npi: Of the phone; 1 is E.164.
        protocol_id: Of every message; 0 is a plain text.
        priority_flag: Of every message, 0 to 3, where the carrier honours it.
        registered_delivery: 1 asks for the final receipt, 17 for intermediate notices too, 0 for none.
        alphabet: What the carrier takes data_coding 0 for.
        plain_data_coding: The data_coding of texts in that alphabet; some carriers want 1, 3 or 0xF1.
        languages: Whose national language shift tables may be used to save parts.
        concatenation: How the parts of a long text are marked.
        correlation: By what the message of a receipt is found.
        receipt_outcomes: What the `err`, `stat` or `stat:err` of its receipts mean, before any hint.
        utc_offset_min: The carrier's clock against UTC, for the dates it writes and reads.
        status_outcomes: What a command_status of its own means, by number or name; else it is temporary.
        esm_mode: Whether the carrier stores a text that the phone cannot take at once.
        answer_delivers: In forward mode its yes means that the phone has the text, and no receipt follows;
            `response_timeout_s` must then leave it the time to page the phone.
        validity: How it wants validity_period, which is always the life that is left to the code.
        send_reference: Whether the TLV user_message_reference goes out; a few carriers refuse all TLVs.
        tlvs: What it wants beside the standard, such as the ids of India's DLT.
        operator_tags: The TLVs of a receipt that tell MCC and MNC, in one value or in two.
        reply_country_code: Of the numbers that its texts from phones come from without one.
    """

    host: Annotated[str, msgspec.Meta(min_length=1, max_length=253)]
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)]
    also_at: Annotated[tuple[str, ...], msgspec.Meta(max_length=8)] = ()
    system_id: Annotated[str, msgspec.Meta(min_length=1, max_length=15)]
    password: Annotated[str, msgspec.Meta(max_length=64)]
    system_type: Annotated[str, msgspec.Meta(max_length=12)] = ""
    long_password: bool = False
    bind_kind: BindKind = BindKind.TRANSCEIVER
    binds: Annotated[int, msgspec.Meta(ge=1, le=BINDS_MAX)] = 1
    tls: Tls | None = None
    window: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 10
    queue_max: Annotated[int, msgspec.Meta(ge=0, le=100_000)] = 1000
    inbound_max: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 1000
    connect_timeout_s: Seconds = 5.0
    bind_timeout_s: Seconds = 5.0
    response_timeout_s: Seconds = 5.0
    enquire_link_s: Seconds = 5.0
    rate_per_s: Seconds | None = None
    service_type: Annotated[str, msgspec.Meta(max_length=5)] = ""
    source_addr: Annotated[str, msgspec.Meta(max_length=20)] = ""
    source_addr_ton: Octet | None = None
    source_addr_npi: Octet = 0
    dest_addr_ton: Octet = 1
    dest_addr_npi: Octet = 1
    protocol_id: Octet = 0
    priority_flag: Annotated[int, msgspec.Meta(ge=0, le=3)] = 0
    registered_delivery: Octet = REGISTERED_FINAL_RECEIPT
    alphabet: DefaultAlphabet = DefaultAlphabet.GSM7
    plain_data_coding: Octet = 0
    languages: tuple[Language, ...] = ()
    concatenation: Concatenation = Concatenation.UDH8
    correlation: Correlation = Correlation.AUTO
    receipt_outcomes: Mapping[str, Outcome] = {}
    utc_offset_min: Annotated[int, msgspec.Meta(ge=-720, le=840, multiple_of=15)] = 0
    status_outcomes: Mapping[str, Outcome] = {}
    esm_mode: EsmMode = EsmMode.DEFAULT
    answer_delivers: bool = False
    validity: ValidityForm = ValidityForm.RELATIVE
    send_reference: bool = True
    tlvs: Annotated[tuple[VendorTlv, ...], msgspec.Meta(max_length=16)] = ()
    operator_tags: Annotated[tuple[Tag, ...], msgspec.Meta(max_length=2)] = ()
    reply_country_code: Annotated[str, msgspec.Meta(pattern="^([1-9][0-9]{0,2})?$")] = ""

    def __post_init__(self) -> None:
        unknown = [written for written in self.status_outcomes if read_status(written) is None]
        if unknown:
            raise ValueError(f"{unknown[0]!r} is no command_status: write a name, 0x412 or 1042")
        _ = self.addresses
        if not self.send_reference and self.correlation in _BY_REFERENCE:
            raise ValueError(f"correlation {self.correlation.value} needs send_reference")

    def __repr__(self) -> str:
        """Show where it leads, and no password."""
        return f"SmppSettings({self.system_id!r} at {self.host}:{self.port})"

    @property
    def addresses(self) -> tuple[tuple[str, int], ...]:
        """All its hosts and ports.

        Raises:
            ValueError: One is not written as `host` or `host:port`.
        """
        return (self.host, self.port), *(_address(written, self.port) for written in self.also_at)

    @property
    def statuses(self) -> Mapping[int, Outcome]:
        """What a command_status of the carrier's own means, by number."""
        return {read_status(written) or 0: outcome for written, outcome in self.status_outcomes.items()}

    @property
    def text_options(self) -> TextOptions:
        """How texts are written for this carrier."""
        return TextOptions(self.alphabet, self.plain_data_coding, self.languages, self.concatenation)

    def source_of(self, sender: str) -> tuple[str, int, int]:
        """Return address, TON and NPI of a sender."""
        source_addr = sender or self.source_addr
        if self.source_addr_ton is not None:
            return source_addr, self.source_addr_ton, self.source_addr_npi
        number = source_addr.removeprefix("+")
        return (number, 1, 1) if number.isdecimal() else (source_addr, 5, 0)


def _address(written: str, port: int) -> tuple[str, int]:
    parts = urlsplit(f"//{written}")
    with suppress(ValueError):  # a port that is no number
        if parts.hostname and parts.netloc == written and "@" not in written:
            return parts.hostname, parts.port or port
    raise ValueError(f"also_at has {written!r}: write host or host:port")
