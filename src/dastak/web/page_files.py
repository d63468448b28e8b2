"""Style sheets and scripts of pages: read once, named by what is in them, and kept by browsers for ever."""

from collections.abc import Mapping
from hashlib import sha256
from importlib.resources import files
from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

PATH: Final = "/assets"
_KINDS: Final[Mapping[str, str]] = {
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}
_HEADERS: Final = {
    "cache-control": "public, max-age=31536000, immutable",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}
# Browsers ask for it at an address that never changes.
ICON: Final = "icon.svg"
_ICON_HEADERS: Final = {**_HEADERS, "cache-control": "public, max-age=86400", "content-type": _KINDS["svg"]}


class PageFiles:
    """All files of the folder `assets`."""

    def __init__(self) -> None:
        folder = files("dastak.web").joinpath("assets")
        found = {
            entry.name: _lean(entry.name, entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()
        }
        self._addresses = {name: _named_by_content(name, octets) for name, octets in found.items()}
        self._octets = {self._addresses[name]: octets for name, octets in found.items()}

    def address(self, name: str) -> str:
        """Return where a file is; another content has another address."""
        return f"{PATH}/{self._addresses[name]}"

    def octets(self, name: str) -> bytes:
        """Return what is in a file."""
        return self._octets[self._addresses[name]]

    def routes(self) -> list[Route]:
        """Return the routes that serve them; the icon is where browsers look for it by themselves."""

        async def file(request: Request) -> Response:
            name = request.path_params["name"]
            octets = self._octets.get(name)
            if octets is None:
                return Response(status_code=404)
            kind = _KINDS[name.rpartition(".")[2]]
            return Response(octets, media_type=None, headers={**_HEADERS, "content-type": kind})

        async def icon(_request: Request) -> Response:
            return Response(self._octets[self._addresses[ICON]], headers=_ICON_HEADERS)

        return [Route(f"{PATH}/{{name:str}}", file), Route("/favicon.ico", icon)]


def _lean(name: str, octets: bytes) -> bytes:
    """Leave out what only readers need: comments and indents of a script, and where lines of a sheet end.

    No text of ours goes over several lines, nor what a sheet has between two braces; a test looks.
    """
    if name.endswith(".css"):
        return octets.replace(b"\n", b"")
    if not name.endswith(".js"):
        return octets
    lines = [line.strip() for line in octets.split(b"\n")]
    return b"\n".join(line for line in lines if line and not line.startswith(b"//"))


def _named_by_content(name: str, octets: bytes) -> str:
    stem, _, kind = name.rpartition(".")
    return f"{stem}.{sha256(octets).hexdigest()[:12]}.{kind}"
