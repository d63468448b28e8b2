"""Wire the pages for people: what they share, and each group of them."""

from starlette.routing import Route

from dastak.core.ports import Ports
from dastak.tenancy.directory import Directory
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates


def people_routes(ports: Ports, directory: Directory, *, public_url: str) -> list[Route]:
    """Return every page for people.

    Args:
        ports: What the flows may touch.
        directory: Knows the services whose pages these are.
        public_url: Where people reach us.
    """
    files = PageFiles()
    house = PageHouse(
        ports=ports,
        directory=directory,
        templates=PageTemplates(files),
        public_url=public_url.rstrip("/"),
    )
    return [*_groups(house), *files.routes()]


def _groups(_house: PageHouse) -> list[Route]:
    return []
