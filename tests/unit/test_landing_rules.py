"""The rules of landing pages: what may be published, what a text becomes, what a picture keeps, who won."""

import csv
import io
import re
import struct
import zlib
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from dastak.core.errors import Forbidden, InvalidRequest, NotFound
from dastak.core.ids import VerificationId
from dastak.core.landing import Lead, Variant
from dastak.web.landing.comparison import Arm, compare, wilson
from dastak.web.landing.contrast import RATIO_MIN, luminance, nearest_passing, ratio
from dastak.web.landing.design import (
    Design,
    Field,
    FieldKind,
    Fields,
    Hero,
    Image,
    Languages,
    Look,
    Otp,
    Success,
    Text,
    checked,
    decode,
    encode,
    fields_of,
)
from dastak.web.landing.lead_export import csv_of, neutral
from dastak.web.landing.lead_fields import TRAP, one_line, read_answers
from dastak.web.landing.look_alikes import doubtful, host_fault, slug_fault
from dastak.web.landing.page_drawing import TEMPLATE, Showing, values_of
from dastak.web.landing.proof_of_work import FIELD as SOLUTION
from dastak.web.landing.publish_checks import RESERVED_NAMES, Surroundings, faults
from dastak.web.landing.raster import read_picture
from dastak.web.landing.rich_text import is_link, refused_links, rich_text
from dastak.web.landing.starter import begin, sentences
from dastak.web.landing.themes import (
    COLOURS,
    THEMES,
    key_of,
    palette_named,
    palette_of,
    poor_pairs,
    variables,
)
from dastak.web.landing.visit_ticket import Tickets
from dastak.web.page_files import PageFiles
from dastak.web.page_templates import PageTemplates
from dastak.web.page_words import LANGUAGES, words_of
from tests.support.landing_visitors import leading_to
from tests.support.oidc_samples import some_client
from tests.support.samples import MSISDN, NOW, RING

PNG = b"\x89PNG\r\n\x1a\n"
COLOUR = st.integers(0, 0xFFFFFF).map(lambda n: f"#{n:06x}")

BOTH = {"en": "Name", "hi": "नाम"}
READY = begin("Acme", ("en", "hi"), theme="ocean")
AROUND = Surroundings(
    slug="diwali",
    host=None,
    domains=("acme.in",),
    languages=LANGUAGES,
    pictures={"a" * 32: 1000},
    page_octets=9000,
)


SHOP = some_client(redirect_uris=("https://shop.example/callback",))
LOGS_IN = replace(leading_to("https://shop.example/login"), log_in_at=SHOP.id)


def test_page_may_log_in_at_a_site_of_its_own_whose_domain_the_service_has_not_proved() -> None:
    assert faults(LOGS_IN, replace(AROUND, client=SHOP)) == ()


@pytest.mark.parametrize(
    ("design", "around", "said"),
    [
        (LOGS_IN, AROUND, "The site is not there any more"),
        (
            replace(leading_to("https://evil.in/x"), log_in_at=SHOP.id),
            replace(AROUND, client=SHOP),
            "Write the",
        ),
        (
            replace(leading_to("http://shop.example"), log_in_at=SHOP.id),
            replace(AROUND, client=SHOP),
            "Write",
        ),
        (replace(READY, log_in_at=SHOP.id), replace(AROUND, client=SHOP), "Write the address"),
        (LOGS_IN, replace(AROUND, client=SHOP, host="acme.in"), "a host of its own"),
        (replace(LOGS_IN, framed_by=("https://acme.in",)), replace(AROUND, client=SHOP), "in a frame"),
    ],
    ids=["no site", "elsewhere", "not https", "nowhere", "host", "frame"],
)
def test_login_that_could_not_work_is_told_before_publishing(
    design: Design, around: Surroundings, said: str
) -> None:
    (found,) = faults(design, around)

    assert said in found.sentence


@pytest.mark.parametrize("name", ["altcha", "submit", "website", "form"])
def test_field_is_not_called_as_a_part_of_the_form_is(name: str) -> None:
    blocks = tuple(
        replace(block, fields=(*block.fields, Field(name=name, kind=FieldKind.TEXT, label=BOTH)))
        if isinstance(block, Fields)
        else block
        for block in READY.blocks
    )

    (found,) = faults(replace(READY, blocks=blocks), AROUND)

    assert found.sentence == f"A field cannot be called {name}; rename it."


def test_every_name_that_the_form_has_itself_is_reserved() -> None:
    words = words_of("en")
    showing = Showing(
        words=words,
        variant=Variant.A,
        stage="form",
        here="/f/diwali",
        images="/f/image",
        ticket="t",
        work="w",
        lines={"work_goes": True, "work_field": SOLUTION, "wait_s": 60},
    )

    html = PageTemplates(PageFiles()).render(TEMPLATE, words, values_of(READY, showing))

    named = set(re.findall(r'<(?:input|select|button|textarea)\b[^>]* name="([^"]+)"', html))
    asked = {field.name for field in fields_of(READY)}
    assert named - asked == {"form", SOLUTION, TRAP}
    assert named - asked <= RESERVED_NAMES


# Source: WCAG 2.2 understanding documents, and the definition itself: black on white is 21 to 1, #777 just
# fails and #767676 just passes on white.
@pytest.mark.parametrize(
    ("text", "background", "expected"),
    [
        ("#000000", "#ffffff", 21.0),
        ("#ffffff", "#ffffff", 1.0),
        ("#777777", "#ffffff", 4.48),
        ("#767676", "#ffffff", 4.54),
        ("#0000ff", "#ffffff", 8.59),
        ("#ff0000", "#ffffff", 4.00),
        ("#008000", "#ffffff", 5.14),
        ("#ffff00", "#ffffff", 1.07),
        ("#595959", "#ffffff", 7.00),
    ],
)
def test_contrast_is_what_wcag_defines(text: str, background: str, expected: float) -> None:
    assert ratio(text, background) == ratio(background, text) == pytest.approx(expected, abs=0.005)


def test_luminance_goes_from_black_to_white() -> None:
    assert (luminance("#000000"), luminance("#ffffff")) == (0.0, pytest.approx(1.0))


@given(COLOUR, COLOUR)
def test_offered_colour_can_be_read_and_a_good_one_is_left_alone(text: str, background: str) -> None:
    offered = nearest_passing(text, background)

    assert ratio(offered, background) >= RATIO_MIN
    assert (offered == text) == (ratio(text, background) >= RATIO_MIN)


@pytest.mark.parametrize("theme", THEMES)
def test_every_theme_can_be_read(theme: str) -> None:
    palette = palette_of(Look(theme=theme))

    assert poor_pairs(palette) == ()
    assert len(THEMES) == 8
    for name in ("--quiet", "--bad"):
        colour = variables(palette).partition(f"{name}:")[2][:7]
        assert ratio(colour, palette.paper) >= RATIO_MIN


@given(st.sampled_from(sorted(THEMES)), COLOUR)
def test_address_of_a_style_sheet_says_the_whole_look(theme: str, accent: str) -> None:
    palette = palette_of(Look(theme=theme, accent=accent))

    assert palette_named(key_of(palette)) == palette


@pytest.mark.parametrize(
    "key",
    [
        "",
        "ffffff-",
        "-".join(["ffffff"] * 6) + "-soft-plain}",
        "-".join(["FFFFFF"] * 6) + "-soft-plain",
        "../x",
    ],
)
def test_nothing_but_colours_is_a_style_sheet(key: str) -> None:
    with pytest.raises(NotFound):
        palette_named(key)


def test_design_has_one_spelling_and_is_read_back() -> None:
    assert decode(encode(READY)) == READY
    assert encode(decode(encode(READY))) == encode(READY)


@pytest.mark.parametrize(
    "octets",
    [
        b"{}",
        b"[]",
        b'{"brand":"A","languages":["en"],"script":"x"}',
        b'{"brand":"A","languages":["en"],"blocks":[{"type":"html","body":"x"}]}',
        b'{"brand":"A","languages":[]}',
        b'{"brand":"A","languages":["en"],"format":2}',
        b'{"brand":"A","languages":["en"],"look":{"accent":"red;}"}}',
        b'{"brand":"A","languages":["en"],"framed_by":["http://a.example"]}',
        b'{"brand":"A","languages":["en"],"framed_by":["https://a.example; script-src *"]}',
        b'{"brand":"A","languages":["en"],"logo":"../../secret"}',
        b'"' + b"x" * 200_000 + b'"',
    ],
)
def test_what_is_no_design_is_refused(octets: bytes) -> None:
    with pytest.raises(InvalidRequest):
        decode(octets)


def places(design: Design, around: Surroundings = AROUND) -> set[str]:
    return {fault.place for fault in faults(design, around)}


def changed(kind: type, **changes: object) -> Design:
    blocks = tuple(replace(block, **changes) if isinstance(block, kind) else block for block in READY.blocks)
    return replace(READY, blocks=blocks)


def without(kind: type) -> Design:
    return replace(READY, blocks=tuple(block for block in READY.blocks if not isinstance(block, kind)))


@pytest.mark.parametrize("languages", [("en",), ("hi", "en"), tuple(LANGUAGES)])
@pytest.mark.parametrize("theme", THEMES)
def test_page_to_begin_with_is_ready(theme: str, languages: tuple[str, ...]) -> None:
    assert faults(begin("Acme बैंक", languages, theme=theme), AROUND) == ()


def test_page_to_begin_with_says_everything_in_every_language() -> None:
    assert all(set(texts) == set(LANGUAGES) for texts in sentences().values())


@pytest.mark.parametrize(
    ("design", "place"),
    [
        (replace(READY, brand=" "), "Brand"),
        (replace(READY, brand="P\u0430ytm"), "Brand"),
        (replace(READY, look=Look(theme="ocean", ink="#cccccc")), "Look"),
        (replace(READY, look=Look(theme="ocean", on_accent="#0b5cad")), "Look"),
        (replace(READY, look=Look(theme="none")), "Look"),
        (without(Otp), "Blocks"),
        (without(Hero), "Blocks"),
        (without(Success), "Blocks"),
        (without(Languages), "Blocks"),
        (without(Fields), "Fields"),
        (replace(READY, blocks=(*READY.blocks, Otp(button={"en": "x", "hi": "x"}))), "Blocks"),
        (replace(READY, languages=("en", "hi", "xx")), "Languages"),
        (changed(Hero, title={"en": "Only English"}), "Headline"),
        (changed(Otp, button={"en": "Go", "hi": "  "}), "Code button"),
        (changed(Success, go_to="https://evil.example/"), "Thank-you text"),
        (changed(Success, go_to="javascript:alert(1)"), "Thank-you text"),
        (replace(READY, blocks=(*READY.blocks, Image())), "Picture"),
        (replace(READY, logo="b" * 32), "Picture"),
        (replace(READY, blocks=(*READY.blocks, Text(body={"en": "[x](http://a.in)", "hi": "x"}))), "Text"),
    ],
)
def test_page_with_a_fault_is_not_published(design: Design, place: str) -> None:
    assert places(design) >= {place}


@pytest.mark.parametrize(
    ("field", "ok"),
    [
        (Field(name="city", kind=FieldKind.SELECT, label={"en": "a", "hi": "b"}), False),
        (Field(name="mobile", kind=FieldKind.PHONE, label={"en": "a", "hi": "b"}), False),
        (Field(name="name", kind=FieldKind.TEXT, label={"en": "a", "hi": "b"}), False),
        (Field(name="code", kind=FieldKind.TEXT, label={"en": "a", "hi": "b"}), False),
        (Field(name="secret", kind=FieldKind.HIDDEN), False),
        (Field(name="consent", kind=FieldKind.CONSENT, label={"en": "I agree."}), False),
        (Field(name="utm_term", kind=FieldKind.HIDDEN), True),
        (Field(name="email", kind=FieldKind.EMAIL, label={"en": "a", "hi": "b"}), True),
    ],
)
def test_field_with_a_fault_is_not_published(field: Field, ok: bool) -> None:
    blocks = tuple(
        replace(block, fields=(*block.fields, field)) if isinstance(block, Fields) else block
        for block in READY.blocks
    )

    assert (places(replace(READY, blocks=blocks)) == set()) == ok


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"slug": "Diwali Offer"}, "Address"),
        ({"slug": "xn--pytm-6cd"}, "Address"),
        ({"slug": "look"}, "Address"),
        ({"host": "offers.other.in"}, "Address"),
        ({"host": "https://acme.in/"}, "Address"),
        ({"page_octets": 30_000}, "Size"),
    ],
)
def test_page_in_bad_surroundings_is_not_published(changes: dict[str, object], place: str) -> None:
    assert places(READY, replace(AROUND, **changes)) == {place}


def test_poor_contrast_names_the_pair_and_offers_a_colour_that_passes() -> None:
    (fault,) = faults(replace(READY, look=Look(theme="ocean", ink="#cccccc")), AROUND)

    assert fault.sentence.startswith("“Text on the card” on “Card” has a contrast of 1.6 to 1;")
    assert fault.colour == "ink"
    assert ratio(fault.offered, "#ffffff") >= RATIO_MIN
    mended = replace(READY, look=Look(theme="ocean", ink=fault.offered))
    assert faults(mended, AROUND) == ()


@pytest.mark.parametrize(
    ("brand", "ok"),
    [
        ("Acme", True),
        ("Acme बैंक", True),
        ("Café Zürich", True),
        ("क\u094d\u200dष", True),
        ("بینک", True),
        ("P\u0430ytm", False),
        ("\u0420\u0430\u0443\u0440\u0430l", False),
        ("Ac\u200bme", False),
        ("Ac\u202eme", False),
        ("\uff21cme", False),
        ("\U0001d400cme", False),
        ("बैंक தமிழ்", False),
    ],
)
def test_letters_that_pass_for_others_are_noticed(brand: str, ok: bool) -> None:
    assert (doubtful(brand) is None) == ok


def test_addresses_are_plain() -> None:
    assert [slug for slug in ("a", "diwali-2026", "9") if slug_fault(slug)] == []
    bad = ("", "-a", "a-", "A", "a_b", "a/b", "é", "x" * 61, "embed")
    assert [slug for slug in bad if not slug_fault(slug)] == []
    hosts = ("offers.acme.in", "acme", "a..in", "xn--a.in", "acme.in:8443", "")
    assert [host for host in hosts if not host_fault(host)] == ["offers.acme.in"]


@pytest.mark.parametrize(
    ("written", "drawn"),
    [
        ("one\ntwo\n\nthree", "<p>one<br>two</p>\n<p>three</p>"),
        ("- a\n- **b**", "<ul><li>a</li><li><strong>b</strong></li></ul>"),
        ("First:\n- a", "<p>First:</p>\n<ul><li>a</li></ul>"),
        (
            "[us](https://acme.in/a?b=1&c=2)",
            '<p><a href="https://acme.in/a?b=1&amp;c=2" rel="noopener">us</a></p>',
        ),
        ("[x](javascript:alert(1))", "<p>[x](javascript:alert(1))</p>"),
        ("<b>&", "<p>&lt;b&gt;&amp;</p>"),
        ("", ""),
    ],
)
def test_text_is_drawn_as_paragraphs_lists_bold_words_and_links(written: str, drawn: str) -> None:
    assert str(rich_text(written)) == drawn


class _Elements(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.seen: list[tuple[str, tuple[str, ...]]] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.seen.append((tag, tuple(name for name, _ in attrs)))
        for name, value in attrs:
            assert name != "href" or is_link(value or ""), value


@given(
    st.text(alphabet=st.sampled_from("*[]()<>\"'&:/- \nahtpsjvcrix.#@\\"), max_size=80) | st.text(max_size=80)
)
def test_no_text_makes_another_element_or_attribute(written: str) -> None:
    reader = _Elements()

    reader.feed(str(rich_text(written)))

    plain = {(tag, ()) for tag in ("p", "br", "ul", "li", "strong")}
    assert set(reader.seen) <= plain | {("a", ("href", "rel"))}


@pytest.mark.parametrize(
    "address",
    [
        "http://acme.in",
        "//acme.in",
        "https:acme.in",
        "https:/\\acme.in",
        "https://user@acme.in",
        "https://acme",
        "https://acme.in:x",
        "https://аcme.in",
        'https://acme.in/"onclick=',
        "HTTPS://acme.in",
        "javascript:alert(1)",
        "data:text/html,x",
    ],
)
def test_links_lead_to_plain_https_alone(address: str) -> None:
    assert not is_link(address)
    assert refused_links(f"see [us]({address})") == (address.partition(")")[0],)


@pytest.mark.parametrize(
    ("typed", "kept"),
    [
        ("  a \t b\r\n", "a b"),
        ("a\u202eb\u2028c\x00d", "a b c d"),
        ("क\u094d\u200dष", "क\u094d\u200dष"),
        ("x" * 400, "x" * 300),
    ],
)
def test_answer_is_one_line_without_what_nobody_sees(typed: str, kept: str) -> None:
    assert one_line(typed) == kept


@pytest.mark.parametrize(
    ("typed", "ok"),
    [
        ("asha@example.in", True),
        ("a.b+c@mail.example.co.in", True),
        ("आशा@उदाहरण.भारत", True),
        ("asha", False),
        ("asha@example", False),
        ("a b@example.in", False),
        ("a@b@example.in", False),
        ("<a>@example.in", False),
        ("a@example..in", False),
    ],
)
def test_email_address_is_read(typed: str, ok: bool) -> None:
    design = replace(READY, blocks=(Fields(fields=(Field(name="email", kind=FieldKind.EMAIL),)),))

    answers = read_answers(design, {"email": typed}, language="en", region="IN")

    assert (answers.flaws == ()) == ok


@pytest.mark.parametrize(
    "typed", ["98765 43210", "+919876543210", "09876543210", "९८७६५४३२१०", "98765-43210"]
)
def test_number_is_read_as_people_write_it(typed: str) -> None:
    answers = read_answers(READY, {"name": "x", "agree": "yes", "number": typed}, language="en", region="IN")

    assert (answers.msisdn, answers.flaws) == ("+919876543210", ())


def chunk(name: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))


def png(width: int = 2, height: int = 2, *, extra: bytes = b"", lines: bytes | None = None) -> bytes:
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    drawn = b"".join(b"\0" + b"\x10\x20\x30" * width for _ in range(height)) if lines is None else lines
    return PNG + chunk(b"IHDR", header) + extra + chunk(b"IDAT", zlib.compress(drawn)) + chunk(b"IEND", b"")


def jpeg(*segments: bytes, scan: bytes = b"\x12\xff\x00\x34") -> bytes:
    frame = b"\xff\xc0" + struct.pack(">HBHHB", 11, 8, 3, 5, 1) + b"\x01\x11\x00"
    tables = b"\xff\xdb" + struct.pack(">H", 67) + bytes(65)
    begins = b"\xff\xda" + struct.pack(">H", 8) + b"\x01\x01\x00\x00\x3f\x00"
    return b"\xff\xd8" + b"".join(segments) + tables + frame + begins + scan + b"\xff\xd9"


def test_picture_keeps_the_picture_and_nothing_else() -> None:
    secret = b"GPS 28.6139 N <script>alert(1)</script>"
    hidden = chunk(b"tEXt", secret) + chunk(b"eXIf", secret) + chunk(b"iCCP", secret)

    kept = read_picture(png(extra=hidden) + secret)

    assert kept == read_picture(png())
    assert (kept.kind, kept.width, kept.height) == ("image/png", 2, 2)
    assert secret not in kept.octets
    assert read_picture(kept.octets) == kept


def test_photograph_keeps_the_picture_and_nothing_else() -> None:
    secret = b"GPS 28.6139 N <script>alert(1)</script>"
    exif = b"\xff\xe1" + struct.pack(">H", 2 + len(secret)) + secret
    comment = b"\xff\xfe" + struct.pack(">H", 2 + len(secret)) + secret

    kept = read_picture(jpeg(exif, comment) + secret)

    assert kept == read_picture(jpeg())
    assert (kept.kind, kept.width, kept.height) == ("image/jpeg", 5, 3)
    assert secret not in kept.octets
    assert read_picture(kept.octets) == kept


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        b"<svg xmlns='http://www.w3.org/2000/svg' onload='alert(1)'/>",
        b"GIF89a" + bytes(50),
        b"RIFF\x00\x00\x00\x00WEBP" + bytes(50),
        PNG,
        png()[:-20],
        png(9000, 1),
        png(lines=bytes(10_000_000)),
        png(lines=b"\0"),
        png(lines=b"\x09" * 14),
        png()[:20] + b"\xff" + png()[21:],
        b"\xff\xd8\xff",
        jpeg()[:-2],
        b"\xff\xd8\xff\xd9",
        png() + bytes(400_000),
    ],
)
def test_what_is_no_plain_picture_is_refused(octets: bytes) -> None:
    with pytest.raises(InvalidRequest):
        read_picture(octets)


@given(st.binary(max_size=200), st.sampled_from([PNG, b"\xff\xd8\xff", png()[:40], jpeg()[:60]]))
def test_no_octets_break_the_reader(octets: bytes, start: bytes) -> None:
    try:
        kept = read_picture(start + octets)
    except InvalidRequest:
        return
    assert read_picture(kept.octets) == kept


@pytest.mark.parametrize("cell", ["=1+1", "+91", "-2", "@SUM(1)", "\t=1", "\r=1", " =1", "＝1"])
def test_cell_is_never_a_formula(cell: str) -> None:
    assert neutral(cell) == f"'{cell}"
    assert neutral("Ravi = 1") == "Ravi = 1"


def test_leads_are_written_for_spreadsheets() -> None:
    lead = Lead(
        page=1,
        version=3,
        variant=Variant.B,
        language="hi",
        msisdn=MSISDN,
        at=NOW,
        gone_at=NOW + timedelta(days=90),
        verification=VerificationId(bytes(16)),
        values={"name": "=HYPERLINK(1)", "older": 'a "b", c\nd'},
        consents=(),
    )

    text = csv_of(READY, [lead])

    rows = list(csv.DictReader(io.StringIO(text.removeprefix("\ufeff"))))
    assert text.startswith("\ufeff")
    assert rows[0]["name"] == "'=HYPERLINK(1)"
    assert rows[0]["number"] == f"'{MSISDN}"
    assert rows[0]["older"] == 'a "b", c\nd'
    assert (rows[0]["variant"], rows[0]["language"], rows[0]["page_version"]) == ("b", "hi", "3")


# Source: Newcombe 1998, table II, case (a): 56/70 and 48/80, difference 0.2, interval 0.0524 to 0.3339.
def test_interval_of_a_difference_is_newcombes() -> None:
    found = compare(Arm(80, 48), Arm(70, 56), planned=50)

    assert found.difference == pytest.approx(0.2)
    assert (found.low, found.high) == (pytest.approx(0.0524, abs=1e-4), pytest.approx(0.3339, abs=1e-4))
    assert found.p_value == pytest.approx(0.0082, abs=5e-4)
    assert found.winner == "b"


def test_nobody_wins_before_the_planned_sample_or_by_chance() -> None:
    early = compare(Arm(999, 10), Arm(2000, 900), planned=1000)
    even = compare(Arm(5000, 500), Arm(5000, 510), planned=1000)
    empty = compare(Arm(0, 0), Arm(0, 0), planned=100)

    assert early.p_value < 0.001
    assert (early.enough, early.winner) == (False, "")
    assert (even.enough, even.winner) == (True, "")
    assert even.low < 0 < even.high
    assert (empty.p_value, empty.winner, wilson(Arm(0, 0))) == (1.0, "", (0.0, 1.0))


@given(st.integers(1, 500), st.integers(0, 500), st.integers(1, 500), st.integers(0, 500))
def test_comparison_stays_within_what_can_be(seen_a: int, won_a: int, seen_b: int, won_b: int) -> None:
    a, b = Arm(seen_a, min(seen_a, won_a)), Arm(seen_b, min(seen_b, won_b))
    one, other = compare(a, b, planned=100), compare(b, a, planned=100)

    assert -1 <= one.low <= one.difference <= one.high <= 1
    assert 0 <= one.p_value <= 1
    assert other.difference == -one.difference
    assert {one.winner, other.winner} in ({""}, {"a", "b"})


def test_ticket_is_ours_unchanged_and_in_time() -> None:
    tickets = Tickets(RING, bytes)
    text = tickets.new(7, 2, Variant.B, NOW)
    ticket = tickets.read(text, NOW + timedelta(hours=12) - timedelta(seconds=1))

    assert (ticket.page, ticket.version, ticket.variant) == (7, 2, Variant.B)
    assert len(tickets.secret(ticket)) == 43
    forged = (
        "",
        "x",
        text[:-1],
        text + "a",
        text.replace(".b.", ".a."),
        text.replace("2.7", "1.7"),
        "ü" + text,
    )
    for bad in forged:
        with pytest.raises(Forbidden):
            tickets.read(bad, NOW)
    with pytest.raises(Forbidden):
        tickets.read(text, NOW + timedelta(hours=13))


def test_designs_made_by_forms_are_held_against_the_same_rules() -> None:
    with pytest.raises(InvalidRequest):
        checked(replace(READY, brand="x" * 61))
    assert checked(READY) == READY
    assert all(getattr(palette_of(READY.look), name).startswith("#") for name in COLOURS)
