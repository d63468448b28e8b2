"""Read a form that may carry files, as browsers send it.

1. Every part is a field of a form or a file, has a name, and is there once; but for the field of many files.
2. Nothing is written to the disk, and everything is bounded before it is read.

Source: RFC 7578; RFC 2046, section 5.1.1.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Final, NamedTuple

from starlette.requests import Request

from dastak.core.errors import InvalidRequest

FORM_OCTETS_MAX: Final = 1_000_000
PARTS_MAX: Final = 3000
_BOUNDARY: Final = re.compile(
    r"multipart/form-data; *boundary=\"?([0-9A-Za-z'()+_,./:=?-]{1,70})\"?", re.IGNORECASE
)
_NAME: Final = re.compile(
    rb'content-disposition: form-data; name="([^"\r\n]{1,200})"(?:; filename="([^"\r\n]*)")?', re.IGNORECASE
)
_HEAD_OCTETS_MAX: Final = 1000


class UploadForm(NamedTuple):
    """The fields of a form, and the octets of its files; a file that was not chosen is not there.

    Attributes:
        many: The files of the field that may have more than one, each with its name on its owner's machine.
    """

    fields: Mapping[str, str]
    files: Mapping[str, bytes]
    many: Sequence[tuple[str, bytes]] = ()


async def read_upload(
    request: Request, *, many: str = "", octets_max: int = FORM_OCTETS_MAX, smaller: str = "a smaller picture"
) -> UploadForm:
    """Read a form of the kind `multipart/form-data`.

    Args:
        request: Whose body is not read yet.
        many: The field that may have more than one file.
        octets_max: The largest body that is read.
        smaller: What a person is told to use when it is larger.

    Raises:
        InvalidRequest: It is no such form, is too large, or has a part twice.
    """
    found = _BOUNDARY.fullmatch(request.headers.get("content-type", "").strip())
    if found is None:
        raise InvalidRequest("Send a form as multipart/form-data.")
    octets = bytearray()
    async for chunk in request.stream():
        octets += chunk
        if len(octets) > octets_max:
            raise InvalidRequest(f"A form has at most {octets_max // 1000} KB; use {smaller}.")
    return read_parts(bytes(octets), found[1].encode(), many=many)


def read_parts(octets: bytes, boundary: bytes, *, many: str = "") -> UploadForm:
    """Divide a body at its boundary. Raises: InvalidRequest."""
    fields: dict[str, str] = {}
    files: dict[str, bytes] = {}
    several: list[tuple[str, bytes]] = []
    for name, file, body in _parts(octets, boundary):
        if name in fields or name in files:
            raise InvalidRequest("A field of this form is there twice.")
        if file is not None:
            if body and name == many:
                several.append((file, body))
            elif body:
                files[name] = body
            continue
        try:
            fields[name] = body.decode("utf-8")
        except UnicodeDecodeError as error:
            raise InvalidRequest("This is no form that a browser sends.") from error
    return UploadForm(fields, files, several)


def _parts(octets: bytes, boundary: bytes) -> Iterator[tuple[str, str | None, bytes]]:
    pieces = (b"\r\n" + octets).split(b"\r\n--" + boundary, PARTS_MAX + 2)
    if len(pieces) < 2 or len(pieces) > PARTS_MAX + 2 or pieces[0] or not pieces[-1].startswith(b"--"):
        raise InvalidRequest("This is no form that a browser sends.")
    for piece in pieces[1:-1]:
        head, split, body = piece.partition(b"\r\n\r\n")
        named = _NAME.search(head[:_HEAD_OCTETS_MAX])
        if not split or named is None:
            raise InvalidRequest("This is no form that a browser sends.")
        file = None if named[2] is None else named[2].decode("utf-8", "replace")
        yield named[1].decode("utf-8", "replace"), file, body
