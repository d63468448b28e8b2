"""Every request that reaches the table of endpoints is counted, whatever came of it."""

import asyncio
import contextlib
from typing import Any, NoReturn

import pytest

from dastak.api.endpoints import Api, Dispatcher, Endpoint
from dastak.api.exchange import Request
from dastak.api.idempotency import Turns
from dastak.core.errors import Unauthenticated
from dastak.core.tenant import Scope


class Directory:
    """Knows nobody, in a way of its own."""

    def __init__(self, error: Exception) -> None:
        self.error = error

    def caller(self, _authorization: bytes | None) -> NoReturn:
        raise self.error


async def never(_api: Api, _call: Any) -> NoReturn:
    raise AssertionError


def asked(method: str, path: str, error: Exception) -> list[tuple[str, int]]:
    counted: list[tuple[str, int]] = []
    endpoint = Endpoint(
        method="GET", path="/v1/x/{id}", scope=Scope.READ, handler=never, summary="", gives=None
    )
    parts: Any = dict.fromkeys(set(Api.__struct_fields__) - {"directory", "turns"})
    api: Any = Api(directory=Directory(error), turns=Turns(), **parts)  # type: ignore[arg-type]
    dispatcher = Dispatcher(api, [endpoint], on_answer=lambda *answer: counted.append(answer))
    request = Request(method, path, "", {}, b"", "")
    with contextlib.suppress(ZeroDivisionError):
        asyncio.run(dispatcher.respond(request))
    return counted


@pytest.mark.parametrize(
    ("method", "path", "error", "counted"),
    [
        ("GET", "/v1/x/1", Unauthenticated("no"), ("/v1/x/{id}", 401)),
        ("GET", "/v1/x/1", ZeroDivisionError(), ("/v1/x/{id}", 500)),
        ("PUT", "/v1/x/1", ZeroDivisionError(), ("", 405)),
        ("GET", "/v1/x/{}", Unauthenticated("no"), ("/v1/x/{id}", 401)),
        ("GET", "/v1/{}/1", ZeroDivisionError(), ("", 404)),
        ("GET", "/v1/x/", ZeroDivisionError(), ("", 404)),
    ],
)
def test_answer_is_counted(method: str, path: str, error: Exception, counted: tuple[str, int]) -> None:
    assert asked(method, path, error) == [counted]
