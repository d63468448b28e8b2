"""A landing page as it is designed: typed blocks in a versioned JSON document, and nothing else.

1. What is no block, field, theme or colour cannot be said: there is no place for HTML, CSS or script.
2. A design never changes: each change makes a new one, and equal designs have equal octets.
3. Every text is there once for each language of the page.
"""

from base64 import urlsafe_b64encode
from collections.abc import Iterator, Mapping
from enum import StrEnum
from hashlib import sha256
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.core.errors import InvalidRequest

FORMAT: Final = 1
BRAND_CHARACTERS_MAX: Final = 60
TEXT_CHARACTERS_MAX: Final = 4000
BLOCKS_MAX: Final = 24
FIELDS_MAX: Final = 20
OPTIONS_MAX: Final = 20
FRAMERS_MAX: Final = 10
LANGUAGES_MAX: Final = 13
PLANNED_MIN: Final = 100
PLANNED_MAX: Final = 1_000_000
PLANNED_USUAL: Final = 1000
DESIGN_OCTETS_MAX: Final = 128 * 1024
# What a link of a campaign may bring along; the rest of an address is not written down.
UTM_NAMES: Final = ("utm_source", "utm_medium", "utm_campaign", "utm_term", "utm_content")

Words = Annotated[str, Meta(max_length=TEXT_CHARACTERS_MAX)]
Texts = Mapping[str, Words]
FieldName = Annotated[str, Meta(pattern=r"^[a-z][a-z0-9_]{0,29}$")]
Colour = Annotated[str, Meta(pattern=r"^#[0-9a-f]{6}$")]
ImageName = Annotated[str, Meta(pattern=r"^[0-9a-f]{32}$")]
ClientId = Annotated[str, Meta(pattern=r"^client_[0-9a-f]{24}$")]
# scheme, host and perhaps a port: what may frame a page.
Origin = Annotated[str, Meta(pattern=r"^https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?$")]


class FieldKind(StrEnum):
    """What a field asks for."""

    TEXT = "text"
    EMAIL = "email"
    PHONE = "phone"
    SELECT = "select"
    CHECKBOX = "checkbox"
    CONSENT = "consent"
    HIDDEN = "hidden"


class Corner(StrEnum):
    """How round the corners are."""

    SQUARE = "square"
    SOFT = "soft"
    ROUND = "round"


class Font(StrEnum):
    """Which of the letters that every device has."""

    PLAIN = "plain"
    BOOK = "book"
    FRIENDLY = "friendly"


class Field(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """One question.

    Attributes:
        label: For a consent the sentence that is agreed to.
        options: What can be chosen, for a select.
    """

    name: FieldName
    kind: FieldKind
    label: Texts = {}
    required: bool = True
    options: Annotated[tuple[Texts, ...], Meta(max_length=OPTIONS_MAX)] = ()


class Hero(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="hero"):
    """What a visitor reads first."""

    title: Texts = {}
    lead: Texts = {}


class Text(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="text"):
    """Paragraphs, lists, bold words and links; see `rich_text`."""

    body: Texts = {}


class Image(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="image"):
    """A picture that was uploaded, and what it shows for those who do not see it."""

    image: ImageName | None = None
    alt: Texts = {}


class Fields(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="fields"):
    """The questions of the form."""

    fields: Annotated[tuple[Field, ...], Meta(max_length=FIELDS_MAX)] = ()


class Otp(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="otp"):
    """The button that sends the code."""

    button: Texts = {}
    note: Texts = {}


class Success(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="success"):
    """What is shown when the number is proved, or where the visitor is sent on to."""

    title: Texts = {}
    body: Texts = {}
    go_to: Annotated[str, Meta(max_length=500)] | None = None


class Legal(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="legal"):
    """The small print."""

    body: Texts = {}


class Languages(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, tag="languages"):
    """Where a visitor chooses another language."""


Block = Hero | Text | Image | Fields | Otp | Success | Legal | Languages


class Look(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A theme, and what is not as the theme has it; None leaves it to the theme."""

    theme: str = "meadow"
    paper: Colour | None = None
    ink: Colour | None = None
    accent: Colour | None = None
    on_accent: Colour | None = None
    hero: Colour | None = None
    on_hero: Colour | None = None
    corner: Corner | None = None
    font: Font | None = None


class Experiment(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What variant B says in place of the hero and the button.

    Attributes:
        planned: How many visitors each variant shall have before anybody may call one the better.
    """

    hero: Hero
    button: Texts
    planned: Annotated[int, Meta(ge=PLANNED_MIN, le=PLANNED_MAX)] = PLANNED_USUAL


class Design(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, omit_defaults=True):
    """A whole page.

    Attributes:
        languages: Their tags; the first is the page's own.
        framed_by: Sites that may show the page in a frame.
        log_in_at: The client of OpenID Connect that visitors are logged in at; `Success.go_to` is then where
            it begins a login. None brings a one-time token there.
    """

    format: Annotated[int, Meta(ge=FORMAT, le=FORMAT)] = FORMAT
    brand: Annotated[str, Meta(max_length=BRAND_CHARACTERS_MAX)]
    languages: Annotated[tuple[str, ...], Meta(min_length=1, max_length=LANGUAGES_MAX)]
    look: Look = Look()
    logo: ImageName | None = None
    blocks: Annotated[tuple[Block, ...], Meta(max_length=BLOCKS_MAX)] = ()
    experiment: Experiment | None = None
    framed_by: Annotated[tuple[Origin, ...], Meta(max_length=FRAMERS_MAX)] = ()
    log_in_at: ClientId | None = None


_ENCODER: Final = msgspec.json.Encoder(order="sorted")
_DECODER: Final = msgspec.json.Decoder(Design)


def encode(design: Design) -> bytes:
    """Write a design down; equal ones give equal octets."""
    return _ENCODER.encode(design)


def decode(octets: bytes) -> Design:
    """Read a design back.

    Raises:
        InvalidRequest: It is none, or larger than one may be.
    """
    if len(octets) > DESIGN_OCTETS_MAX:
        raise InvalidRequest(f"A page has at most {DESIGN_OCTETS_MAX} octets.")
    try:
        return _DECODER.decode(octets)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"This is no design of a page: {error}") from error


def checked(design: Design) -> Design:
    """Hold a design that a form made against the same rules as one that is read. Raises: InvalidRequest."""
    return decode(encode(design))


def fields_of(design: Design) -> tuple[Field, ...]:
    """Return all questions, in their order."""
    return tuple(field for block in design.blocks if isinstance(block, Fields) for field in block.fields)


def find_block(design: Design, kind: type[msgspec.Struct]) -> Block | None:
    """Return the first block of a kind."""
    return next((block for block in design.blocks if isinstance(block, kind)), None)


def experiment_of(design: Design, began: int) -> str:
    """Return what tells one experiment from every other; empty where there is one variant alone.

    It is a digest of all that the variants say otherwise, of what was planned, and of when that began:
    whoever changes a word, or how many visitors there shall be, or comes back to earlier words, has begun
    another one.

    Args:
        design: As it was published.
        began: The number of the first version since which the page has said the same; see `ExperimentRuns`.
    """
    if design.experiment is None:
        return ""
    otp = find_block(design, Otp)
    button = otp.button if isinstance(otp, Otp) else {}
    said = (find_block(design, Hero), button, design.experiment, began)
    return urlsafe_b64encode(sha256(_ENCODER.encode(said)).digest()).rstrip(b"=").decode()


def texts_of(block: Block) -> Iterator[tuple[str, Texts, bool]]:
    """Name every text of a block, and say whether it must be there in each language."""
    match block:
        case Hero():
            yield from (("title", block.title, True), ("lead", block.lead, False))
        case Text() | Legal():
            yield "text", block.body, True
        case Image():
            yield "description", block.alt, True
        case Otp():
            yield from (("button", block.button, True), ("note", block.note, False))
        case Success():
            yield from (("title", block.title, True), ("text", block.body, False))
        case Fields():
            for field in block.fields:
                if field.kind is FieldKind.HIDDEN:
                    continue
                yield f"label of {field.name}", field.label, True
                for n, option in enumerate(field.options, 1):
                    yield f"choice {n} of {field.name}", option, True
        case Languages():
            return


def say(texts: Texts, language: str, design: Design) -> str:
    """Return a text in a language, or in the page's own where that is not written yet."""
    return texts.get(language) or texts.get(design.languages[0], "")


def text_version(text: str) -> str:
    """Return what tells one wording from another in a consent record."""
    return sha256(text.encode()).hexdigest()[:16]
