"""Make the OpenAPI 3.1 document from the table of endpoints, so that it is complete and cannot lie."""

import json
import re
from collections.abc import Sequence
from typing import Any, Final

import msgspec

from dastak import __version__
from dastak.api.endpoints import Endpoint
from dastak.api.idempotency import KEY_CHARACTERS_MAX
from dastak.api.problems import Problem

REF_TEMPLATE: Final = "#/components/schemas/{name}"

# What every endpoint may answer, whoever asks.
ALWAYS: Final = {
    400: "The request cannot be read.",
    401: "No valid key was given.",
    403: "The key may not do that, or a rule refuses it.",
    404: "There is no such thing, or it is not yours.",
    408: "The request came too slowly.",
    413: "The body is too large.",
    415: "The body is not uncompressed JSON.",
    422: "A field or a value is not valid.",
    431: "The headers are too large.",
    500: "Our fault.",
    503: "Not possible now; try again after `Retry-After` seconds.",
}
SOMETIMES: Final = {
    409: "The present state forbids it.",
    410: "Its time ran out.",
    429: "Too often; try again after `Retry-After` seconds.",
}

_IDEMPOTENCY: Final = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "description": "The same request with the same key gets the first answer again and changes nothing.",
    "schema": {"type": "string", "minLength": 1, "maxLength": KEY_CHARACTERS_MAX, "pattern": "^[!-~]+$"},
}


def document(endpoints: Sequence[Endpoint]) -> dict[str, Any]:
    """Return the OpenAPI 3.1 document of a table of endpoints."""
    types = [kind for endpoint in endpoints for kind in (endpoint.takes, endpoint.gives) if kind is not None]
    _, components = msgspec.json.schema_components([*types, Problem], ref_template=REF_TEMPLATE)
    paths: dict[str, Any] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "Dastak",
            "version": __version__,
            "description": "One-time codes by SMS: start a verification, check what the person typed.",
            "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
        },
        "security": [{"key": []}],
        "paths": paths,
        "components": {
            "schemas": _referenced(components, paths),
            "securitySchemes": {
                "key": {
                    "type": "http",
                    "scheme": "bearer",
                    "description": "An API key: `dk_test_…`, `dk_live_…`.",
                }
            },
        },
    }


def _referenced(components: dict[str, Any], paths: dict[str, Any]) -> dict[str, Any]:
    """Return the schemas that are referred to: the keys of an object have one that nobody can refer to."""
    text = json.dumps([components, paths])
    return {name: kept for name, kept in components.items() if REF_TEMPLATE.format(name=name) in text}


def _operation(endpoint: Endpoint) -> dict[str, Any]:
    named = [
        {
            "name": name,
            "in": "path",
            "required": True,
            "schema": {"type": "string", "minLength": 1, "maxLength": 64},
        }
        for name in re.findall(r"\{(\w+)\}", endpoint.path)
    ]
    asked = [
        {"name": name, "in": "query", "required": False, "description": meaning, "schema": {"type": "string"}}
        for name, meaning in endpoint.parameters
    ]
    writes = [_IDEMPOTENCY] if endpoint.method != "GET" else []
    operation: dict[str, Any] = {
        "operationId": endpoint.handler.__name__,
        "summary": endpoint.summary,
        "description": f"Needs the scope `{endpoint.scope}`.",
        "parameters": [*named, *asked, *writes],
        "responses": _responses(endpoint),
    }
    if endpoint.takes is not None:
        operation["requestBody"] = {
            "required": not endpoint.optional_body,
            "content": {"application/json": {"schema": _reference(endpoint.takes)}},
        }
    return operation


def _responses(endpoint: Endpoint) -> dict[str, Any]:
    refusals = ALWAYS | {status: SOMETIMES[status] for status in endpoint.refusals if status in SOMETIMES}
    success = {
        "description": endpoint.summary,
        "content": {"application/json": {"schema": _reference(endpoint.gives)}},
    }
    problem = {"application/problem+json": {"schema": _reference(Problem)}}
    answers = {
        str(status): {"description": meaning, "content": problem}
        for status, meaning in sorted(refusals.items())
    }
    return {str(endpoint.status): success, **answers}


def _reference(kind: Any) -> dict[str, Any]:
    (schema,), _ = msgspec.json.schema_components([kind], ref_template=REF_TEMPLATE)
    return schema
