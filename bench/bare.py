"""The floor: our edge in front of a constant answer, so that the product's own cost can be told apart."""

import socket
import sys

import uvicorn
import uvloop

from dastak.api.door import Door, DoorSettings
from dastak.api.edge import asgi, edge_protocol
from dastak.api.exchange import Request, Response

BODY = b'{"id":"ver_00000000000000000000000000000000","state":"pending"}'


async def constant(request: Request) -> Response:
    del request
    return Response(201, BODY)


async def main(port: int) -> None:
    async with Door(DoorSettings()) as door:
        config = uvicorn.Config(
            asgi(constant),
            http=edge_protocol(door, constant),
            lifespan="off",
            log_config=None,
            ws="none",
        )
        await uvicorn.Server(config).serve([socket.create_server(("127.0.0.1", port))])


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
