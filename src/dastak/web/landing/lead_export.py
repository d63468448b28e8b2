"""Leads as a table for a spreadsheet: CSV whose cells are never taken for formulas."""

import csv
import io
from collections.abc import Collection, Iterable, Sequence
from typing import Final

from dastak.core.landing import Lead
from dastak.web.landing.design import Design, FieldKind, fields_of

# What every file has beside the fields of the page.
_BEFORE: Final = ("proved_at", "number")
_AFTER: Final = ("language", "variant", "page_version", "deleted_at")
_CONSENT: Final = ("consent_text_version", "consent_language", "consent_at", "consent_ip_hash")
CONSENTS: Final = "consents"
_OURS: Final = frozenset({*_BEFORE, *_AFTER, *_CONSENT, CONSENTS})
# Spreadsheets run a cell that begins with one of these; some skip blanks before it.
_FORMULA_STARTS: Final = ("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠")


def csv_of(design: Design, leads: Iterable[Lead]) -> str:
    """Write leads down, newest first; a byte order mark tells spreadsheets that it is UTF-8."""
    buffer = io.StringIO()
    writer = csv.writer(buffer, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    leads = list(leads)
    columns = columns_of(design, leads)
    writer.writerow(map(neutral, (*_BEFORE, *titles_of(columns), *_AFTER, *_CONSENT)))
    for lead in leads:
        writer.writerow(map(neutral, _row(lead, columns)))
    return "\ufeff" + buffer.getvalue()


def columns_of(design: Design, leads: Iterable[Lead]) -> Sequence[str]:
    """Return the fields of a page in their order, then those that only older leads have."""
    return ordered(design, {name for lead in leads for name in lead.values})


def ordered(design: Design, names: Collection[str]) -> Sequence[str]:
    """Return the fields of a page in their order, then what else is named."""
    asked = [field.name for field in fields_of(design) if field.kind is not FieldKind.PHONE]
    return [*asked, *sorted(set(names) - set(asked))]


def titles_of(columns: Sequence[str]) -> Sequence[str]:
    """Return what stands above the fields: their names, unless one is called as a column of ours."""
    titles: list[str] = []
    for name in columns:
        title = name
        while title in _OURS or title in titles or (title != name and title in columns):
            title = f"field_{title}"
        titles.append(title)
    return titles


def neutral(cell: str) -> str:
    """Return a cell that no spreadsheet runs: an apostrophe stands before what would be a formula."""
    return f"'{cell}" if cell.lstrip(" \u00a0").startswith(_FORMULA_STARTS) else cell


def _row(lead: Lead, columns: Sequence[str]) -> list[str]:
    consents = lead.consents
    return [
        lead.at.isoformat(timespec="seconds"),
        lead.msisdn,
        *(lead.values.get(name, "") for name in columns),
        lead.language,
        lead.variant.value,
        str(lead.version),
        lead.gone_at.isoformat(timespec="seconds"),
        " ".join(f"{one.field}:{one.text_version}" for one in consents),
        " ".join(sorted({one.language for one in consents})),
        " ".join(sorted({one.at.isoformat(timespec="seconds") for one in consents})),
        " ".join(sorted({one.ip_digest for one in consents})),
    ]
