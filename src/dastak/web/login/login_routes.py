"""All pages of the login, in one list."""

from starlette.routing import Route

from dastak.web.login.account_code_pages import account_code_routes
from dastak.web.login.console_pages import console_routes
from dastak.web.login.forgotten_pages import forgotten_routes
from dastak.web.login.login_house import LoginHouse
from dastak.web.login.own_account_pages import account_routes
from dastak.web.login.sign_in_pages import sign_in_routes
from dastak.web.login.sign_up_pages import sign_up_routes


def login_routes(rooms: LoginHouse) -> list[Route]:
    """Return the pages; those with fixed names come before those with any."""
    return [
        *sign_up_routes(rooms),
        *forgotten_routes(rooms),
        *sign_in_routes(rooms),
        *account_code_routes(rooms),
        *account_routes(rooms),
        *console_routes(rooms),
    ]
