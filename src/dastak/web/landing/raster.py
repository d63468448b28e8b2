"""Pictures that were uploaded, taken apart and put together again with nothing in them but the picture.

1. What a file is, its first octets say; its name and its declared kind are not asked.
2. A PNG is unpacked to its lines and packed anew; of a JPEG only the segments that draw it are kept.
   Metadata (places, names, profiles), scripts behind the picture and second pictures do not come through.
3. Everything else is refused: SVG is a document that can run script, and WebP and GIF cannot be taken apart
   without a decoder. No picture library is needed, and none can be attacked.

Source: PNG, third edition, sections 5, 11 and 13; ITU-T T.81, annex B.
"""

import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256
from typing import Final, NamedTuple

from dastak.core.errors import InvalidRequest

UPLOAD_OCTETS_MAX: Final = 300_000
SIDE_MAX: Final = 2400
PIXELS_MAX: Final = 4_000_000

_PNG: Final = b"\x89PNG\r\n\x1a\n"
# Samples of one pixel by the colour type, and the depths it may have.
_COLOUR_TYPES: Final = {
    0: (1, (1, 2, 4, 8, 16)),
    2: (3, (8, 16)),
    3: (1, (1, 2, 4, 8)),
    4: (2, (8, 16)),
    6: (4, (8, 16)),
}
_PNG_CHUNKS_MAX: Final = 4000
_JPEG_SEGMENTS_MAX: Final = 500
# DHT, DQT, DRI; a frame is baseline, extended or progressive.
_JPEG_TABLES: Final = frozenset({0xC4, 0xDB, 0xDD})
_JPEG_FRAMES: Final = frozenset({0xC0, 0xC1, 0xC2})
_SOS: Final = 0xDA
_EOI: Final = 0xD9


class Picture(NamedTuple):
    """A picture as it is served; `name` is the digest of its octets."""

    name: str
    kind: str
    width: int
    height: int
    octets: bytes


def read_picture(octets: bytes) -> Picture:
    """Make a picture of an upload.

    Raises:
        InvalidRequest: It is no PNG or JPEG, is damaged, or is too large.
    """
    if len(octets) > UPLOAD_OCTETS_MAX:
        raise InvalidRequest(f"A picture has at most {UPLOAD_OCTETS_MAX // 1000} KB; make it smaller.")
    try:
        if octets.startswith(_PNG):
            kind, (width, height, clean) = "image/png", _png(octets)
        elif octets.startswith(b"\xff\xd8\xff"):
            kind, (width, height, clean) = "image/jpeg", _jpeg(octets)
        else:
            raise InvalidRequest("Upload a PNG or a JPEG; other kinds of picture are not taken.")
    except (struct.error, zlib.error, IndexError, StopIteration) as error:
        raise InvalidRequest("This picture is damaged; save it once more and upload it again.") from error
    return Picture(sha256(clean).hexdigest()[:32], kind, width, height, clean)


def _damaged() -> InvalidRequest:
    return InvalidRequest("This picture is damaged; save it once more and upload it again.")


def _bounded(width: int, height: int) -> None:
    if not (0 < width <= SIDE_MAX and 0 < height <= SIDE_MAX and width * height <= PIXELS_MAX):
        raise InvalidRequest(f"A picture has at most {SIDE_MAX} pixels on each side; make it smaller.")


def _png(octets: bytes) -> tuple[int, int, bytes]:
    header, palette, transparency, packed = b"", b"", b"", bytearray()
    for name, body in _png_chunks(octets):
        if name == b"IHDR":
            header = body
        elif name == b"PLTE":
            palette = body
        elif name == b"tRNS":
            transparency = body
        elif name == b"IDAT":
            packed += body
    width, height, depth, colours, method, filters, interlaced = struct.unpack(">IIBBBBB", header)
    _bounded(width, height)
    samples, depths = _COLOUR_TYPES.get(colours, (0, ()))
    if depth not in depths or method or filters:
        raise _damaged()
    if interlaced:
        raise InvalidRequest("This PNG is interlaced; save it without that and upload it again.")
    if colours == 3 and not (palette and len(palette) % 3 == 0 and len(palette) <= 768):
        raise _damaged()
    line = 1 + (width * samples * depth + 7) // 8
    lines = _unpacked(bytes(packed), line * height)
    if max(lines[::line]) > 4:
        raise _damaged()
    clean = [_png_chunk(b"IHDR", header)]
    if colours == 3:
        clean.append(_png_chunk(b"PLTE", palette))
    if transparency and colours in (0, 2, 3) and len(transparency) <= 256:
        clean.append(_png_chunk(b"tRNS", transparency))
    clean += [_png_chunk(b"IDAT", zlib.compress(lines, 9)), _png_chunk(b"IEND", b"")]
    return width, height, _PNG + b"".join(clean)


def _png_chunks(octets: bytes) -> Iterator[tuple[bytes, bytes]]:
    at = len(_PNG)
    for _ in range(_PNG_CHUNKS_MAX):
        (length,) = struct.unpack_from(">I", octets, at)
        name, body = octets[at + 4 : at + 8], octets[at + 8 : at + 8 + length]
        (check,) = struct.unpack_from(">I", octets, at + 8 + length)
        if len(body) != length or zlib.crc32(name + body) != check:
            raise _damaged()
        if name == b"IEND":
            return
        yield name, body
        at += 12 + length
    raise _damaged()


def _png_chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def _unpacked(packed: bytes, octets: int) -> bytes:
    """Unpack exactly so many octets; a bomb is not unpacked any further."""
    unpacker = zlib.decompressobj()
    lines = unpacker.decompress(packed, octets)
    if len(lines) != octets or (not unpacker.eof and unpacker.decompress(unpacker.unconsumed_tail, 1)):
        raise _damaged()
    return lines


def _jpeg(octets: bytes) -> tuple[int, int, bytes]:
    clean, at, size, scans = bytearray(b"\xff\xd8"), 2, (0, 0), 0
    for _ in range(_JPEG_SEGMENTS_MAX):
        while octets[at] == 0xFF and octets[at + 1] == 0xFF:
            at += 1  # fill octets
        if octets[at] != 0xFF:
            raise _damaged()
        marker = octets[at + 1]
        if marker == _EOI:
            if not scans:
                raise _damaged()
            return (*size, bytes(clean) + b"\xff\xd9")
        (length,) = struct.unpack_from(">H", octets, at + 2)
        segment = octets[at : at + 2 + length]
        if length < 2 or len(segment) != 2 + length:
            raise _damaged()
        at += 2 + length
        if marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", segment, 5)
            size = (width, height)
            _bounded(width, height)
        elif marker == _SOS:
            scans += 1
            end = _end_of_scan(octets, at)
            segment, at = segment + octets[at:end], end
        if marker in _JPEG_FRAMES or marker in _JPEG_TABLES or marker == _SOS:
            clean += segment
        elif not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            raise InvalidRequest("This JPEG is of a rare kind; save it as a plain one and upload it again.")
    raise _damaged()


def _end_of_scan(octets: bytes, at: int) -> int:
    """Find the marker behind a scan; FF00 is a sample, and FFD0 to FFD7 only restart."""
    while True:
        at = octets.find(b"\xff", at)
        if at < 0:
            raise _damaged()
        following = octets[at + 1]
        if following != 0x00 and not 0xD0 <= following <= 0xD7 and following != 0xFF:
            return at
        at += 1 if following == 0xFF else 2
