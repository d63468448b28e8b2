"""What keeps a page from being published: each fault with its place and what to do, all at once."""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Final
from urllib.parse import urlsplit

import msgspec

from dastak.core.oidc import Client
from dastak.core.oidc_client_rules import begins_at, places_of
from dastak.web.landing.design import (
    UTM_NAMES,
    Block,
    Design,
    FieldKind,
    Hero,
    Image,
    Languages,
    Legal,
    Otp,
    Success,
    Text,
    fields_of,
    texts_of,
)
from dastak.web.landing.lead_fields import TRAP
from dastak.web.landing.look_alikes import doubtful, host_fault, slug_fault
from dastak.web.landing.proof_of_work import FIELD as SOLUTION
from dastak.web.landing.rich_text import is_link, refused_links
from dastak.web.landing.themes import COLOUR_TITLES, THEMES, palette_of, poor_pairs

# HTML and CSS of one view, without pictures: what a phone on a 2G line waits for.
PAGE_OCTETS_MAX: Final = 20_000
PICTURES_OCTETS_MAX: Final = 400_000
# Names that the form of the page has itself; one called `submit` would hide how a script sends the form.
RESERVED_NAMES: Final = frozenset({"form", "do", "code", "lang", "variant", "submit", SOLUTION, TRAP})

_ONCE: Final[tuple[tuple[type[Block], str, bool], ...]] = (
    (Hero, "headline", True),
    (Otp, "code button", True),
    (Success, "thank-you text", True),
    (Languages, "choice of languages", False),
)


class Fault(msgspec.Struct, frozen=True):
    """One reason not to publish.

    Attributes:
        place: Where in the editor it is, such as `Headline` or `Look`.
        sentence: What is wrong, and what to do.
        colour: The name of the colour to change, and
        offered: what to change it to, where a colour is at fault.
    """

    place: str
    sentence: str
    colour: str = ""
    offered: str = ""


class Surroundings(msgspec.Struct, frozen=True, kw_only=True):
    """What a check must know beside the design.

    Attributes:
        domains: The hosts that the service has proved to be its own.
        languages: The tags that our own sentences are there in.
        pictures: The octets of each picture of the page, by its name.
        client: The site that visitors are logged in at, if it is one of the page's; see `Design.log_in_at`.
        page_octets: How large the page is, in its largest language.
    """

    slug: str
    host: str | None
    domains: Collection[str]
    languages: Mapping[str, str]
    pictures: Mapping[str, int]
    page_octets: int
    client: Client | None = None


def faults(design: Design, around: Surroundings) -> tuple[Fault, ...]:
    """Return everything that keeps a design from being published; nothing lets it pass."""
    return (
        *_of_address(design, around),
        *_of_look(design),
        *_of_blocks(design),
        *_of_fields(design),
        *_of_texts(design, around),
        *_of_pictures(design, around),
        *_of_ways_out(design, around),
    )


def offers_of(found: Iterable[Fault]) -> Mapping[str, str]:
    """Return the colours that are offered in place of others, by the names of those."""
    return {fault.colour: fault.offered for fault in found if fault.colour}


def _of_address(design: Design, around: Surroundings) -> Iterator[Fault]:
    if (sentence := slug_fault(around.slug)) is not None:
        yield Fault("Address", sentence)
    if around.host is not None:
        if (sentence := host_fault(around.host)) is not None:
            yield Fault("Address", sentence)
        elif around.host not in around.domains:
            yield Fault("Address", f"{around.host} is not one of the service's domains; add it there first.")
    if not design.brand.strip():
        yield Fault("Brand", "Write the name of your brand.")
    elif (sentence := doubtful(design.brand)) is not None:
        yield Fault("Brand", sentence)


def _of_look(design: Design) -> Iterator[Fault]:
    if design.look.theme not in THEMES:
        yield Fault("Look", "Choose a theme.")
        return
    for poor in poor_pairs(palette_of(design.look)):
        text, background = COLOUR_TITLES[poor.pair.text], COLOUR_TITLES[poor.pair.background]
        yield Fault(
            "Look",
            f"“{text}” on “{background}” has a contrast of {poor.ratio:.1f} to 1; people need "
            f"{poor.pair.at_least:.1f} to 1. The nearest colour that can be read is {poor.offered}.",
            colour=poor.pair.text,
            offered=poor.offered,
        )


def _of_blocks(design: Design) -> Iterator[Fault]:
    for kind, title, needed in _ONCE:
        there = sum(isinstance(block, kind) for block in design.blocks)
        if needed and not there:
            yield Fault("Blocks", f"The page needs a {title}; add it.")
        elif there > 1:
            yield Fault("Blocks", f"The page has more than one {title}; remove one.")
    if len(design.languages) > 1 and not any(isinstance(block, Languages) for block in design.blocks):
        yield Fault("Blocks", "The page has several languages; add the choice of languages.")


def _of_fields(design: Design) -> Iterator[Fault]:
    fields = fields_of(design)
    phones = sum(field.kind is FieldKind.PHONE for field in fields)
    if phones != 1:
        yield Fault("Fields", "The form needs one field for the mobile number, and only one.")
    for name, times in Counter(field.name for field in fields).items():
        if times > 1:
            yield Fault("Fields", f"Two fields are called {name}; rename one.")
        if name in RESERVED_NAMES:
            yield Fault("Fields", f"A field cannot be called {name}; rename it.")
    for field in fields:
        if field.kind is FieldKind.SELECT and len(field.options) < 2:
            yield Fault("Fields", f"{field.name}: give at least two choices.")
        if field.kind is FieldKind.PHONE and not field.required:
            yield Fault("Fields", f"{field.name}: the mobile number cannot be left out.")
        if field.kind is FieldKind.HIDDEN and field.name not in UTM_NAMES:
            yield Fault("Fields", f"{field.name}: a hidden field is one of {', '.join(UTM_NAMES)}.")


def _of_texts(design: Design, around: Surroundings) -> Iterator[Fault]:
    for language in design.languages:
        if language not in around.languages:
            yield Fault("Languages", f"There are no sentences in {language}; choose another language.")
    blocks = list(design.blocks)
    named = [(titled(block), texts_of(block)) for block in blocks]
    if design.experiment is not None:
        named.append(("Variant B", texts_of(design.experiment.hero)))
        named.append(("Variant B", iter([("button", design.experiment.button, True)])))
    for place, texts in named:
        for name, text, needed in texts:
            missing = [
                around.languages.get(tag, tag) for tag in design.languages if not text.get(tag, "").strip()
            ]
            if needed and missing:
                yield Fault(place, f"The {name} is missing in {', '.join(missing)}.")
    for block in blocks:
        if isinstance(block, Text | Legal):
            for written in block.body.values():
                for address in refused_links(written):
                    yield Fault(titled(block), f"A link leads to {address}; links begin with https://.")


def _of_pictures(design: Design, around: Surroundings) -> Iterator[Fault]:
    shown = [block.image for block in design.blocks if isinstance(block, Image)]
    if any(name is None for name in shown):
        yield Fault("Picture", "Upload the picture, or remove its block.")
    used = {name for name in (*shown, design.logo) if name is not None}
    if not used <= around.pictures.keys():
        yield Fault("Picture", "A picture is not there any more; upload it again.")
    octets = sum(around.pictures.get(name, 0) for name in used)
    if octets > PICTURES_OCTETS_MAX:
        yield Fault("Picture", f"The pictures have {octets // 1000} KB; use at most 400 KB together.")
    if around.page_octets > PAGE_OCTETS_MAX:
        kilobytes = around.page_octets // 1000
        yield Fault("Size", f"The page has {kilobytes} KB without pictures; shorten its texts.")


def _of_ways_out(design: Design, around: Surroundings) -> Iterator[Fault]:
    for block in design.blocks:
        if not isinstance(block, Success):
            continue
        if design.log_in_at is not None:
            yield from _of_login(design, around, block.go_to)
        elif block.go_to is None:
            continue
        elif not is_link(block.go_to):
            yield Fault("Thank-you text", "The address to go to must begin with https:// and a host.")
        elif urlsplit(block.go_to).hostname not in around.domains:
            yield Fault(
                "Thank-you text",
                f"{urlsplit(block.go_to).hostname} is not one of the service's domains; add it there first.",
            )


def _of_login(design: Design, around: Surroundings, go_to: str | None) -> Iterator[Fault]:
    client = around.client
    if client is None:
        yield Fault(
            "Login",
            "The site is not there any more, asks for passwords, or is of another service or other phones "
            "than the page; choose another.",
        )
    elif go_to is None or not begins_at(client, go_to):
        yield Fault(
            "Thank-you text",
            f"Write the address at which {client.name} begins a login, at {' or '.join(places_of(client))}.",
        )
    if around.host is not None:
        yield Fault("Login", "A page with a host of its own logs nobody in: browsers keep its cookies apart.")
    if design.framed_by:
        yield Fault("Login", "A page in a frame logs nobody in: browsers keep cookies away from it.")


TITLES: Final[Mapping[type[Block], str]] = {
    Hero: "Headline",
    Text: "Text",
    Image: "Picture",
    Otp: "Code button",
    Success: "Thank-you text",
    Legal: "Small print",
    Languages: "Choice of languages",
}


def titled(block: Block) -> str:
    """Return what the editor calls a block."""
    return TITLES.get(type(block), "Fields")
