"""A phone in LTE coverage that gets its texts over SGs: its MME and its SIM, as a switching centre sees them.

Source: 3GPP TS 29.118 (SGsAP), TS 24.011 (CP and RP), TS 23.040 (the text itself).
"""

import asyncio
from collections.abc import Iterator
from struct import Struct
from typing import Final

from tests.support.smpp_pair import soon

# The head that tests/peers/osmo/sctp_over_tcp.c puts before each message.
_FRAME: Final = Struct(">IIHH")

PAGING_REQUEST, SERVICE_REQUEST = 0x01, 0x06
DOWNLINK_UNITDATA, UPLINK_UNITDATA = 0x07, 0x08
LOCATION_UPDATE_REQUEST, LOCATION_UPDATE_ACCEPT = 0x09, 0x0A
IMSI, MME_NAME, LAI, UPDATE_TYPE, NAS, SERVICE = 0x01, 0x09, 0x04, 0x0A, 0x16, 0x20

# Behind the label of the MME itself.
MME_DOMAIN: Final = ("mmegi0001", "mme", "epc", "mnc001", "mcc001", "3gppnetwork", "org")
HERE: Final = bytes.fromhex("00f1100001")  # MCC 001, MNC 01, area 1
SMS: Final = b"\x01"
# Transaction and protocol (SMS): of what the phone begins, and of an answer to what the network began.
BEGINNING, ANSWERING = 0x09, 0x89
CP_DATA, CP_ACK = 0x01, 0x04
RP_DATA_DOWN, RP_DATA_UP, RP_ACK_UP, RP_ERROR_UP = 0x01, 0x00, 0x02, 0x04

SMS_SUBMIT: Final = 0x01
UNKNOWN_NUMBER, ALPHANUMERIC = 0x81, 0xD0
DCS_UCS2: Final = 8
# A type, and a number that nobody looks at.
SERVICE_CENTRE: Final = bytes.fromhex("9121436587")


class SgsPhone:
    """One phone. It is known to the network from `attach` until its connection ends.

    Attributes:
        texts: The SMS-DELIVER that it got.
    """

    def __init__(self, imsi: str, *, refuses: int | None = None) -> None:
        """Make a phone; one that refuses answers every text with this RP cause."""
        self.texts: asyncio.Queue[bytes] = asyncio.Queue()
        self._imsi = _imsi(imsi)
        # Each has an MME to itself: one that comes by two connections would be taken for an impostor.
        self._mme = (f"mmec{imsi[-2:]}", *MME_DOMAIN)
        self._refuses = refuses
        self._attached = asyncio.Event()

    async def attach(self, address: str, port: int) -> None:
        """Appear in the network, and stay."""
        self._reader, self._writer = await asyncio.open_connection(address, port)
        self._reading = asyncio.create_task(self._read())
        name = b"".join(bytes([len(label)]) + label.encode() for label in self._mme)
        self._send(LOCATION_UPDATE_REQUEST, (MME_NAME, name), (UPDATE_TYPE, b"\x01"), (LAI, HERE))
        try:
            await soon(self._attached.wait())
        except TimeoutError:
            await self.close()
            raise

    def write(self, to: str, text: str) -> None:
        """Send a text to a short code, in UCS-2."""
        user_data = text.encode("utf-16-be")
        submit = bytes([SMS_SUBMIT, 1, len(to), UNKNOWN_NUMBER]) + _semi_octets(to)
        submit += bytes([0, DCS_UCS2, len(user_data)]) + user_data
        rp_data = bytes([RP_DATA_UP, 1, 0, len(SERVICE_CENTRE)]) + SERVICE_CENTRE + bytes([len(submit)])
        cp_data = bytes([BEGINNING, CP_DATA, len(rp_data) + len(submit)])
        self._send(UPLINK_UNITDATA, (NAS, cp_data + rp_data + submit))

    async def text(self) -> tuple[str, str]:
        """Wait for a text; return its sender and what a person reads."""
        return read_text(await soon(self.texts.get()))

    async def close(self) -> None:
        """Vanish."""
        self._reading.cancel()
        self._writer.close()
        await self._writer.wait_closed()

    def _send(self, kind: int, *elements: tuple[int, bytes]) -> None:
        told = ((IMSI, self._imsi), *elements)
        message = bytes([kind]) + b"".join(bytes([tag, len(value)]) + value for tag, value in told)
        self._writer.write(_FRAME.pack(len(message), 0, 1, 0) + message)

    async def _read(self) -> None:
        while True:
            octets, _, _, _ = _FRAME.unpack(await self._reader.readexactly(_FRAME.size))
            message = await self._reader.readexactly(octets)
            elements = dict(_elements(message[1:]))
            if message[0] == LOCATION_UPDATE_ACCEPT:
                self._attached.set()
            elif message[0] == PAGING_REQUEST:
                self._send(SERVICE_REQUEST, (SERVICE, elements[SERVICE]))
            elif message[0] == DOWNLINK_UNITDATA:
                self._on_text(elements[NAS])

    def _on_text(self, nas: bytes) -> None:
        transaction = nas[0] & 0x70 | ANSWERING
        if nas[1] != CP_DATA or nas[3] != RP_DATA_DOWN:
            return
        reference, rest = nas[4], nas[5:]
        origin, destination = rest[0], rest[1 + rest[0]]
        self.texts.put_nowait(rest[3 + origin + destination :])
        self._send(UPLINK_UNITDATA, (NAS, bytes([transaction, CP_ACK])))
        answer = bytes([RP_ACK_UP, reference])
        if self._refuses is not None:
            answer = bytes([RP_ERROR_UP, reference, 1, self._refuses])
        self._send(UPLINK_UNITDATA, (NAS, bytes([transaction, CP_DATA, len(answer)]) + answer))


def _elements(octets: bytes) -> Iterator[tuple[int, bytes]]:
    at = 0
    while at + 2 <= len(octets):
        end = at + 2 + octets[at + 1]
        yield octets[at], octets[at + 2 : end]
        at = end


def read_text(deliver: bytes) -> tuple[str, str]:
    """Read sender and text of an SMS-DELIVER in UCS-2, or in those letters where GSM and ASCII agree."""
    digits, kind = deliver[1], deliver[2]
    octets = (digits + 1) // 2
    assert kind == ALPHANUMERIC
    sender = _septets(deliver[3 : 3 + octets], digits * 4 // 7)
    data_coding, told = deliver[4 + octets], deliver[12 + octets]
    user_data = deliver[13 + octets :]
    return sender, user_data.decode("utf-16-be") if data_coding == DCS_UCS2 else _septets(user_data, told)


def _septets(octets: bytes, count: int) -> str:
    bits = int.from_bytes(octets, "little")
    return "".join(chr(bits >> 7 * n & 0x7F) for n in range(count))


def _semi_octets(digits: str) -> bytes:
    """Write two digits in an octet, the later one high, and all ones where there is none."""
    return bytes.fromhex(
        "".join(f"{digits[n + 1 : n + 2] or 'f'}{digits[n]}" for n in range(0, len(digits), 2))
    )


def _imsi(digits: str) -> bytes:
    """Write fifteen digits: the first beside the type, the others two in an octet."""
    assert len(digits) == 15
    return bytes([int(digits[0]) << 4 | 0x09]) + _semi_octets(digits[1:])
