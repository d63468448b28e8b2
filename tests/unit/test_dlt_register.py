"""A tenant's register: whole or refused, kept as JSON, and asked for the template of a text."""

from datetime import date, timedelta

import msgspec
import pytest

from dastak.core.errors import InvalidRequest
from dastak.dlt.chain import Chain, ChainMode
from dastak.dlt.choice import EXPLAINED_MAX, Chosen, Reason, Unmatched, choose
from dastak.dlt.culprits import Culprit
from dastak.dlt.readings import Whitelist
from dastak.dlt.register import (
    CHAINS_MAX,
    ENTITIES_MAX,
    HEADERS_MAX,
    TEMPLATES_MAX,
    Category,
    ContentTemplate,
    Entity,
    Header,
    Register,
    Standing,
)
from dastak.dlt.template_tags import Lengths, Platform

PE, OTHER_PE = "1101172974420810001", "110100001341"
TM = "1101172974420830004"
LOGIN, MINUTES, OFFER = "1107160000000000001", "1107160000000000002", "1107160000000000003"
TODAY = date(2026, 11, 24)


def template(template_id=LOGIN, text="{#numeric#} is your ACME code.", **more):
    usual = {"pe_id": PE, "header": "ACMEPA", "category": Category.SERVICE_IMPLICIT}
    return ContentTemplate(template_id=template_id, text=text, **(usual | more))


def register(*templates, **more):
    usual = {
        "entities": (Entity(pe_id=PE, name="Acme"),),
        "headers": (Header(name="ACMEPA", pe_id=PE), Header(name="ACMEIN", pe_id=PE)),
        "templates": templates,
        "chains": (
            Chain(pe_id=PE, route="north", mode=ChainMode.SHA256, tm_ids=(TM,), approved=True),
            Chain(pe_id=PE, route="south", mode=ChainMode.CLEAR, tm_ids=(TM,)),
        ),
    }
    return Register(**(usual | more))


def ask(registered, text, *, header="ACMEPA", **more):
    return choose(registered, header=header, text=text, today=TODAY, **more)


FULL = register(
    template(),
    template(MINUTES, "{#numeric#} is your ACME code. Valid {#numeric#} minutes.", name="with minutes"),
    template(OFFER, "{#var#} is your ACME code.", category=Category.PROMOTIONAL),
)


def test_the_text_decides_the_template_and_its_fields():
    chosen = ask(FULL, "482913 is your ACME code. Valid 5 minutes.")

    assert (chosen.template.template_id, chosen.values) == (MINUTES, ("482913", "5"))
    assert chosen.fields(FULL.chain_by_route[PE, "south"]) == {
        "pe_id": PE,
        "template_id": MINUTES,
        "category": "service_implicit",
        "chain": f"{PE},{TM}",
        "var1": "482913",
        "var2": "5",
    }
    assert "chain" not in chosen.fields(None)
    assert len(chosen.fields(FULL.chain_by_route[PE, "north"])["chain"]) == 64
    assert "482913" not in repr(chosen)


def test_a_template_for_codes_comes_before_one_that_needs_consent():
    assert ask(FULL, "482913 is your ACME code.").template.template_id == LOGIN
    assert ask(FULL, "48A913 is your ACME code.").template.template_id == OFFER


def test_of_two_that_match_the_one_with_the_most_fixed_text_is_chosen():
    both = register(template(LOGIN, "{#var#} is your code."), template(MINUTES, "{#numeric#} is your code."))
    narrow = register(template(LOGIN, "Hi {#var#}"), template(MINUTES, "Hi {#var#} code"))

    assert ask(both, "12 is your code.").template.template_id == LOGIN  # a tie: the order of the register
    assert ask(narrow, "Hi 12 code").template.template_id == MINUTES


def test_a_template_that_is_named_is_the_only_one_tried():
    named = ask(FULL, "482913 is your ACME code.", template_id=OFFER)
    wrong = ask(FULL, "482913 is your ACME code.", template_id=MINUTES)

    assert named.template.template_id == OFFER
    assert (wrong.reason, wrong.nearest.template_id) == (Reason.TEXT_DIFFERS, MINUTES)


@pytest.mark.parametrize(
    ("changes", "asked", "reason"),
    [
        ({}, {"header": "acmepa"}, Reason.HEADER_UNKNOWN),
        ({}, {"header": "ACMEIN"}, Reason.NO_TEMPLATE),
        ({}, {"template_id": "1107160000000000009"}, Reason.TEMPLATE_UNKNOWN),
        ({}, {"header": "ACMEIN", "template_id": LOGIN}, Reason.TEMPLATE_OF_ANOTHER_HEADER),
        ({"standing": Standing.BLACKLISTED}, {}, Reason.TEMPLATE_NOT_VALID),
        ({"valid_until": TODAY - timedelta(days=1)}, {}, Reason.TEMPLATE_NOT_VALID),
    ],
)
def test_what_is_not_registered_or_not_valid_is_said_in_words(changes, asked, reason):
    refused = ask(register(template(**changes)), "1 is your ACME code.", **asked)

    assert isinstance(refused, Unmatched)
    assert refused.reason is reason
    assert refused.words.endswith(".")


def test_an_entity_or_header_that_is_not_valid_refuses_all_its_texts():
    last_day = Header(name="ACMEPA", pe_id=PE, valid_until=TODAY)
    over = msgspec.structs.replace(last_day, valid_until=TODAY - timedelta(days=1))
    barred = Entity(pe_id=PE, standing=Standing.BLACKLISTED)

    assert isinstance(ask(register(template(), headers=(last_day,)), "1 is your ACME code."), Chosen)
    past = ask(register(template(), headers=(over,)), "1 is your ACME code.")
    assert (past.reason, "past its last day" in past.words) == (Reason.HEADER_NOT_VALID, True)
    refused = ask(register(template(), entities=(barred,)), "1 is your ACME code.")
    assert (refused.reason, "blacklisted" in refused.words) == (Reason.ENTITY_NOT_VALID, True)


def test_the_nearest_template_is_explained_without_the_code():
    refused = ask(FULL, "482913 is your ACME code. Valid 5 mins.")
    unseen = ask(FULL, "KXQTRM is your ACME  code. Valid 5 minutes.", code="KXQTRM")

    assert (refused.reason, refused.nearest.template_id) == (Reason.TEXT_DIFFERS, MINUTES)
    assert refused.mismatch.place == len("482913 is your ACME code. Valid 5 min")
    assert not {"482913", "KXQTRM"} & set(f"{refused.words} {unseen.words} {unseen.mismatch.found}".split())
    once = ask(FULL, "482913 is your ACME  code.", template_id=LOGIN)
    assert once.mismatch.culprits == (Culprit.DOUBLE_SPACE,)


def test_only_so_many_templates_are_explained_but_all_are_tried():
    many = [template(f"11071600000000{n:05}", f"Text {n:04} {{#numeric#}}") for n in range(EXPLAINED_MAX * 2)]
    registered = register(*many)

    assert ask(registered, f"Text {EXPLAINED_MAX * 2 - 1:04} 7").template == many[-1]
    assert ask(registered, "Text 9999 7").nearest in many[:EXPLAINED_MAX]


def test_whitelist_and_lengths_of_a_template_hold():
    links = Whitelist(prefixes=("https://acme.in/",))
    own = register(template(text="See {#url#}, {#numeric#}.", whitelist=links, lengths=Lengths(numeric=2)))

    assert isinstance(ask(own, "See https://acme.in/x, 12."), Chosen)
    assert ask(own, "See https://evil.in/x, 12.").reason is Reason.TEXT_DIFFERS
    assert ask(own, "See https://acme.in/x, 123.").mismatch.too_long == 2


def test_spaces_are_an_option_of_the_register():
    one = template(text="For {#alphanumeric#} now")

    assert isinstance(ask(register(one, spaced=True), "For Mata Ji now"), Chosen)
    assert isinstance(ask(register(one), "For Mata Ji now"), Unmatched)


def test_a_route_may_be_used_with_an_approved_chain_of_the_entity_only():
    assert FULL.may_use(PE, "north")
    assert not FULL.may_use(PE, "south")
    assert not FULL.may_use(PE, "west")
    assert not FULL.may_use(OTHER_PE, "north")


def test_a_register_is_kept_as_json():
    full = register(
        template(
            text="A {#var#} b {#alphanumeric#}",
            types=("numeric",),
            forms={Platform.TATA: "A {#var#} b {#var#}"},
            whitelist=Whitelist(numbers=("1800-200-300",)),
            approved_on=TODAY,
        )
    )

    kept = msgspec.json.encode(full)

    assert msgspec.json.decode(kept, type=Register) == full


@pytest.mark.parametrize(
    ("make", "field"),
    [
        (lambda: register(template(), template()), "templates"),
        (lambda: register(template(pe_id=OTHER_PE)), "templates"),
        (lambda: register(headers=(Header(name="ACMEPA", pe_id=OTHER_PE),)), "headers"),
        (lambda: register(headers=(Header(name="ACMEPA", pe_id=PE),) * 2), "headers"),
        (lambda: register(entities=(Entity(pe_id=PE),) * 2), "entities"),
        (lambda: register(chains=(Chain(pe_id=OTHER_PE, route="x", mode=ChainMode.NONE),)), "chains"),
        (lambda: register(chains=(Chain(pe_id=PE, route="x", mode=ChainMode.NONE),) * 2), "chains"),
        (lambda: register(entities=(Entity(pe_id=PE),) * (ENTITIES_MAX + 1)), "entities"),
        (lambda: register(headers=(Header(name="A", pe_id=PE),) * (HEADERS_MAX + 1)), "headers"),
        (lambda: register(*[template()] * (TEMPLATES_MAX + 1)), "templates"),
        (
            lambda: register(chains=(Chain(pe_id=PE, route="x", mode=ChainMode.NONE),) * (CHAINS_MAX + 1)),
            "chains",
        ),
        (lambda: Header(name="ACME-PA", pe_id=PE), "header"),
        (lambda: Header(name="ACMEPAYMENTS", pe_id=PE), "header"),
        (lambda: Entity(pe_id="PE1"), "pe_id"),
        (lambda: template("11071600000000000O1"), "template_id"),
        (lambda: template(header="ACME\u200bPA"), "header"),
        (lambda: template(text="{#numeric#}{#numeric#}"), "text"),
        (lambda: template(forms={Platform.JIO: "{#numeric#} is your ACME Code."}), "forms"),
    ],
)
def test_what_is_not_whole_is_refused(make, field):
    with pytest.raises(InvalidRequest) as refused:
        make()

    assert refused.value.field == field
