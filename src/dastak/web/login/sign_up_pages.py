"""Make an account at a service that is open to everybody; the first thing it offers is a second factor."""

from collections.abc import Mapping
from typing import Any, Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import Conflict, InvalidRequest, NotFound
from dastak.core.ids import digest_of
from dastak.flows import sign_in as flow
from dastak.flows.sign_up import sign_up
from dastak.web.browser_session import form_token
from dastak.web.login.login_house import DEVICE_MAX_AGE_S, LoginHouse, Place, begin_again
from dastak.web.login.next_path import next_path
from dastak.web.login.sign_in_desk import LOGIN_PATH
from dastak.web.page_answers import read_form, see_other

FORM: Final = "sign-up"


def sign_up_routes(rooms: LoginHouse) -> list[Route]:
    """Return the page."""

    async def answer(request: Request) -> Response:
        place = await rooms.place(request)
        if not place.settings.open_sign_up:
            raise NotFound("Nobody makes accounts here.")
        return await (_take if request.method == "POST" else _show)(place)

    path = LOGIN_PATH + "/{tenant:str}/{service:str}/sign-up"
    return [Route(path, rooms.house.for_people(answer), methods=["GET", "POST"])]


async def _show(place: Place) -> Response:
    return _page(place, {"next": next_path(place.request.query_params.get("next"))})


def _page(place: Place, values: Mapping[str, Any], status: int = 200) -> Response:
    secret = place.secret or place.cookies.new()
    shown = {
        "form": form_token(secret, FORM),
        "username": "",
        "error": "",
        "field": "",
        "sign_in": place.sign_in(next=values["next"]),
        **values,
    }
    answer = place.show("sign_up.html", shown, status)
    return answer if place.secret else place.cookies.give(answer, secret)


async def _take(place: Place) -> Response:
    form = await read_form(place.request)
    place.check(FORM, form)
    visitor, settings = place.visitor, place.settings
    username, password = form.get("username", ""), form.get("password", "")
    try:
        person = await sign_up(place.login, settings, visitor, username, password)
    except (InvalidRequest, Conflict) as error:
        return _again(place, form, error)
    secret, device = place.cookies.new(), place.rooms.devices.new()
    wish = flow.wished(
        place.login, settings, visitor, digest_of(secret), next_path=next_path(form.get("next"))
    )
    passed = flow.Passed(person=person, known=None, claims=())
    session = await flow.begin(place.login, settings, visitor, passed, wish, device_digest=digest_of(device))
    if session is None:
        return begin_again(place, None)
    answer = see_other(place.account())
    place.rooms.devices.give(answer, device, max_age_s=DEVICE_MAX_AGE_S)
    return place.cookies.give(answer, secret)


def _again(place: Place, form: Mapping[str, str], error: InvalidRequest | Conflict) -> Response:
    field = (error.field or "") if isinstance(error, InvalidRequest) else ""
    about_password = field.startswith("password")
    sentence = "sign_up_taken" if isinstance(error, Conflict) else "sign_up_name_bad"
    values = {
        "next": next_path(form.get("next")),
        "username": form.get("username", "")[:64],
        "error": place.words.say("sign_up_password_bad" if about_password else sentence),
        "field": "password" if about_password else "username",
    }
    return _page(place, values, 422)
