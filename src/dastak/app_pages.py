"""Wire the pages for people: what they share, and each group of them."""

from starlette.routing import Route

from dastak.core.code_page import CodePageStore
from dastak.core.ports import Ports
from dastak.tenancy.directory import Directory
from dastak.web.hosted.hosted_page import hosted_routes
from dastak.web.page_files import PageFiles
from dastak.web.page_house import PageHouse
from dastak.web.page_templates import PageTemplates


def people_routes(
    ports: Ports, directory: Directory, code_pages: CodePageStore, *, public_url: str
) -> list[Route]:
    """Return every page for people.

    Args:
        ports: What the flows may touch.
        directory: Knows the services whose pages these are.
        code_pages: Knows the pages that ask for a code.
        public_url: Where people reach us.
    """
    files = PageFiles()
    house = PageHouse(
        ports=ports,
        directory=directory,
        templates=PageTemplates(files),
        public_url=public_url.rstrip("/"),
    )
    groups = [*hosted_routes(house, code_pages)]
    return [*groups, *files.routes()]
