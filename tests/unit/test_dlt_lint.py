"""What the linter says of templates: each advice where it holds, and none of a template as it should be."""

from datetime import UTC, datetime
from typing import Any

import pytest

from dastak.core.codes import Alphabet
from dastak.dlt.lint import caret, lint_template, lint_text
from dastak.dlt.register import Category, ContentTemplate, Entity, Header, Register
from dastak.sms.segments import parts_of

PE, TEMPLATE = "1101172974420810001", "1107161234567890123"
GOOD = "{#numeric#} is your Acme code. Valid for {#numeric#} min.\n@login.example.in #{#numeric#}"
NOW = datetime(2026, 2, 1, tzinfo=UTC)


def register(text: str, **fields: Any) -> Register:
    template = ContentTemplate(
        **{"template_id": TEMPLATE, "pe_id": PE, "header": "ACMEOT", "category": Category.SERVICE_IMPLICIT}
        | fields,
        text=text,
    )
    return Register(
        entities=(Entity(pe_id=PE),), headers=(Header(name="ACMEOT", pe_id=PE),), templates=(template,)
    )


def advice(text: str, alphabet: Alphabet | None = None, **fields: Any) -> tuple[str, ...]:
    told = register(text, **fields)
    return lint_template(told, told.templates[0], parts=parts_of, alphabet=alphabet)


def test_template_as_it_should_be_gets_no_advice():
    assert advice(GOOD, Alphabet.NUMERIC) == ()


@pytest.mark.parametrize(
    ("text", "fields", "said"),
    [
        (GOOD, {"category": Category.PROMOTIONAL}, "Its category is promotional"),
        ("Welcome to Acme.", {}, "It has no variable"),
        ("{#var#} is your Acme code.", {}, "A variable has no type"),
        (GOOD, {"alphabet": Alphabet.ALPHANUMERIC}, "Codes with letters need"),
        ("{#numeric#} is your code. https://acme.example", {}, "It has a link"),
        ("{#numeric#} is your code.\n@{#alphanumeric#} #{#numeric#}", {}, "The host after @"),
        ("{#numeric#} is your Acme code.\n{#alphanumeric#}", {}, "Its last line is a variable"),
        ("{#numeric#} is your Cafe\u0301 code.", {}, "Some letters are written with separate accents"),
        ("{#numeric#} is your code." + "x" * 150, {}, "With its longest values it takes 2 short messages"),
        ("{#numeric#} आपका कोड है। " + "क" * 50, {}, "With its longest values it takes 2 short messages"),
    ],
)
def test_what_should_be_otherwise_is_said_and_nothing_else(text, fields, said):
    (line,) = advice(text, **fields)

    assert line.startswith(said)


def test_text_that_differs_is_told_by_place_without_its_digits():
    text = "908172 is your Acme Code."

    found = lint_text(
        register("{#numeric#} is your Acme code."), header="ACMEOT", text=text, now=NOW, parts=parts_of
    )

    assert (found.matched, found.template_id, found.place) == (False, TEMPLATE, text.index("Code"))
    assert caret(text, text.index("Code")) == "****** is your Acme Code.\n" + " " * 20 + "^"
    assert "908172" not in repr(found)


def test_text_of_a_template_comes_with_the_advice_for_it():
    found = lint_text(
        register("{#var#} is your Acme code."),
        header="ACMEOT",
        text="908172 is your Acme code.",
        now=NOW,
        parts=parts_of,
    )

    assert found.matched
    assert [line[:24] for line in found.advice] == ["A variable has no type: "]
