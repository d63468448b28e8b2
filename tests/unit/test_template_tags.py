"""Registered templates in both dialects: what is fixed, what may vary, and what is refused."""

import contextlib
import string

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dastak.core.errors import TemplateMismatch
from dastak.dlt.template_tags import (
    DIALECTS,
    LENGTHS,
    TAGS,
    VARIABLES_MAX,
    Dialect,
    Kind,
    Lengths,
    Platform,
    in_dialect,
    parse_registered,
)

fixed_texts = st.text(
    st.characters(exclude_characters="{}#", exclude_categories=["Cs"]), min_size=1, max_size=12
)


@st.composite
def registered(draw):
    """Return a registered text, its fixed pieces and its kinds."""
    tags = draw(st.lists(st.sampled_from(sorted(TAGS)), max_size=6))
    fixed = [draw(fixed_texts) for _ in range(len(tags) + 1)]
    if tags:
        fixed[0], fixed[-1] = draw(st.sampled_from([fixed[0], ""])), draw(st.sampled_from([fixed[-1], ""]))
    cased = [draw(st.sampled_from([tag, tag.upper(), tag.title()])) for tag in tags]
    written = [*(f"{{#{tag}#}}" for tag in cased), ""]
    text = "".join(piece + tag for piece, tag in zip(fixed, written, strict=True))
    return text, tuple(fixed), tuple(TAGS[tag] for tag in tags)


@given(registered())
def test_what_is_fixed_and_what_varies_is_found_in_any_template(made):
    text, fixed, kinds = made

    pattern = parse_registered(text)

    assert pattern.fixed == fixed
    assert tuple(variable.kind for variable in pattern.variables) == kinds
    assert pattern.fill([variable.tag for variable in pattern.variables]) == text
    for number, variable in enumerate(pattern.variables):
        assert text.startswith(variable.tag, variable.place)
        assert text.startswith(pattern.fixed[number + 1], pattern.place_of(number + 1))


@given(st.text(st.sampled_from("{}#" + string.ascii_letters + " \n1"), max_size=80))
def test_any_text_is_parsed_or_refused_in_words(text):
    with contextlib.suppress(TemplateMismatch):
        pattern = parse_registered(text)

        assert pattern.fill([variable.tag for variable in pattern.variables]) == text


@given(registered())
def test_dialects_say_the_same(made):
    pattern = parse_registered(made[0])

    plain, types = in_dialect(pattern, Dialect.PLAIN)
    typed, none = in_dialect(pattern, Dialect.TYPED)

    assert none == ()
    assert "{#" not in plain.replace("{#var#}", "")
    for again in (parse_registered(plain, types=types), parse_registered(typed)):
        assert again.fixed == pattern.fixed
        assert [variable.kind for variable in again.variables] == [
            variable.kind for variable in pattern.variables
        ]


def test_kinds_of_the_table_beside_the_text_go_to_the_var_tags_in_order():
    pattern = parse_registered("A {#var#} b {#cbn#} c {#VAR#}", types=("Numeric", "alphanumeric"))

    assert [variable.kind for variable in pattern.variables] == [Kind.NUMERIC, Kind.CBN, Kind.ALPHANUMERIC]


def test_lengths_are_data():
    text = "Code {#number#}, ref {#alphanumeric#}."

    usual, longer = parse_registered(text), parse_registered(text, lengths=Lengths(numeric=4), spaced=True)

    assert [variable.characters_max for variable in usual.variables] == [
        LENGTHS.numeric,
        LENGTHS.alphanumeric,
    ]
    assert [(variable.characters_max, variable.spaced) for variable in longer.variables] == [
        (4, False),
        (40, True),
    ]
    assert longer.characters_max == len("Code , ref .") + 44


@pytest.mark.parametrize(
    ("text", "types", "words"),
    [
        ("", (), "1 to 2000"),
        ("x" * 2001, (), "1 to 2000"),
        ("A {#numric#} b", (), "at character 3 is no tag"),
        ("A {#numeric#}{#numeric#}", (), "Variables 1 and 2 touch at character 14"),
        ("{#var#}," * (VARIABLES_MAX + 1), (), f"at most {VARIABLES_MAX} variables"),
        ("A {#var#}", ("numeric", "numeric"), "2 types for 1"),
        ("A {#numeric#}", ("numeric",), "1 types for 0"),
        ("A {#var#}", ("digits",), "A type is none of"),
    ],
)
def test_what_no_text_could_match_is_refused(text, types, words):
    with pytest.raises(TemplateMismatch) as refused:
        parse_registered(text, types=types)

    assert words in refused.value.detail


@pytest.mark.parametrize("text", ["{#var #}", "{# var#}", "{var}", "{#var", "#}", "{{#}}", "{#9#}", "{##}"])
def test_what_only_looks_like_a_tag_is_fixed_text(text):
    assert parse_registered(text).fixed == (text,)


def test_every_platform_has_a_dialect():
    assert set(DIALECTS) == set(Platform)
