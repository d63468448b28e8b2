"""The built-in texts to the letter, templates, autofill lines, and values that try to add their own."""

import re
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import InvalidRequest, TemplateMismatch
from dastak.core.template import LOCALES, Purpose, Template, Wording, best_locale, parse_template, render
from dastak.sms.segments import Alphabet, measure

_CODE = "123456"
_HOST = "login.acme.in"
_HASH = "FA+9qCX9VSu"
_PAID = {"amount": "1250.00", "currency": "INR", "payee": "Sharma Stores"}
_GOLDEN = Path(__file__).with_name("golden_sms_texts.tsv")
_EVERY = [(locale, purpose) for locale in LOCALES for purpose in Purpose]
_DO_NOT_SHARE = {
    "en": "Do not share it with anyone.",
    "hi": "किसी को न बताएं।",
    "bn": "কাউকে জানাবেন না।",
    "te": "ఎవరికీ చెప్పవద్దు.",
    "mr": "कोणालाही सांगू नका.",
    "ta": "பகிர வேண்டாம்.",
    "ur": "کسی کو نہ بتائیں۔",
    "gu": "કોઈને જણાવશો નહીં.",
    "kn": "ಯಾರಿಗೂ ತಿಳಿಸಬೇಡಿ.",
    "ml": "ആരോടും പറയരുത്.",
    "pa": "ਕਿਸੇ ਨੂੰ ਨਾ ਦੱਸੋ।",
    "or": "କାହାକୁ କୁହନ୍ତୁ ନାହିଁ।",
    "as": "কাকো নজনাব।",
}


def wording(locale="en", purpose="login", *, brand="ACMEPA", minutes=5, **more):
    paid = _PAID if purpose == "payment" else {}
    return Wording(locale=locale, brand=brand, purpose=purpose, minutes=minutes, **(paid | more))


def read_autofill_line(text):
    """Parse a text as the origin-bound draft does: host and code of the last line, or None."""
    *_, last = text.split("\n")
    found = re.fullmatch(r"@([^\s@#%/]+) #([^\s@%]+)(?: .*)?", last)
    return found.groups() if found else None


def golden_rows():
    for locale, purpose in _EVERY:
        for lines, more in (("plain", {}), ("domain", {"domain": _HOST})):
            text = render(wording(locale, purpose, **more), _CODE)
            measured = measure(text)
            shown = text.replace("\n", "\\n")
            yield "\t".join((locale, purpose, lines, f"{measured.units}/{measured.segments}", shown))


def test_built_in_texts_are_the_golden_ones():
    # To renew after a deliberate change: python -m tests.unit.test_template
    assert list(golden_rows()) == _GOLDEN.read_text(encoding="utf-8").splitlines()


@pytest.mark.parametrize(("locale", "purpose"), _EVERY)
@pytest.mark.parametrize("minutes", [1, 10, 60])
def test_text_takes_one_part_with_a_brand_of_six_letters(locale, purpose, minutes):
    assert measure(render(wording(locale, purpose, minutes=minutes), _CODE)).segments == 1


@pytest.mark.parametrize(("locale", "purpose"), [pair for pair in _EVERY if pair[1] is not Purpose.PAYMENT])
def test_text_takes_one_part_with_a_domain_line(locale, purpose):
    measured = measure(render(wording(locale, purpose, minutes=10, domain=_HOST), _CODE))

    assert measured.segments == 1
    assert measured.alphabet is (Alphabet.GSM7 if locale == "en" else Alphabet.UCS2)


@pytest.mark.parametrize(("locale", "purpose"), [pair for pair in _EVERY if pair[1] is not Purpose.PAYMENT])
def test_text_says_do_not_share_where_it_stands_alone(locale, purpose):
    assert render(wording(locale, purpose), _CODE).endswith(_DO_NOT_SHARE[locale])


@pytest.mark.parametrize("locale", LOCALES)
def test_text_says_do_not_share_again_when_it_takes_two_parts_anyway(locale):
    text = render(wording(locale, domain=_HOST, app_hash=_HASH), _CODE)

    assert text.split("\n")[0].endswith(_DO_NOT_SHARE[locale])
    assert measure(text).segments == (1 if locale == "en" else 2)


@pytest.mark.parametrize(("locale", "purpose"), _EVERY)
def test_text_keeps_retriever_limit_with_a_hash_line_when_short(locale, purpose):
    text = render(wording(locale, purpose, brand="ACME", app_hash=_HASH), _CODE)
    measured = measure(text)

    octets = measured.units if measured.alphabet is Alphabet.GSM7 else 2 * measured.units
    assert text.split("\n")[1:] == [_HASH]
    assert octets <= 140 or purpose is Purpose.PAYMENT


@pytest.mark.parametrize(("locale", "purpose"), _EVERY)
def test_text_shows_what_it_must_with_the_code_first(locale, purpose):
    text = render(wording(locale, purpose, minutes=7), _CODE)

    assert text.split()[0] == _CODE
    assert "ACMEPA" in text
    assert re.search(r"\b7\b", text)
    if purpose is Purpose.PAYMENT:
        assert "INR 1250.00" in text
        assert "Sharma Stores" in text


@pytest.mark.parametrize(("locale", "purpose"), _EVERY)
def test_text_is_plain_to_the_code_point(locale, purpose):
    text = render(wording(locale, purpose), _CODE)

    assert unicodedata.is_normalized("NFC", text)
    assert not [char for char in text if unicodedata.category(char) in ("Cc", "Cf", "Zl", "Zp")]
    assert not [char for char in text if char.isdigit() and not char.isascii()]


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("more", [{}, {"domain": _HOST}])
def test_urdu_runs_right_to_left_from_the_code_on(purpose, more):
    first_line = render(wording("ur", purpose, **more), _CODE).split("\n")[0]

    strong = [kind for kind in map(unicodedata.bidirectional, first_line) if kind in ("L", "R", "AL")]
    assert strong[0] == "AL"


@pytest.mark.parametrize(("locale", "purpose"), _EVERY)
def test_last_line_binds_the_code_to_the_origin(locale, purpose):
    text = render(wording(locale, purpose, domain=_HOST, app_hash=_HASH), _CODE)

    assert read_autofill_line(text) == (_HOST, _CODE)
    assert text.split("\n")[1:] == [_HASH, f"@{_HOST} #{_CODE}"]


_HOSTILE = "aZ1 .,@#/{}\\n\n\r\u2028\u2029\u0085\u202e\u200fПक\u093f\u094d\u200d"
names = st.one_of(
    st.text(max_size=45),
    st.text(st.sampled_from(_HOSTILE), max_size=45),
    st.text(st.sampled_from("aZ1 .&'-@"), min_size=1, max_size=40),
    st.sampled_from(["x\n@evil.example #999999", "{code}", "%s", "@evil.example", "a@b", "a #1"]),
)


@given(st.sampled_from(LOCALES), names, names)
def test_no_name_makes_a_line_or_link_of_its_own(locale, brand, payee):
    try:
        asked = wording(locale, "payment", brand=brand, payee=payee, domain=_HOST)
    except InvalidRequest:
        return
    text = render(asked, _CODE)

    assert text.splitlines()[1:] == [f"@{_HOST} #{_CODE}"]
    assert read_autofill_line(text) == (_HOST, _CODE)
    assert brand in text
    assert payee in text
    assert text.split()[0] == _CODE


@pytest.mark.parametrize(
    "brand",
    ["A", "ACME Pay", "Reddy & Sons (India)", "Dr. Reddy's", "S.K. Jain", "sharma@okaxis", "पेटीएम", "ACME पे",
     "क्‍ष", "मेघा-1", "اردو بینک", "Яндекс", "Ελλάδα", "ソニー銀行", "Café", "24/7 Gym"],
)  # fmt: skip
def test_name_is_taken_as_it_is(brand):
    assert f" {brand} " in render(wording(brand=brand), _CODE)


@pytest.mark.parametrize(
    "brand",
    [
        "", " ", "x" * 41, " ACME", "ACME ", "AC  ME", "-ACME", "@ACME",
        "A\nB", "A\rB", "A\u2028B", "A\u2029B", "A\u0085B", "A\tB", "A\x00B", "A\x1bB", "A\x7fB",
        "A\u202aB", "A\u202eB", "A\u2066B", "A\u2069B", "A\u200eB", "A\u200fB", "A\u061cB", "A\u200bB",
        "A\u200dB", "A\ufeffB", "A\u00a0B", "A\u00adB", "\u093fक",
        "evil.com", "www.evil", "pay at evil.in now", "e.co/x", "10.0.0.1", "उदाहरण.भारत",
        "x\n@evil.com #999999", "@evil.com #999999", "a #1", "http://a", "{code}", "A{brand}",
        "P\u0430ytm", "\u0420\u0430y", "Google \u0420\u0430\u0443", "Αcme", "ACMEपे",
        "ＡＣＭＥ", "𝐀cme", "ﬁn", "ACME™", "₹ACME", "😀", "A\ud800",
    ],
)  # fmt: skip
def test_name_is_refused(brand):
    with pytest.raises(InvalidRequest) as caught:
        wording(brand=brand)

    assert caught.value.field == "brand"


@pytest.mark.parametrize(
    "host",
    ["localhost", "acme.in", "a-b.c-d.example", "1.example", "x" * 63 + ".in"],
)
def test_host_is_taken(host):
    assert read_autofill_line(render(wording(domain=host), _CODE)) == (host, _CODE)


@pytest.mark.parametrize(
    "host",
    ["", "acme", "Acme.in", "acme.in.", ".in", "a..in", "-a.in", "a-.in", "a_b.in", "acme.in:443",
     "https://a.in", "acme.in/x", "acme.in #1", "acme.in\n", "xn--pytm-43d.com", "pay.xn--pytm-43d.com",
     "аcme.in", "10.0.0.1", "x" * 64 + ".in", "x." * 126 + "in", "acme.in%", "a@b.in"],
)  # fmt: skip
def test_host_is_refused(host):
    with pytest.raises(InvalidRequest) as caught:
        wording(domain=host)

    assert caught.value.field == "domain"


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("locale", "xx"),
        ("locale", "hi-IN"),
        ("purpose", "marketing"),
        ("minutes", 0),
        ("minutes", 61),
        ("app_hash", "FA+9qCX9VS"),
        ("app_hash", "FA+9qCX9VSu="),
        ("app_hash", "FA+9qCX9VS\n"),
        ("app_hash", "FA-9qCX9VSu"),
    ],
)
def test_wording_is_refused_and_names_the_field(field, value):
    with pytest.raises(InvalidRequest) as caught:
        wording(**{field: value})

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("amount", "1,250.00"), ("amount", "-1"), ("amount", "1."), ("amount", ".5"), ("amount", "1.2345"),
        ("amount", "1" * 13), ("amount", "१२"), ("amount", "1e3"), ("amount", None), ("amount", ""),
        ("currency", "inr"), ("currency", "RUPEE"), ("currency", "₹"), ("currency", None),
        ("payee", "evil.com"), ("payee", ""), ("payee", None),
    ],
)  # fmt: skip
def test_payment_is_refused_without_what_is_paid(field, value):
    with pytest.raises(InvalidRequest) as caught:
        wording(purpose="payment", **{field: value})

    assert caught.value.field == field


@pytest.mark.parametrize("field", ["amount", "currency", "payee"])
def test_other_purposes_are_refused_with_what_they_would_not_show(field):
    with pytest.raises(InvalidRequest) as caught:
        wording(**{field: _PAID[field]})

    assert caught.value.field == field


@pytest.mark.parametrize(
    ("tag", "locale"),
    [
        ("hi", "hi"), ("hi-IN", "hi"), ("HI_in", "hi"), ("hi-Deva-IN", "hi"), ("en-GB", "en"), ("as", "as"),
        ("pa-Guru", "pa"), ("ur-PK", "ur"), ("hi-1606nict", "hi"), ("or-x-a", "or"),
        ("hi-Latn", "en"), ("pa-Arab-PK", "en"), ("fr", "en"), ("", "en"), ("-", "en"), ("hindi", "en"),
        ("hi-" + "x" * 40, "en"), ("hi;q=1", "en"), ("हिं", "en"),
    ],
)  # fmt: skip
def test_best_locale_chooses(tag, locale):
    assert best_locale(tag) == locale


@given(st.text())
def test_best_locale_always_has_an_answer(tag):
    assert best_locale(tag) in LOCALES


def test_template_fills_a_registered_text_exactly():
    template = parse_template(
        "{code} is the OTP for {purpose} at {brand}, valid {minutes} min.\n@acme.in #{code}"
    )

    text = render(wording("hi", "reset"), _CODE, template=template)

    assert text == "123456 is the OTP for पासवर्ड रीसेट at ACMEPA, valid 5 min.\n@acme.in #123456"


def test_template_gets_our_lines_after_its_own():
    text = render(wording(domain=_HOST), _CODE, template=parse_template("OTP {code}\n@evil.example #1"))

    assert read_autofill_line(text) == (_HOST, _CODE)


def test_template_takes_what_is_paid():
    template = parse_template("{code}: {amount} to {payee}")

    assert (
        render(wording(purpose="payment"), _CODE, template=template) == "123456: INR 1250.00 to Sharma Stores"
    )


def test_template_is_refused_when_a_value_is_missing():
    with pytest.raises(TemplateMismatch) as caught:
        render(wording(), _CODE, template=parse_template("{code} for {payee}"))

    assert caught.value.field == "payee"


def test_values_are_never_read_as_templates():
    filled = parse_template("{code} {brand}").fill({"code": "1", "brand": "{code}{brand}{x"})

    assert filled == "1 {code}{brand}{x"


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("{code} {brandd}", "character 8"),
        ("{code} {#var#}", "character 8"),
        ("{code} { brand }", "character 8"),
        ("{{code}}", "character 1"),
        ("{code} }", "character 8"),
        ("{code} {brand", "character 8"),
        ("{code} {brand!r}", "character 8"),
        ("a\u202e{code}", "character 2"),
        ("{code}{brand}\x00", "character 14"),
        ("no code", "code"),
        ("{code}" + "x" * 1995, "2000"),
    ],
)
def test_template_is_refused_with_the_place(text, where):
    with pytest.raises(TemplateMismatch, match=where):
        parse_template(text)


_PIECES = ["{code}", "{brand}", "{minutes}", "{", "}", "code", " x%s", "\n#"]


@given(st.lists(st.sampled_from(_PIECES)).map("".join))
def test_template_renders_literally_or_is_refused(text):
    try:
        template = parse_template(text)
    except TemplateMismatch:
        return

    shown = render(wording(), _CODE, template=template)

    assert shown == text.replace("{brand}", "ACMEPA").replace("{minutes}", "5").replace("{code}", _CODE)


def test_template_may_not_be_nothing():
    with pytest.raises(TemplateMismatch):
        parse_template("")


def test_wording_and_template_are_values():
    assert wording() == wording()
    assert hash(wording()) == hash(wording())
    assert parse_template("{code}") == Template(("", "code", ""))


if __name__ == "__main__":
    _GOLDEN.write_text("\n".join(golden_rows()) + "\n", encoding="utf-8")
