"""Factors over HTTP: authenticators and printed lists, made, listed, brought into step, removed."""

import base64
import binascii
from datetime import datetime
from typing import Annotated, Any, Final, Literal

import msgspec
import segno
from msgspec import Meta

from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.core import ids
from dastak.core.errors import InvalidRequest
from dastak.core.factor import LABEL_CHARACTERS_MAX, Factor, FactorState, codes_left
from dastak.core.hash_chain import SEQUENCE_LOW
from dastak.core.msisdn import mask, parse
from dastak.core.oath import DIGITS_MAX, DIGITS_MIN, STEP_S, STEP_S_MAX, HashFunction
from dastak.core.policy import Channel
from dastak.core.tenant import Scope
from dastak.flows import factors
from dastak.flows.factors import CHAIN_CODES, Enrolled, Enrolment, link

# RFC 4648 without the padding, which `otpauth:` links leave out.
_BASE32_CHARACTERS_MAX: Final = 208
_TYPED_CHARACTERS_MAX: Final = 64
# A sheet of paper; working out more would hold the loop.
PRINTED_MAX: Final = 500
_EXAMPLE_ID: Final = "fac_5f0c1d2e3b4a59687786a5b4c3d2e1f0"

Typed = Annotated[str, Meta(min_length=1, max_length=_TYPED_CHARACTERS_MAX)]


class EnrolBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Make a factor for a number."""

    to: Annotated[str, Meta(max_length=64, description="The number in E.164.", examples=["+919876543210"])]
    kind: Annotated[
        Literal["totp", "hotp", "hash_chain"],
        Meta(description="An authenticator by time or by counter, or a printed list."),
    ]
    label: Annotated[
        str,
        Meta(max_length=LABEL_CHARACTERS_MAX, description="What its person calls it.", examples=["phone"]),
    ] = ""
    account: Annotated[
        str,
        Meta(
            max_length=LABEL_CHARACTERS_MAX, description="Shown in the authenticator; the number if absent."
        ),
    ] = ""
    secret: (
        Annotated[
            str,
            Meta(
                max_length=_BASE32_CHARACTERS_MAX,
                description="Of an authenticator that exists already, in base32; made if absent.",
            ),
        ]
        | None
    ) = None
    digits: Annotated[int, Meta(ge=DIGITS_MIN, le=DIGITS_MAX)] = DIGITS_MIN
    algorithm: HashFunction = HashFunction.SHA1
    period_s: Annotated[int, Meta(ge=STEP_S, le=STEP_S_MAX, description="Of a code by time.")] = STEP_S
    codes: Annotated[
        int, Meta(ge=SEQUENCE_LOW, le=PRINTED_MAX, description="How many a printed list has.")
    ] = CHAIN_CODES


class ResyncBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Bring an authenticator into step."""

    codes: Annotated[
        tuple[Typed, ...],
        Meta(min_length=2, max_length=3, description="As it shows them, one after another."),
    ]


class FactorView(msgspec.Struct, frozen=True, kw_only=True):
    """A factor as its tenant sees it; never its secret."""

    id: Annotated[str, Meta(examples=[_EXAMPLE_ID])]
    kind: Channel
    state: Annotated[FactorState, Meta(description="`pending` until a code of it was right.")]
    to_masked: Annotated[str, Meta(examples=["+9198******10"])]
    label: str
    mode: str
    created_at: datetime
    codes_left: Annotated[int, Meta(description="Of a printed list; null for an authenticator.")] | None


class NewFactorView(FactorView, frozen=True, kw_only=True):
    """A new factor, with what its person must see now: it is never shown again."""

    secret: Annotated[str, Meta(description="In base32, to be typed into an authenticator.")] | None = None
    uri: Annotated[str, Meta(description="`otpauth:` link of it.")] | None = None
    qr_svg: Annotated[str, Meta(description="The link as a QR code, an SVG image.")] | None = None
    printed: Annotated[
        tuple[str, ...],
        Meta(
            description="The codes of a list, in the order in which they are asked for. `printed[i]` has the "
            "number `codes` - 1 - i in a `challenge`: print it beside the code."
        ),
    ] = ()


class FactorsView(msgspec.Struct, frozen=True, kw_only=True):
    """The factors of a number, newest first."""

    factors: tuple[FactorView, ...]


async def enrol_factor(api: Api, call: Call) -> Response:
    """POST /v1/factors."""
    body: EnrolBody = call.body
    wanted = Enrolment(
        to=body.to,
        kind=Channel(body.kind),
        label=body.label,
        seed=None if body.secret is None else read_secret(body.secret),
        digits=body.digits,
        hash_function=body.algorithm,
        step_s=body.period_s,
        codes=body.codes,
    )
    issuer = call.caller.service.brand
    return await api.once(
        call,
        act=lambda once: factors.enrol(api.ports, call.caller, wanted, once=once),
        show=lambda made: answer(201, new_view(made, issuer=issuer, account=body.account)),
        keep=lambda factor: answer(201, view(factor)),
    )


async def list_factors(api: Api, call: Call) -> Response:
    """GET /v1/factors."""
    if "to" not in call.query:
        raise InvalidRequest("Say of which number: `?to=%2B919876543210`.", field="to")
    # An unescaped + in a query means a space; nothing else could begin with one.
    msisdn = parse(call.query["to"].replace(" ", "+", 1)).msisdn
    found = await api.ports.store.factors.factors_of(call.caller.tenant.n, call.caller.key.mode, msisdn)
    return answer(200, FactorsView(factors=tuple(map(view, found))))


async def show_factor(api: Api, call: Call) -> Response:
    """GET /v1/factors/{id}."""
    return answer(200, view(await factors.find(api.ports, call.caller, ids.read_factor(call.arguments[0]))))


async def resync_factor(api: Api, call: Call) -> Response:
    """POST /v1/factors/{id}/resync."""
    body: ResyncBody = call.body
    factor_id = ids.read_factor(call.arguments[0])
    return await api.once(
        call,
        act=lambda once: factors.resync(api.ports, call.caller, factor_id, body.codes, once=once),
        show=lambda factor: answer(200, view(factor)),
    )


async def remove_factor(api: Api, call: Call) -> Response:
    """DELETE /v1/factors/{id}."""
    factor_id = ids.read_factor(call.arguments[0])
    return await api.once(
        call,
        act=lambda once: factors.remove(api.ports, call.caller, factor_id, once=once),
        show=lambda factor: answer(200, view(factor)),
    )


def read_secret(text: str) -> bytes:
    """Read a seed in base32, in any case, with spaces, with or without padding. Raises: InvalidRequest."""
    bare = "".join(text.split()).rstrip("=").upper()
    try:
        return base64.b32decode(bare + "=" * (-len(bare) % 8))
    except (binascii.Error, ValueError) as error:
        raise InvalidRequest("`secret` is not base32.", field="secret") from error


def view(factor: Factor) -> FactorView:
    """Show a factor to its tenant."""
    return FactorView(**_shared(factor))


def new_view(made: Enrolled, *, issuer: str, account: str) -> NewFactorView:
    """Show a new factor, and its secret this once."""
    if made.seed is None:
        return NewFactorView(**_shared(made.factor), printed=made.printed)
    secret = base64.b32encode(made.seed).decode("ascii").rstrip("=")
    uri = link(made.factor, secret, issuer=issuer, account=account or made.factor.msisdn)
    return NewFactorView(**_shared(made.factor), secret=secret, uri=uri, qr_svg=qr_svg(uri))


def qr_svg(text: str) -> str:
    """Draw a QR code, dark on light, for a page of any colour."""
    return str(segno.make(text, error="m", micro=False).svg_inline(scale=4, border=4, light="#fff"))


def _shared(factor: Factor) -> dict[str, Any]:
    return {
        "id": ids.show_factor(factor.id),
        "kind": factor.kind,
        "state": factor.state,
        "to_masked": mask(factor.msisdn),
        "label": factor.label,
        "mode": factor.mode,
        "created_at": factor.created_at,
        "codes_left": codes_left(factor),
    }


_ID: Final = "/v1/factors/{id}"

ENDPOINTS: Final = (
    Endpoint(
        method="POST",
        path="/v1/factors",
        scope=Scope.START,
        handler=enrol_factor,
        summary="Make an authenticator or a printed list for a number; its first right code proves it",
        takes=EnrolBody,
        gives=NewFactorView,
        status=201,
        refusals=(409,),
    ),
    Endpoint(
        method="GET",
        path="/v1/factors",
        scope=Scope.READ,
        handler=list_factors,
        summary="List the factors of a number, newest first",
        gives=FactorsView,
        parameters=(("to", "The number, in E.164 with the + percent-encoded."),),
    ),
    Endpoint(
        method="GET",
        path=_ID,
        scope=Scope.READ,
        handler=show_factor,
        summary="Look at a factor",
        gives=FactorView,
        refusals=(404,),
    ),
    Endpoint(
        method="POST",
        path=f"{_ID}/resync",
        scope=Scope.CHECK,
        handler=resync_factor,
        summary="Bring an authenticator into step again, by two or three codes in a row",
        takes=ResyncBody,
        gives=FactorView,
        refusals=(404,),
    ),
    Endpoint(
        method="DELETE",
        path=_ID,
        scope=Scope.START,
        handler=remove_factor,
        summary="Take a factor away, and its secret with it",
        gives=FactorView,
        refusals=(404,),
    ),
)
