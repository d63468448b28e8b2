"""Where operators come in: by a token once, by password and second factor from then, to see what there is."""

from collections.abc import Mapping
from typing import Any, Final

import msgspec
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import Conflict, InvalidRequest, NotFound
from dastak.core.ids import digest_of
from dastak.core.people_store import Invitation
from dastak.core.person import name_key
from dastak.flows import sign_in as flow
from dastak.flows.sign_up import check_new_password, person_of
from dastak.tenancy.console_service import CONSOLE_SERVICE, CONSOLE_TENANT
from dastak.web.browser_session import form_token
from dastak.web.login.login_house import ACCOUNT_PATH, LoginHouse, Place
from dastak.web.login.sign_in_desk import Operator
from dastak.web.page_answers import read_form, see_other

CONSOLE_PATH: Final = "/console"
SETUP_PATH: Final = "/console/setup"
FORM: Final = "setup"
_TOKEN_CHARACTERS_MAX: Final = 100


def console_routes(rooms: LoginHouse) -> list[Route]:
    """Return the start page of operators, and the page that a token opens."""

    async def start(request: Request) -> Response:
        operator = await rooms.desk.operator_of(request)
        if operator is None:
            return see_other(rooms.desk.console_address(CONSOLE_PATH))
        place = await rooms.place_of(request, CONSOLE_TENANT, CONSOLE_SERVICE)
        return place.show("console.html", _seen(rooms, operator, place))

    async def setup(request: Request) -> Response:
        place = await rooms.place_of(request, CONSOLE_TENANT, CONSOLE_SERVICE)
        token = request.path_params["token"][:_TOKEN_CHARACTERS_MAX]
        invited = await _invited(place, token)
        return await (_take if request.method == "POST" else _show)(place, invited)

    return [
        Route(CONSOLE_PATH, rooms.house.for_people(start), methods=["GET"]),
        Route(SETUP_PATH + "/{token:str}", rooms.house.for_people(setup), methods=["GET", "POST"]),
    ]


async def _invited(place: Place, token: str) -> Invitation:
    """Return whom a token invites. Raises: NotFound (it was used, is too old, or none of ours)."""
    found = await place.login.people.invitation_of(digest_of(token))
    if found is None or place.login.ports.clock.now() >= found.expires_at:
        raise NotFound("This invitation was used, or its time is over.")
    return found


async def _show(place: Place, invited: Invitation) -> Response:
    return _page(place, invited, "")


def _page(place: Place, invited: Invitation, error: str, status: int = 200) -> Response:
    secret = place.secret or place.cookies.new()
    values = {"form": form_token(secret, FORM), "username": invited.username, "error": error}
    answer = place.show("console_setup.html", values, status)
    return answer if place.secret else place.cookies.give(answer, secret)


async def _take(place: Place, invited: Invitation) -> Response:
    """Make the account; its person is in when a second factor is proved, and not before."""
    form = await read_form(place.request)
    place.check(FORM, form)
    name, password = invited.username, form.get("password", "")
    try:
        check_new_password(place.login, name, password)
        digest = invited.digest
        person = await person_of(place.login, place.settings, name, password, invited_by=digest)
        person = msgspec.structs.replace(person, tenant=invited.tenant)
        await place.login.people.put_person(person, name_key(name), invited_by=invited.digest)
    except (InvalidRequest, Conflict) as error:
        return _page(place, invited, error.detail, 422)
    secret = place.cookies.new()
    wish = flow.wished(place.login, place.settings, place.visitor, digest_of(secret), next_path=CONSOLE_PATH)
    passed = flow.Passed(person=person, known=None, claims=())
    await flow.begin(place.login, place.settings, place.visitor, passed, wish, device_digest=b"")
    return place.cookies.give(see_other(place.path(ACCOUNT_PATH)), secret)


def _seen(rooms: LoginHouse, operator: Operator, place: Place) -> Mapping[str, Any]:
    """Return what an operator may look after."""
    tenancy = rooms.house.directory.tenancy
    tenants = [
        {
            "name": tenant.name,
            "suspended": tenant.suspended,
            "services": [one for one in tenancy.services if one.tenant == tenant.n],
        }
        for tenant in tenancy.tenants
        if tenant.name != CONSOLE_TENANT and operator.tenant in (None, tenant.n)
    ]
    return {"name": operator.name, "tenants": tenants, "account": place.path(ACCOUNT_PATH)}
