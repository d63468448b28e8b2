"""Leads as Parquet, for those who count with programs: typed columns, one group of rows at a time.

`pyarrow` does the work; it comes with the extra `parquet` and is imported only when somebody asks for a file.

Source: Apache Parquet, logical types (TIMESTAMP with isAdjustedToUTC, STRING, LIST).
"""

from collections.abc import Collection, Mapping, Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, Final

import msgspec

from dastak.core.landing import Consent, Lead
from dastak.web.landing.design import Design, FieldKind, fields_of
from dastak.web.landing.lead_export import CONSENTS, ordered, titles_of
from dastak.web.landing.lead_fields import TICKED

if TYPE_CHECKING:
    from pyarrow import Schema

# How many leads are in memory at one time, and in one group of rows of the file.
ROW_GROUP_LEADS_MAX: Final = 5_000
NOT_INSTALLED: Final = (
    "Parquet needs a part that is not installed here: have whoever runs this server give "
    "pip install '.[parquet]' in the checkout, or download CSV."
)
_BOXES: Final = (FieldKind.CHECKBOX, FieldKind.CONSENT)


class Shape(msgspec.Struct, frozen=True, kw_only=True):
    """What is in the columns of the fields.

    Attributes:
        fields: Their names in order.
        boxes: Which of them were boxes to tick wherever they were shown.
        shown: By the version of the page which of these boxes it showed; one that was shown and is not ticked
            is false, and one that was not shown is null.
    """

    fields: Sequence[str]
    boxes: frozenset[str]
    shown: Mapping[int, frozenset[str]]


def parquet_installed() -> bool:
    """Say whether files can be written."""
    return find_spec("pyarrow") is not None


def kinds_of(design: Design) -> Mapping[str, bool]:
    """Say of each field of a page whether it is a box to tick."""
    return {field.name: field.kind in _BOXES for field in fields_of(design)}


def shape_of(design: Design, names: Collection[str], versions: Mapping[int, Mapping[str, bool]]) -> Shape:
    """Say what the columns hold.

    Args:
        design: The page as it is now, in whose order they stand.
        names: The fields that leads have a value of.
        versions: The kinds of the fields that the page had when these leads came.
    """
    fields, now = ordered(design, names), kinds_of(design)
    kinds = {name: {one[name] for one in (now, *versions.values()) if name in one} for name in fields}
    boxes = frozenset(name for name in fields if kinds[name] == {True})
    return Shape(fields=fields, boxes=boxes, shown={n: boxes & one.keys() for n, one in versions.items()})


class LeadFile:
    """A file that grows by groups of rows, and hands its octets on after each.

    Args:
        shape: What the columns of the fields hold.
    """

    def __init__(self, shape: Shape) -> None:
        from pyarrow.parquet import ParquetWriter  # noqa: PLC0415 - an extra, and large

        self._shape, self._outlet, self._schema = shape, _Outlet(), _schema(shape)
        self._writer: Any = ParquetWriter(self._outlet, self._schema)

    def group(self, leads: Sequence[Lead]) -> bytes:
        """Write one group of rows, at most `ROW_GROUP_LEADS_MAX`; return what the file grew by."""
        from pyarrow import Table  # noqa: PLC0415 - as above

        assert len(leads) <= ROW_GROUP_LEADS_MAX
        shape = self._shape
        columns: list[list[Any]] = [
            [lead.at for lead in leads],
            [str(lead.msisdn) for lead in leads],
            *([_value(shape, lead, name) for lead in leads] for name in shape.fields),
            [lead.language for lead in leads],
            [lead.variant.value for lead in leads],
            [lead.version for lead in leads],
            [lead.gone_at for lead in leads],
            [[_consent(one) for one in lead.consents] for lead in leads],
        ]
        named = dict(zip(self._schema.names, columns, strict=True))
        self._writer.write_table(Table.from_pydict(named, self._schema), ROW_GROUP_LEADS_MAX)
        return self._outlet.taken()

    def end(self) -> bytes:
        """Write the footer, without which it is no file; return it."""
        self._writer.close()
        return self._outlet.taken()


class _Outlet:
    """A file whose octets are taken away while it grows."""

    closed = False

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._octets = 0

    def write(self, octets: bytes) -> int:
        self._parts.append(bytes(octets))
        self._octets += len(octets)
        return len(octets)

    def tell(self) -> int:
        return self._octets

    def flush(self) -> None:
        pass

    def close(self) -> None:
        pass

    def taken(self) -> bytes:
        parts, self._parts = self._parts, []
        return b"".join(parts)


def _schema(shape: Shape) -> "Schema":
    import pyarrow as pa  # noqa: PLC0415 - as above

    text, instant = pa.string(), pa.timestamp("ms", tz="UTC")
    consent = pa.struct(
        [
            ("field", text),
            ("text", text),
            ("text_version", text),
            ("language", text),
            ("at", instant),
            ("ip_hash", text),
        ]
    )
    titles = titles_of(shape.fields)
    return pa.schema(
        [
            pa.field("proved_at", instant, nullable=False),
            pa.field("number", text, nullable=False),
            *(
                pa.field(title, pa.bool_() if name in shape.boxes else text)
                for name, title in zip(shape.fields, titles, strict=True)
            ),
            pa.field("language", text, nullable=False),
            pa.field("variant", text, nullable=False),
            pa.field("page_version", pa.int32(), nullable=False),
            pa.field("deleted_at", instant, nullable=False),
            pa.field(CONSENTS, pa.list_(consent), nullable=False),
        ]
    )


def _value(shape: Shape, lead: Lead, name: str) -> str | bool | None:
    value = lead.values.get(name)
    if name not in shape.boxes:
        return value
    if value is None and name not in shape.shown.get(lead.version, ()):
        return None
    return value == TICKED


def _consent(one: Consent) -> Mapping[str, Any]:
    return {
        "field": one.field,
        "text": one.text,
        "text_version": one.text_version,
        "language": one.language,
        "at": one.at,
        "ip_hash": one.ip_digest,
    }
