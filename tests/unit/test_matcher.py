"""Texts against registered templates: what matches, where it differs, and how long that takes to find out."""

import re
import sys

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from dastak.core.errors import InvalidRequest
from dastak.dlt import culprits, matcher, readings
from dastak.dlt.culprits import CURES, Culprit
from dastak.dlt.matcher import Matched, Mismatch, Span, Whitelist, masked, match
from dastak.dlt.readings import WHITELIST_MAX
from dastak.dlt.template_tags import Kind, Lengths, Pattern, Variable, parse_registered

LINKS = Whitelist(
    urls=("https://acme.in/help",), prefixes=("https://acme.in/r/", "acme.in/"), numbers=("1800-200-300",)
)
OTP = "Your ACME code is {#numeric#}. Valid {#numeric#} minutes.\n@login.acme.in #{#numeric#}"
SENT = "Your ACME code is 482913. Valid 5 minutes.\n@login.acme.in #482913"

# A value of each kind that fits the usual lengths and the whitelist.
VALUES = {
    Kind.NUMERIC: st.from_regex(r"[0-9]{1,15}", fullmatch=True),
    Kind.ALPHANUMERIC: st.from_regex(r"[A-Za-z0-9]{1,40}", fullmatch=True),
    Kind.URL: st.from_regex(r"https://acme\.in/help|acme\.in/[a-z0-9/?=&-]{0,30}", fullmatch=True),
    Kind.URLOTT: st.from_regex(r"https://acme\.in/r/[A-Za-z0-9]{0,20}", fullmatch=True),
    Kind.CBN: st.just("1800-200-300"),
    Kind.EMAIL: st.from_regex(r"[a-z.+_]{1,10}@[a-z-]{1,10}\.(in|co\.in|com)", fullmatch=True),
    Kind.VAR: st.from_regex(r"[^\n\r\v\f\x1c-\x1e\x85\u2028\u2029]{0,30}", fullmatch=True),
}
fixed_texts = st.text(
    st.characters(exclude_characters="{}#", exclude_categories=["Cs"]), min_size=1, max_size=10
)


def pattern_of(fixed, kinds):
    """Make a pattern without a text that it was parsed from."""
    lengths = Lengths()
    return Pattern(
        tuple(fixed), tuple(Variable(kind, getattr(lengths, kind), f"{{#{kind}#}}", 0) for kind in kinds)
    )


@st.composite
def rendered(draw, kinds=tuple(Kind)):
    """Return a pattern and a text made from it."""
    drawn = draw(st.lists(st.sampled_from(kinds), max_size=5))
    fixed = [draw(fixed_texts) for _ in range(len(drawn) + 1)]
    if drawn and draw(st.booleans()):
        fixed[0] = ""
    if drawn and draw(st.booleans()):
        fixed[-1] = ""
    values = [draw(VALUES[kind]) for kind in drawn]
    return pattern_of(fixed, drawn), values


@given(rendered())
def test_any_text_made_from_a_template_matches_it(made):
    pattern, values = made
    text = pattern.fill(values)

    found = match(pattern, text, whitelist=LINKS)

    assert isinstance(found, Matched), found
    assert pattern.fill(found.values(text)) == text
    for variable, span in zip(pattern.variables, found.spans, strict=True):
        assert span.end - span.start <= variable.characters_max


@given(rendered(kinds=(Kind.NUMERIC,)), st.data())
def test_a_text_with_one_fixed_character_changed_does_not_match(made, data):
    pattern, values = made
    # What no numeric variable can take and no digit stands for, so that no other reading explains it.
    assume(not any(char.isdigit() for piece in pattern.fixed for char in piece))
    numbers = [number for number, piece in enumerate(pattern.fixed) if piece]
    assume(numbers)
    number = data.draw(st.sampled_from(numbers))
    place = data.draw(st.integers(0, len(pattern.fixed[number]) - 1))
    other = data.draw(
        st.characters(exclude_characters=pattern.fixed[number][place], exclude_categories=["Cs", "Nd"])
    )
    changed = list(pattern.fixed)
    changed[number] = changed[number][:place] + other + changed[number][place + 1 :]
    text = Pattern(tuple(changed), pattern.variables).fill(values)

    found = match(pattern, text)

    assert isinstance(found, Mismatch)
    before = Pattern(tuple(changed[:number]), pattern.variables[:number]).fill(values[:number])
    # Never later than the change: each reading up to it is the only one.
    assert found.place <= len(before) + place
    assert found.culprits or found.place == len(before) + place


@st.composite
def contested(draw):
    """Return a pattern and a text of few letters, so that there are many readings or nearly one."""
    letters = "A1 "
    kinds = draw(
        st.lists(st.sampled_from([Kind.NUMERIC, Kind.ALPHANUMERIC, Kind.VAR]), min_size=1, max_size=4)
    )
    fixed = [draw(st.text(letters, min_size=1, max_size=3)) for _ in range(len(kinds) + 1)]
    fixed[0] = draw(st.sampled_from(["", fixed[0]]))
    fixed[-1] = draw(st.sampled_from(["", fixed[-1]]))
    variables = tuple(
        Variable(kind, draw(st.integers(1, 4)), "", 0, draw(st.booleans()) and kind is Kind.ALPHANUMERIC)
        for kind in kinds
    )
    text = draw(st.text(letters, max_size=14))
    if draw(st.booleans()):
        values = [draw(st.text(letters, max_size=4)) for _ in kinds]
        text = Pattern(tuple(fixed), variables).fill(values)
    return Pattern(tuple(fixed), variables), text


def backwards(pattern, text):
    """Match with a backtracking engine on everything reversed: its shortest-first order is then ours."""
    characters = {Kind.NUMERIC: "[0-9]", Kind.ALPHANUMERIC: "[A-Za-z0-9]", Kind.VAR: r"[^\n]"}
    expression = re.escape(pattern.fixed[-1][::-1])
    for variable, fixed in zip(reversed(pattern.variables), reversed(pattern.fixed[:-1]), strict=True):
        allowed = "[A-Za-z0-9 ]" if variable.spaced else characters[variable.kind]
        least = 0 if variable.kind is Kind.VAR else 1
        expression += f"({allowed}{{{least},{variable.characters_max}}}?){re.escape(fixed[::-1])}"
    found = re.fullmatch(expression, text[::-1])
    if found is None:
        return None
    spans = [found.span(group) for group in range(1, len(pattern.variables) + 1)]
    return tuple(Span(len(text) - end, len(text) - start) for start, end in reversed(spans))


@given(contested())
@example((pattern_of(["", "A", ""], [Kind.VAR, Kind.NUMERIC]), "xA A12"))
def test_a_text_matches_when_and_where_another_engine_says_so(made):
    pattern, text = made
    expected = backwards(pattern, text)

    found = match(pattern, text)

    assert (found.spans if isinstance(found, Matched) else None) == expected
    if isinstance(found, Mismatch):
        assert 0 <= found.place <= len(text)
        assert (found.place == len(text)) is (found.found == "")
        assert found.sentence.endswith(".")


@given(rendered(kinds=(Kind.NUMERIC,)), st.data())
def test_a_value_that_is_too_long_is_the_one_that_is_named(made, data):
    pattern, values = made
    assume(values and not any(char.isdigit() for piece in pattern.fixed for char in piece))
    number = data.draw(st.integers(1, len(values)))
    values[number - 1] = "7" * data.draw(st.integers(16, 60))
    begins = len(Pattern(pattern.fixed[:number], pattern.variables[: number - 1]).fill(values[: number - 1]))

    found = match(pattern, pattern.fill(values))

    assert (found.too_long, found.variable, found.place) == (number, number, begins + 15)


@given(st.text(max_size=200), st.text(max_size=200))
def test_any_two_texts_are_compared(template, text):
    pattern = Pattern((template,), ())

    found = match(pattern, text)

    assert isinstance(found, Matched) is (template == text)
    if isinstance(found, Mismatch):
        agreed = found.place
        assert template[:agreed] == text[:agreed]
        assert template[agreed : agreed + 1] != text[agreed : agreed + 1] or found.culprits


def steps(pattern, text):
    """Count the lines of the matcher that run; what it calls in C looks at each character once."""
    count = 0
    files = {module.__file__ for module in (matcher, readings, culprits)}

    def trace(frame, event, _argument):
        nonlocal count
        if frame.f_code.co_filename not in files:
            return None
        count += event == "line"
        return trace

    before = sys.gettrace()
    sys.settrace(trace)
    try:
        match(pattern, text)
    finally:
        sys.settrace(before)
    return count


HOSTILE = [
    ("{#var#}a" * 20, "a" * 65_536),
    ("{#var#}ab" * 20 + "c", "ab" * 32_768),
    ("{#alphanumeric#} " * 20, "a " * 32_768),
    ("{#numeric#}1" * 20, "1" * 65_536),
    ("{#email#}@" * 20, "a@a.in@" * 9_363),
    ("{#url#}/" * 20, "/" * 65_536),
    ("{#var#}" + "a" * 1900 + "b", "a" * 65_536),
]


@pytest.mark.parametrize(("template", "text"), HOSTILE)
def test_hostile_text_takes_steps_bounded_by_template_times_length(template, text):
    pattern = parse_registered(template, lengths=Lengths(**dict.fromkeys(Kind, 500)))
    pieces = len(pattern.fixed) + len(pattern.variables)

    taken = steps(pattern, text)

    assert taken <= 10 * pieces * len(text)
    assert steps(pattern, text * 2) <= 2 * taken + 100


@pytest.mark.parametrize(
    ("text", "place", "expected", "found", "variable"),
    [
        (SENT.replace("code", "Code"), 10, "`code is `", "Code is ******. Valid * minutes.", None),
        (SENT.replace("482913. V", "48291a. V"), 23, "a digit or `. Valid `", "a. Valid * minutes.", 1),
        (SENT.replace("482913. V", ". V"), 18, "a digit (variable 1)", ". Valid * minutes.", 1),
        (SENT.replace("Valid 5 minutes", "Valid 5 min"), 37, "`utes.\n@login.acme.in #`", ".", 2),
        (SENT.replace("482913.", "482913,"), 24, "a digit or `. Valid `", ", Valid * minutes.", 1),
        (SENT + ".", 65, "the end of the text", ".", 3),
        (SENT[:-7], 58, "`#`", "", 2),
        (SENT[:-6], 59, "a digit (variable 3)", "", 3),
        ("", 0, "`Your ACME code is `", "", None),
    ],
)
def test_a_mismatch_says_where_what_was_expected_and_what_stands_there(
    text, place, expected, found, variable
):
    pattern = parse_registered(OTP)

    mismatch = match(pattern, text)

    assert (mismatch.place, mismatch.expected, mismatch.variable) == (place, expected, variable)
    assert mismatch.found.split("\n")[0] == found
    assert mismatch.too_long is None


def test_what_a_free_variable_would_swallow_is_found_where_the_text_differs():
    text = "Your OTP is 1234, Do not share."

    mismatch = match(parse_registered("Your OTP is {#var#}. Do not share."), text)

    assert (mismatch.place, mismatch.found) == (text.index(","), ", Do not share.")


@pytest.mark.parametrize("tail", [". Bye", ""])
def test_a_variable_that_is_too_long_is_named(tail):
    pattern = parse_registered(
        "Code {#numeric#} for {#alphanumeric#}" + tail, lengths=Lengths(alphanumeric=4)
    )

    mismatch = match(pattern, "Code 12 for abcdef" + tail)

    assert (mismatch.too_long, mismatch.variable, mismatch.place) == (2, 2, len("Code 12 for abcd"))
    assert mismatch.expected == "at most 4 characters in variable 2"


@pytest.mark.parametrize(
    ("culprit", "registered", "sent"),
    [
        (Culprit.LINE_ENDS, "Code {#numeric#}\r\n@acme.in", "Code 1\n@acme.in"),
        (Culprit.NO_BREAK_SPACE, "Code {#numeric#} ok", "Code\u00a01 ok"),
        (Culprit.DOUBLE_SPACE, "Code {#numeric#} ok", "Code  1 ok"),
        (Culprit.QUOTES, "Don't share {#numeric#}", "Don’t share 1"),
        (Culprit.DASHES, "Code - {#numeric#}", "Code – 1"),
        (Culprit.INVISIBLE, "Code {#numeric#}", "\ufeffCode 1"),
        (Culprit.SPACE_AT_AN_EDGE, "Code {#numeric#}. ", "Code 1."),
        (Culprit.SPACE_AT_AN_EDGE, "Hello", " Hello\n"),
        (Culprit.COMPOSITION, "Your caf\u00e9 code {#numeric#}", "Your cafe\u0301 code 1"),
        (Culprit.CASE, "Your CODE {#numeric#}", "Your Code 1"),
    ],
)
def test_what_the_eye_does_not_see_is_named(culprit, registered, sent):
    mismatch = match(parse_registered(registered), sent)

    assert mismatch.culprits == (culprit,)
    assert culprit in mismatch.sentence


def test_culprits_that_only_together_explain_it_are_all_named():
    mismatch = match(
        parse_registered("Don't share {#numeric#}, it is - yours"), "don’t share 1, it  is – yours"
    )

    assert set(mismatch.culprits) == {Culprit.QUOTES, Culprit.DOUBLE_SPACE, Culprit.DASHES, Culprit.CASE}


def test_no_culprit_is_named_when_none_explains_it():
    assert match(parse_registered("Don't share {#numeric#}"), "Don’t tell 1").culprits == ()


def test_every_culprit_has_a_cure():
    assert set(CURES) == set(Culprit)


def test_an_explanation_hides_the_code():
    pattern = parse_registered("{#alphanumeric#} is your code.")

    mismatch = match(pattern, "KXQTRM is my code 12.", code="KXQTRM")

    assert masked("KXQTRM is my code 12.", "KXQTRM") == "****** is my code **."
    assert "KXQTRM" not in mismatch.sentence
    assert mismatch.found == "my code **."


@pytest.mark.parametrize(
    ("kind", "value", "good"),
    [
        (Kind.URL, "https://acme.in/help", True),
        (Kind.URL, "https://acme.in/r/x", True),
        (Kind.URL, "acme.in/", True),
        (Kind.URL, "https://evil.in/r/x", False),
        (Kind.URL, "https://acme.in/r/a b", False),
        (Kind.URLOTT, "https://acme.in/helper", False),
        (Kind.CBN, "1800-200-300", True),
        (Kind.CBN, "1800-200-301", False),
        (Kind.EMAIL, "a.b+c@mail.acme.in", True),
        (Kind.EMAIL, "a@acme", False),
        (Kind.EMAIL, "@acme.in", False),
        (Kind.EMAIL, "a@b@acme.in", False),
        (Kind.EMAIL, "a" * 40 + "@acme-mail.in", False),
        (Kind.ALPHANUMERIC, "a b", False),
        (Kind.ALPHANUMERIC, "a-b", False),
        (Kind.NUMERIC, "١٢٣", False),
        (Kind.VAR, "", True),
        (Kind.VAR, "a\nb", False),
    ],
)
def test_a_value_is_of_its_kind(kind, value, good):
    pattern = pattern_of(["see ", " now"], [kind])

    assert isinstance(match(pattern, f"see {value} now", whitelist=LINKS), Matched) is good


def test_links_and_numbers_have_the_form_of_one_where_nothing_is_listed():
    pattern = pattern_of(["", " or ", ""], [Kind.URL, Kind.CBN])

    assert isinstance(match(pattern, "https://any.in/x?y=1 or +91-80-1234"), Matched)
    assert isinstance(match(pattern, "https://any.in/x?y=1 or +91-80-1234", whitelist=Whitelist()), Mismatch)


def test_spaces_in_letters_are_an_option():
    text = "for Mata Ji now"

    assert isinstance(match(parse_registered("for {#alphanumeric#} now", spaced=True), text), Matched)
    assert isinstance(match(parse_registered("for {#alphanumeric#} now"), text), Mismatch)


@pytest.mark.parametrize("entries", [("x" * 2,), ("x" * 501,), ("https://acme.in",) * (WHITELIST_MAX + 1)])
def test_a_whitelist_that_would_whitelist_anything_is_refused(entries):
    with pytest.raises(InvalidRequest):
        Whitelist(urls=entries)
