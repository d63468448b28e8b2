"""Leads as Parquet: read by its own library and by another author's reader, with the filter of the page."""

import asyncio
import io
import json
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pytest
from msgspec.structs import replace
from pyarrow import parquet

from dastak.core.ids import VerificationId
from dastak.core.landing import Consent, LandingPage, Lead, PageVersion, Variant, Visit
from dastak.web.landing.console_room import HOME
from dastak.web.landing.design import Design, Field, FieldKind, Fields, encode
from dastak.web.landing.lead_parquet import ROW_GROUP_LEADS_MAX
from dastak.web.landing.starter import begin
from tests.support.house import House
from tests.support.landing_visitors import Landing, open_landing
from tests.support.needed import PEERS, installed_peer
from tests.support.samples import MSISDN, NOW

FORMULA: Final = "=HYPERLINK(1)"
# All of them in one moment are more than a busy disk writes before it sends some away.
WRITTEN_AT_ONCE: Final = 500
AGREED: Final = Consent(
    field="agree",
    text="Call me.",
    text_version="0123456789abcdef",
    language="hi",
    at=NOW,
    ip_digest="ab" * 16,
    page_version=1,
)
CONSENT_READ: Final = {
    "field": "agree",
    "text": "Call me.",
    "text_version": "0123456789abcdef",
    "language": "hi",
    "at": NOW,
    "ip_hash": "ab" * 16,
}


@pytest.fixture
async def landing(house: House) -> AsyncIterator[Landing]:
    async with open_landing(house) as opened:
        yield opened


async def proved(landing: Landing, page: LandingPage, n: int, **changes: Any) -> None:
    """Write a lead down, as the visit does that it comes of."""
    token, verification = n.to_bytes(32), VerificationId(n.to_bytes(16))
    lead = Lead(
        page=page.n,
        version=1,
        variant=Variant.A,
        language="en",
        msisdn=MSISDN,
        at=NOW + timedelta(minutes=n),
        gone_at=NOW + timedelta(days=90),
        verification=verification,
        values={"name": f"Ravi {n}"},
        consents=(),
    )
    lead = replace(lead, **changes)
    visit = Visit(
        token_digest=token,
        page=page.n,
        version=lead.version,
        variant=lead.variant,
        language=lead.language,
        at=NOW,
        browser=None,
        verification=verification,
        values=lead.values,
    )
    await landing.store.put_visit(visit)
    await landing.store.win(token, lead, exchange=None, until=NOW)


async def downloaded(landing: Landing, page: LandingPage, asked: str = "") -> bytes:
    answer = await landing.visitor().get(f"{HOME}/{page.n}/leads.parquet{asked}")
    assert answer.status_code == 200, answer.text
    return answer.content


def as_others_read(octets: bytes, folder: Path) -> Any:
    """Have hyparquet read a file: it shares no code with the library that wrote it."""
    node, file = installed_peer("hyparquet"), folder / "leads.parquet"
    file.write_bytes(octets)
    read = subprocess.run(
        [node, "read_parquet.mjs", str(file)], cwd=PEERS, capture_output=True, timeout=30, check=False
    )
    assert read.returncode == 0, read.stderr.decode()
    return json.loads(read.stdout)


def with_field(design: Design, field: Field) -> Design:
    """Return a page that asks for one thing more, or for the same otherwise."""
    blocks = []
    for block in design.blocks:
        if isinstance(block, Fields):
            block = Fields(fields=(*(one for one in block.fields if one.name != field.name), field))  # noqa: PLW2901 - the one that changes
        blocks.append(block)
    return replace(design, blocks=tuple(blocks))


async def test_columns_have_their_types_in_both_readers(landing: Landing, tmp_path: Path) -> None:
    page = await landing.published()
    await proved(landing, page, 1, values={"name": FORMULA, "agree": "yes"}, consents=(AGREED,))
    await proved(landing, page, 2, values={"name": "रवि"}, language="hi", variant=Variant.B)

    octets = await downloaded(landing, page)

    table = parquet.read_table(io.BytesIO(octets))
    schema = {name: str(table.schema.field(name).type) for name in table.schema.names}
    assert schema == {
        "proved_at": "timestamp[ms, tz=UTC]",
        "number": "string",
        "name": "string",
        "agree": "bool",
        "utm_source": "string",
        "utm_campaign": "string",
        "language": "string",
        "variant": "string",
        "page_version": "int32",
        "deleted_at": "timestamp[ms, tz=UTC]",
        "consents": "list<element: struct<field: string, text: string, text_version: string, "
        "language: string, at: timestamp[ms, tz=UTC], ip_hash: string>>",
    }
    newest, oldest = table.to_pylist()
    assert (newest["name"], newest["agree"], newest["utm_source"]) == ("रवि", False, None)
    assert (newest["variant"], newest["language"], newest["consents"]) == ("b", "hi", [])
    # Nothing runs what is in Parquet, so that it stays as it was typed.
    assert (oldest["name"], oldest["agree"], oldest["number"]) == (FORMULA, True, MSISDN)
    assert (oldest["proved_at"], oldest["deleted_at"]) == (
        NOW + timedelta(minutes=1),
        NOW + timedelta(days=90),
    )
    assert oldest["consents"] == [CONSENT_READ]
    read = as_others_read(octets, tmp_path)
    assert read["types"]["proved_at"] == [
        "INT64",
        {"type": "TIMESTAMP", "isAdjustedToUTC": True, "unit": "MILLIS"},
    ]
    assert read["types"]["agree"][0] == "BOOLEAN"
    assert read["types"]["number"] == ["BYTE_ARRAY", {"type": "STRING"}]
    assert [(row["name"], row["agree"], row["page_version"]) for row in read["rows"]] == [
        ("रवि", False, 1),
        (FORMULA, True, 1),
    ]
    at = datetime.fromisoformat(read["rows"][1]["proved_at"])
    assert at == NOW + timedelta(minutes=1)
    assert read["rows"][1]["consents"][0]["text"] == "Call me."


async def test_filter_of_the_page_holds_for_the_file(landing: Landing) -> None:
    page, other = await landing.published(), await landing.published(slug="holi")
    await proved(landing, page, 1, language="hi")
    await proved(landing, page, 2)
    await proved(landing, page, 3, variant=Variant.B)
    await proved(landing, other, 4)

    async def names(asked: str) -> list[str]:
        table = parquet.read_table(io.BytesIO(await downloaded(landing, page, asked)))
        found: list[str] = table.column("name").to_pylist()
        return found

    assert await names("") == ["Ravi 3", "Ravi 2", "Ravi 1"]
    assert await names("?language=hi") == ["Ravi 1"]
    assert await names("?variant=b&language=") == ["Ravi 3"]
    assert await names("?contains=ravi%202") == ["Ravi 2"]
    assert await names(f"?since={(NOW + timedelta(days=1)).date()}") == []


async def test_many_leads_are_written_in_groups(landing: Landing, tmp_path: Path) -> None:
    page = await landing.published()
    count = ROW_GROUP_LEADS_MAX + 3
    everybody = range(1, count + 1)
    for first in range(0, count, WRITTEN_AT_ONCE):
        some = everybody[first : first + WRITTEN_AT_ONCE]
        await asyncio.gather(*(proved(landing, page, n) for n in some))

    octets = await downloaded(landing, page)

    numbers = parquet.read_table(io.BytesIO(octets)).column("name").to_pylist()
    assert sorted(numbers) == sorted(f"Ravi {n}" for n in everybody)
    assert as_others_read(octets, tmp_path)["groups"] == [ROW_GROUP_LEADS_MAX, 3]


async def test_field_that_changed_keeps_what_was_said_in_it(landing: Landing) -> None:
    first = begin("Acme", ("en",), theme="ocean")
    page = await landing.published(first)
    box = Field(name="news", kind=FieldKind.CHECKBOX, label={"en": "News"}, required=False)
    column_of_ours = Field(name="language", kind=FieldKind.TEXT, label={"en": "Mother tongue"})
    text = Field(name="agree", kind=FieldKind.TEXT, label={"en": "Agree?"})
    second = with_field(with_field(with_field(first, box), column_of_ours), text)
    await landing.store.publish(
        PageVersion(page=page.n, version=0, at=NOW, author="Asha", reason="more", body=encode(second))
    )
    await proved(landing, page, 1, values={"agree": "yes", "gone": "with the wind"})
    await proved(landing, page, 2, version=2, values={"agree": "rather", "language": "Odia", "news": "yes"})
    await proved(landing, page, 3, version=2, values={"agree": "no", "language": "Urdu"})

    table = parquet.read_table(io.BytesIO(await downloaded(landing, page)))

    assert table.column("news").to_pylist() == [False, True, None]
    assert table.column("agree").to_pylist() == ["no", "rather", "yes"]
    assert table.column("field_language").to_pylist() == ["Urdu", "Odia", None]
    assert table.column("language").to_pylist() == ["en", "en", "en"]
    assert table.column("gone").to_pylist() == [None, None, "with the wind"]
    csv = await landing.visitor().get(f"{HOME}/{page.n}/leads.csv")
    assert '"field_language"' in csv.text.partition("\r\n")[0]


async def test_page_without_leads_is_a_file_with_columns(landing: Landing) -> None:
    page = await landing.published()

    table = parquet.read_table(io.BytesIO(await downloaded(landing, page)))

    assert table.num_rows == 0
    assert table.schema.field("agree").type == pa.bool_()


async def test_without_the_library_the_page_says_what_to_install(
    landing: Landing, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = await landing.published()
    # As Python marks what cannot be imported.
    monkeypatch.setitem(sys.modules, "pyarrow", None)

    listed = await landing.visitor().get(f"{HOME}/{page.n}/leads")
    asked = await landing.visitor().get(f"{HOME}/{page.n}/leads.parquet")

    assert "leads.parquet" not in listed.text
    assert "the extra <code>parquet</code>" in listed.text
    assert asked.status_code == 501
    assert "pip install &#39;.[parquet]&#39; in the checkout" in asked.text
