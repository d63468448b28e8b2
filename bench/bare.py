"""The floor: our edge in front of a constant answer, so that the product's own cost can be told apart."""

import socket
import sys
import time

import uvicorn
import uvloop

from dastak.api.asgi_way import asgi
from dastak.api.door import Door, DoorSettings
from dastak.api.edge import edge_protocol
from dastak.api.exchange import Request, Response
from dastak.api.gate import Gate
from dastak.core.errors import Unauthenticated
from dastak.core.tenant import Caller
from dastak.guard.shedding import Kind, Shedding

BODY = b'{"id":"ver_00000000000000000000000000000000","state":"pending"}'


async def constant(request: Request) -> Response:
    del request
    return Response(201, BODY)


def nobody(authorization: bytes | None) -> Caller:
    raise Unauthenticated(f"Nobody is known here, whoever sent {authorization!r}.")


def shed(kind: Kind) -> None:
    raise RuntimeError(f"a constant answer never waits, so no {kind} was to be refused")


async def main(port: int) -> None:
    gate = Gate(Shedding(time.monotonic()), caller_of=nobody, time_s=time.monotonic, on_shed=shed)
    async with Door(DoorSettings()) as door:
        config = uvicorn.Config(
            asgi(gate, constant),
            http=edge_protocol(door, gate, constant),
            lifespan="off",
            log_config=None,
            ws="none",
        )
        await uvicorn.Server(config).serve([socket.create_server(("127.0.0.1", port))])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
