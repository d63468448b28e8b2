"""A carrier that costs as little as can be: it answers in bulk, so that the other end is what is measured.

It takes any bind, answers every submit_sm, and with `--receipts` brings a receipt for each in the same write:
`python -m bench.smpp_sink PORT [--receipts]`.
"""

import asyncio
import struct
import sys
from typing import cast

import uvloop

_HEADER = struct.Struct(">IIII")
_RESPONSE = 0x80000000
_SUBMIT_SM, _DELIVER_SM = 0x04, 0x05
_RECEIPT = b"id:%s sub:001 dlvrd:001 submit date:2611231200 done date:2611231200 stat:DELIVRD err:000 text:"


class Sink(asyncio.Protocol):
    """One bind."""

    receipts = False

    def __init__(self) -> None:
        self._tail = b""
        self._count = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    def data_received(self, data: bytes) -> None:
        data = self._tail + data
        at, output = 0, []
        while len(data) - at >= 16:
            octets, command_id, _, sequence_number = _HEADER.unpack_from(data, at)
            if len(data) - at < octets:
                break
            if command_id == _SUBMIT_SM:
                self._count += 1
                message_id = b"%x" % (0x1A2B0000 + self._count)
                output.append(_HEADER.pack(17 + len(message_id), _SUBMIT_SM | _RESPONSE, 0, sequence_number))
                output.append(message_id + b"\0")
                if self.receipts:
                    output.append(self._receipt(data[at + 16 : at + octets], message_id))
            elif not command_id & _RESPONSE:
                output.append(_HEADER.pack(17, command_id | _RESPONSE, 0, sequence_number) + b"\0")
            at += octets
        self._tail = data[at:]
        if output:
            self._transport.write(b"".join(output))

    def _receipt(self, submit: bytes, message_id: bytes) -> bytes:
        """Write the receipt: from the phone to the sender, with the classic text."""
        source_end = submit.index(0, submit.index(0) + 3)
        phone = submit[source_end + 3 : submit.index(0, source_end + 3)]
        text = _RECEIPT % message_id
        body = (
            b"\0\1\1"
            + phone
            + b"\0\5\0ACMEOT\0"
            + b"\4\0\0"
            + b"\0\0"
            + bytes(4)
            + bytes((len(text),))
            + text
        )
        return _HEADER.pack(16 + len(body), _DELIVER_SM, 0, self._count) + body


async def main(port: int) -> None:
    server = await asyncio.get_running_loop().create_server(Sink, "127.0.0.1", port)
    await server.serve_forever()


if __name__ == "__main__":
    Sink.receipts = "--receipts" in sys.argv
    uvloop.run(main(int(sys.argv[1])))
