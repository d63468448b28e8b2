"""The table of endpoints, and the way of every request through it: find, authenticate, read, handle.

1. Nothing is read from a body before its sender is known and may do what it asks.
2. What stands in no table and no record is refused: unknown paths, methods, fields, parameters.
"""

import json
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime
from typing import Any, Final, TypeVar
from urllib.parse import parse_qsl

import msgspec

from dastak.api import problems
from dastak.api.exchange import Request, Response
from dastak.api.idempotency import Turns, answer_once
from dastak.carriers.fleet import Fleet
from dastak.carriers.trial_desk import TrialDesk
from dastak.core.code_page import CodePageStore
from dastak.core.dlt_store import DltStore
from dastak.core.errors import DastakError, Forbidden, InvalidRequest, MalformedRequest
from dastak.core.landing_store import LandingStore
from dastak.core.oidc_store import OidcStore
from dastak.core.people_store import PeopleStore
from dastak.core.ports import Once, Ports, Replayed
from dastak.core.reply_store import ReplyStore
from dastak.core.tenant import Caller, Scope, Service
from dastak.delivery.health import Health
from dastak.dlt.registers import Registers
from dastak.tenancy.directory import Directory
from dastak.tenancy.domains.domain_proof import DomainProofs

T = TypeVar("T")

QUERY_FIELDS_MAX: Final = 20
# Stands for any part in the tree of paths. No part is called so, because paths are divided there.
_ANY: Final = "/"


class Api(msgspec.Struct, frozen=True, kw_only=True):
    """What handlers work with.

    Attributes:
        exploration: The share of messages that go first to a little known route.
        private_checks: Whether a customer's own check of passwords may be in our network.
        public_url: Where people reach our pages, without a slash at the end.
        domains: Says which domains a caller may give to a service.
    """

    ports: Ports
    directory: Directory
    fleet: Fleet
    registers: Registers
    dlt_store: DltStore
    replies: ReplyStore
    oidc: OidcStore
    people: PeopleStore
    landing: LandingStore
    trials: TrialDesk
    health: Health
    exploration: float
    turns: Turns
    code_pages: CodePageStore
    public_url: str
    private_checks: bool
    domains: DomainProofs

    async def put_service(
        self, call: "Call", put: Callable[..., Awaitable[Service]], wanted: Service, once: Once | None
    ) -> Service:
        """Write a service, with the domains that a caller may give it. Raises: as `put`, and `grant`."""
        services, named = self.directory.tenancy.services, call.body.domains is not None
        grant = await self.domains.grant(call.caller, wanted, services, named=named)
        return await put(self.ports.store, wanted, grant=grant, once=once)

    def once(
        self,
        call: "Call",
        *,
        act: Callable[[Once | None], Awaitable[T | Replayed]],
        show: Callable[[T], Response],
        keep: Callable[[Any], Response] | None = None,
    ) -> Awaitable[Response]:
        """Act on a write and answer it; see `answer_once`."""
        return answer_once(
            self.ports.store,
            self.turns,
            call.request,
            call.caller,
            clock=self.ports.clock,
            act=act,
            show=show,
            keep=keep,
        )


class Call(msgspec.Struct, frozen=True):
    """One authenticated request on its way to its handler.

    Attributes:
        arguments: The variable parts of the path, in order.
        query: Parameters, each once.
        body: A record of the endpoint's `takes`, or None.
    """

    request: Request
    caller: Caller
    arguments: tuple[str, ...]
    query: dict[str, str]
    body: Any


class Endpoint(msgspec.Struct, frozen=True, kw_only=True):
    """One row of the table; the OpenAPI document is made from the rows.

    Attributes:
        path: Variable parts in braces.
        takes: The record of the body; None takes no body.
        optional_body: Whether an empty body stands for a record without fields.
        gives: The record of the answer.
        status: The status of success.
        parameters: Query parameters and what they mean.
        refusals: Other codes it answers with, besides those every endpoint has.
    """

    method: str
    path: str
    scope: Scope
    handler: Callable[[Api, Call], Awaitable[Response]]
    summary: str
    gives: Any
    takes: Any = None
    optional_body: bool = False
    status: int = 200
    parameters: tuple[tuple[str, str], ...] = ()
    refusals: tuple[int, ...] = ()


# Of msgspec's sentences, those that would go on with what was sent: a value, or a name that may be one.
_REPEATING: Final = ("Invalid enum value", "Object contains unknown field")

_Decoder = msgspec.json.Decoder[Any] | None
_Methods = dict[str, tuple[Endpoint, _Decoder]]


class Dispatcher:
    """Answers every request of the native API, and tells of each the endpoint and the status."""

    def __init__(
        self, api: Api, endpoints: Sequence[Endpoint], *, on_answer: Callable[[str, int], None]
    ) -> None:
        self._api = api
        self._on_answer = on_answer
        self._tree: dict[str, Any] = {}
        for endpoint in endpoints:
            self._plant(endpoint)

    async def respond(self, request: Request) -> Response:
        """Answer one request; every refusal of ours becomes a problem."""
        found, arguments = self._find(request.path)
        path, response = "", None
        try:
            if not found:
                response = problems.of_http("no_such_path")
            elif request.method not in found:
                response = problems.of_http("method_not_allowed", (b"allow", ", ".join(found).encode()))
            else:
                endpoint, decoder = found[request.method]
                path = endpoint.path
                response = await self._handle(request, endpoint, decoder, arguments)
        except DastakError as error:
            response = problems.of_error(error)
        finally:
            # What a defect of ours raises is answered, and written down, by the edge.
            self._on_answer(path, 500 if response is None else response.status)
        return response

    async def _handle(
        self, request: Request, endpoint: Endpoint, decoder: _Decoder, arguments: tuple[str, ...]
    ) -> Response:
        if request.headers.get(b"content-encoding", b"identity") != b"identity":
            return problems.of_http("unsupported_media_type")
        caller = _authenticate(self._api, request, endpoint.scope)
        query = _read_query(request.query, endpoint) if request.query else {}
        if endpoint.takes is not None and not _is_json(request):
            return problems.of_http("unsupported_media_type")
        body = _read_body(request.body, endpoint, decoder)
        return await endpoint.handler(self._api, Call(request, caller, arguments, query, body))

    def _plant(self, endpoint: Endpoint) -> None:
        node = self._tree
        for part in endpoint.path.strip("/").split("/"):
            node = node.setdefault(_ANY if part.startswith("{") else part, {})
        decoder = None if endpoint.takes is None else msgspec.json.Decoder(endpoint.takes)
        node.setdefault("", {})[endpoint.method] = (endpoint, decoder)

    def _find(self, path: str) -> tuple[_Methods, tuple[str, ...]]:
        """Walk the tree of path parts: literal before variable; at most as deep as the deepest endpoint."""
        node: dict[str, Any] | None = self._tree
        arguments: tuple[str, ...] = ()
        for part in path[1:].split("/"):
            assert node is not None
            below = node.get(part) if part else None
            if below is None:
                below = node.get(_ANY) if part else None
                arguments = (*arguments, part)
            if below is None:
                return {}, ()
            node = below
        return (node or {}).get("", {}), arguments


def _authenticate(api: Api, request: Request, scope: Scope) -> Caller:
    if "dk_" in request.query:
        raise MalformedRequest("A key does not belong into an address; revoke it and use a header.")
    caller = api.directory.caller(request.headers.get(b"authorization"))
    if not _may(caller, scope):
        raise Forbidden(f"This key may not do that; it needs the scope `{scope}`.", reason="scope")
    return caller


def _may(caller: Caller, scope: Scope) -> bool:
    """Say whether a key has a scope; an operator is the admin of every tenant."""
    held = caller.key.scopes
    return scope in held or (scope is Scope.ADMIN and Scope.OPERATOR in held)


def _is_json(request: Request) -> bool:
    kind = request.headers.get(b"content-type", b"application/json")
    return kind.split(b";", 1)[0].strip().lower() == b"application/json"


def _read_query(query: str, endpoint: Endpoint) -> dict[str, str]:
    try:
        pairs = parse_qsl(query, keep_blank_values=True, strict_parsing=True, max_num_fields=QUERY_FIELDS_MAX)
    except ValueError as error:
        raise MalformedRequest("The query is not well formed.") from error
    known = {name for name, _ in endpoint.parameters}
    fields = dict(pairs)
    if len(fields) != len(pairs):
        raise MalformedRequest("A query parameter stands twice.")
    for name in fields:
        if name not in known:
            raise MalformedRequest(
                f"The query has an unknown parameter; known here: {', '.join(sorted(known))}."
            )
    return fields


def _read_body(body: bytes, endpoint: Endpoint, decoder: _Decoder) -> Any:
    if decoder is None:
        if body:
            raise MalformedRequest("This endpoint takes no body.")
        return None
    if not body and endpoint.optional_body:
        body = b"{}"
    try:
        read = decoder.decode(body)
    except msgspec.ValidationError as error:
        raise invalid(error) from error
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise MalformedRequest("The body is not JSON as RFC 8259 has it.") from error
    # Only a body with two colons can have a key twice.
    if body.count(b":") > 1:
        _refuse_repeated_keys(body)
    return read


def invalid(error: msgspec.ValidationError) -> DastakError:
    """Say which field is wrong and why, but repeat nothing that was sent."""
    reason, at, where = str(error).rpartition(" - at `$.")
    if not at:
        reason, where = where, ""
    reason = next((beginning for beginning in _REPEATING if reason.startswith(beginning)), reason)
    field = where.rstrip("`") or None
    return InvalidRequest(f"{reason}." if field is None else f"`{field}`: {reason}.", field=field)


def _refuse_repeated_keys(body: bytes) -> None:
    def pairs(found: list[tuple[str, Any]]) -> None:
        if len({key for key, _ in found}) != len(found):
            raise MalformedRequest("The body has a key twice.")

    json.loads(body, object_pairs_hook=pairs)


def instant(text: str, field: str) -> datetime:
    """Read an RFC 3339 instant from a query. Raises: InvalidRequest."""
    try:
        read = msgspec.convert(text, datetime)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"`{field}` is an instant like 2026-11-23T10:00:00Z.", field=field) from error
    if read.tzinfo is None:
        raise InvalidRequest(f"`{field}` needs a time zone, such as the Z of UTC.", field=field)
    return read
