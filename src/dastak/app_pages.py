"""Wire the pages for people: what they share, and each group of them."""

from starlette.routing import Route

from dastak.config import Settings, SignInSettings
from dastak.core.login_settings import LoginSettings
from dastak.core.people_store import LoginPorts, PeopleStore
from dastak.core.ports import Ports
from dastak.tenancy.directory import Directory
from dastak.tenancy.known_passwords import read_breached
from dastak.tenancy.password_hashes import PasswordHashes
from dastak.web.code_step import CodeStep
from dastak.web.login.login_house import LoginHouse
from dastak.web.login.login_routes import login_routes
from dastak.web.login.sign_in_desk import SignInDesk
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates


def people_routes(
    ports: Ports, directory: Directory, people: PeopleStore, settings: Settings, *, url: str
) -> list[Route]:
    """Return every page for people.

    Args:
        ports: What the flows may touch.
        directory: Knows the services whose pages these are.
        people: Where people are written down.
        settings: As read at start.
        url: Where we listen, which is where people reach us unless the settings say otherwise.
    """
    files = PageFiles()
    house = PageHouse(
        ports=ports,
        directory=directory,
        templates=PageTemplates(files),
        public_url=(settings.server.public_url or url).rstrip("/"),
    )
    return [*_groups(house, login_house(house, people, settings.login)), *files.routes()]


def login_house(house: PageHouse, people: PeopleStore, settings: SignInSettings) -> LoginHouse:
    """Put the parts of the login together."""
    passwords = PasswordHashes(read_breached(settings.breached_passwords))
    return LoginHouse(
        house=house,
        login=LoginPorts(
            ports=house.ports, people=people, passwords=passwords, asks_elsewhere=_nobody_elsewhere
        ),
        desk=SignInDesk(house, people),
        step=CodeStep(house),
        proxies=settings.trusted_proxies,
    )


async def _nobody_elsewhere(_settings: LoginSettings, _username: str, _password: str) -> bool:
    return False


def _groups(_house: PageHouse, rooms: LoginHouse) -> list[Route]:
    return login_routes(rooms)
