"""What the editor's form says of a page: every block as it stands, and the one change a button asks for.

Names of fields: `b2.title.hi` is the Hindi title of the third block, `b2.f0.label.hi` the label of its first
field, `look.ink` a colour, `lang.hi` a language. A button is called `do`, such as `up:2` or `field-down:2:0`.

While one types the draft moves on and the form stays as it was drawn. So it says what it was drawn from: its
blocks (`shape`), its logo (`look.logo`), its theme (`look.of`), its colours (`look.had`) and its languages
(`lang.shown`).
"""

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Final, NamedTuple, TypeVar

import msgspec

from dastak.core.errors import InvalidRequest, NotFound
from dastak.web.landing.design import (
    BLOCKS_MAX,
    BRAND_CHARACTERS_MAX,
    FIELDS_MAX,
    FRAMERS_MAX,
    OPTIONS_MAX,
    PLANNED_MAX,
    PLANNED_MIN,
    TEXT_CHARACTERS_MAX,
    Block,
    Corner,
    Design,
    Experiment,
    Field,
    FieldKind,
    Fields,
    Font,
    Hero,
    Image,
    Languages,
    Legal,
    Look,
    Otp,
    Success,
    Text,
    Texts,
)
from dastak.web.landing.lead_fields import one_line
from dastak.web.landing.starter import NEW_BLOCKS, begun_in, new_experiment, new_field, sentences
from dastak.web.landing.themes import COLOURS, THEMES, palette_named

T = TypeVar("T")

KIND_TITLES: Final[Mapping[FieldKind, str]] = {
    FieldKind.TEXT: "Line of text",
    FieldKind.EMAIL: "Email address",
    FieldKind.PHONE: "Mobile number",
    FieldKind.SELECT: "Choice from a list",
    FieldKind.CHECKBOX: "Box to tick",
    FieldKind.CONSENT: "Consent",
    FieldKind.HIDDEN: "Hidden: where the visitor came from",
}
_COLOUR: Final = re.compile(r"#[0-9a-f]{6}")
_ORIGIN: Final = re.compile(r"https://[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?(?::[0-9]{1,5})?")
_OF_BLOCK: Final = re.compile(r"b[0-9]+\.")
_CLIENT: Final = re.compile(r"client_[0-9a-f]{24}")
_NAME_CHARACTERS_MAX: Final = 30
# In the shape of a form: that it has a variant B.
_VARIANT: Final = "variant"


class Edited(NamedTuple):
    """What a form came to.

    Attributes:
        design: Not checked yet.
        complaints: What could not be taken over, each as a sentence.
        focus: The button or block to return to, for those who use the keyboard.
    """

    design: Design
    complaints: tuple[str, ...]
    focus: str

    def told(self, *complaints: str) -> "Edited":
        """Return it with more that could not be taken over."""
        return self._replace(complaints=(*self.complaints, *complaints))


def shape_of(design: Design) -> str:
    """Return which blocks and fields a form has, for itself to carry; see `read_design`."""

    def said(block: Block) -> str:
        kind = type(block).__name__.lower()
        if isinstance(block, Fields):
            return f"{kind}:{','.join(field.kind for field in block.fields)}"
        return f"{kind}:{block.image}" if isinstance(block, Image) and block.image else kind

    variant = [] if design.experiment is None else [_VARIANT]
    return " ".join([*map(said, design.blocks), *variant])


def read_design(design: Design, form: Mapping[str, str]) -> Edited:
    """Read a form as it was filled in, whatever its button asks for.

    Args:
        design: The draft as it is now; the form may have been drawn from an earlier one.
        form: What it holds.

    Raises:
        InvalidRequest: It is none of our forms.
    """
    design = _drawn_from(design, form.get("shape"))
    languages, client = _languages(design, form), form.get("log_in_at", "")
    framers, wrong = _framers(form.get("framed_by", ""))
    blocks = tuple(_block(block, f"b{n}", form, languages) for n, block in enumerate(design.blocks))
    read = Design(
        brand=one_line(form.get("brand", ""))[:BRAND_CHARACTERS_MAX],
        languages=languages,
        look=_look(design.look, form),
        logo=form.get("look.logo", design.logo or "") or None,
        blocks=blocks,
        experiment=_experiment(design, form, languages),
        framed_by=framers,
        log_in_at=client if _CLIENT.fullmatch(client) else None,
    )
    shown = form.get("lang.shown", " ".join(design.languages)).split()
    own = next((tag for tag in languages if tag in shown), languages[0])
    for language in languages:
        if language not in shown:
            read = begun_in(read, language, own)
    return Edited(read, (*_left_out(design, form, languages), *wrong), "")


def pressed(read: Edited, form: Mapping[str, str]) -> Edited:
    """Do what a form's button asks for. Raises: InvalidRequest (it is none of ours, or there is no room)."""
    design, focus = _act(read.design, form, form.get("do", "save"))
    return read._replace(design=design, focus=focus or read.focus)


def as_typed(form: Mapping[str, str], *, moved: bool) -> Mapping[str, str]:
    """Return what to show again of a form, letter for letter, whatever was made of it.

    Args:
        form: What it holds.
        moved: Its blocks are in other places by now, by which their fields are named.
    """
    return {name: text for name, text in form.items() if not (moved and _OF_BLOCK.match(name))}


def edition_of(form: Mapping[str, str]) -> int:
    """Return which draft a form replaces: the one it was drawn from, or another's that its button names."""
    verb, _, over = form.get("do", "").partition(":")
    edition = over if verb == "over" else form.get("edition", "")
    return int(edition[:9]) if edition.isascii() and edition.isdigit() else -1


def with_picture(design: Design, place: str, name: str) -> Design:
    """Put a picture where it was uploaded: `logo`, or the number of its block. Raises: InvalidRequest."""
    if place == "logo":
        return msgspec.structs.replace(design, logo=name)
    blocks = list(design.blocks)
    at = _number(place, len(blocks))
    block = blocks[at]
    if not isinstance(block, Image):
        raise InvalidRequest("There is no picture here.")
    blocks[at] = msgspec.structs.replace(block, image=name)
    return msgspec.structs.replace(design, blocks=tuple(blocks))


def _drawn_from(design: Design, shape: str | None) -> Design:
    """Return a design with the blocks that a form has, whatever the draft has by now."""
    if shape in (None, shape_of(design)):
        return design
    said = shape.split(maxsplit=BLOCKS_MAX + 1)
    tried = _VARIANT in said[-1:]
    blocks = tuple(_block_drawn(one) for one in (said[:-1] if tried else said))
    experiment = (design.experiment or new_experiment(design)) if tried else None
    return msgspec.structs.replace(design, blocks=blocks, experiment=experiment)


def _block_drawn(said: str) -> Block:
    kind, _, more = said.partition(":")
    block = NEW_BLOCKS.get(kind)
    kinds = more.split(",", FIELDS_MAX) if isinstance(block, Fields) and more else []
    if block is None or not set(kinds) <= set(FieldKind):
        raise InvalidRequest("The page has changed; open it again.")
    if isinstance(block, Image):
        return Image(image=more or None)
    fields = tuple(Field(name=kind, kind=FieldKind(kind)) for kind in kinds)
    return Fields(fields=fields) if fields else block


def _act(  # noqa: PLR0911 - one for each button
    design: Design, form: Mapping[str, str], do: str
) -> tuple[Design, str]:
    """Do what a button asks for, and say where to return to."""
    verb, *places = do.split(":")
    blocks = list(design.blocks)
    match verb, places:
        case "add", []:
            if len(blocks) >= BLOCKS_MAX:
                raise InvalidRequest(f"A page has at most {BLOCKS_MAX} blocks.")
            block = NEW_BLOCKS.get(form.get("add", ""))
            if block is None:
                raise InvalidRequest("There is no such block.")
            return msgspec.structs.replace(design, blocks=(*blocks, block)), f"b{len(blocks)}"
        case (("up" | "down" | "remove"), [at]):
            moved, focus = _moved(blocks, verb, at)
            return msgspec.structs.replace(design, blocks=tuple(moved)), f"b{focus}"
        case "field-add", [at]:
            n, kind = _number(at, len(blocks)), form.get(f"b{at}.add", "")
            return _with_fields(design, n, lambda fields: [*fields, new_field(kind, fields)])
        case (("field-up" | "field-down" | "field-remove"), [at, field]):
            n, way = _number(at, len(blocks)), verb.removeprefix("field-")
            return _with_fields(design, n, lambda fields: _moved(fields, way, field)[0])
        case "offer", [colour, offered]:
            if colour not in COLOURS or not _COLOUR.fullmatch(offered):
                raise InvalidRequest("There is no such colour.")
            look = msgspec.structs.replace(design.look, **{colour: offered})
            return msgspec.structs.replace(design, look=look), "look"
        case "logo-remove", []:
            return msgspec.structs.replace(design, logo=None), "look"
        case "try", []:
            return msgspec.structs.replace(design, experiment=new_experiment(design)), "variant"
        case "try-end", []:
            return msgspec.structs.replace(design, experiment=None), "variant"
        case _:
            return design, places[0] if verb == "save" and places else ""


def _with_fields(design: Design, n: int, change: Callable[[list[Field]], list[Field]]) -> tuple[Design, str]:
    blocks = list(design.blocks)
    block = blocks[n]
    if not isinstance(block, Fields):
        raise InvalidRequest("There are no fields here.")
    fields = change(list(block.fields))
    if len(fields) > FIELDS_MAX:
        raise InvalidRequest(f"A form has at most {FIELDS_MAX} fields.")
    blocks[n] = Fields(fields=tuple(fields))
    return msgspec.structs.replace(design, blocks=tuple(blocks)), f"b{n}"


def _moved(things: Sequence[T], verb: str, place: str) -> tuple[list[T], int]:
    """Move a thing one place, or remove it; the ends stay where they are."""
    at, moved = _number(place, len(things)), list(things)
    thing = moved.pop(at)
    if verb == "remove":
        return moved, max(0, at - 1)
    to = max(0, at - 1) if verb == "up" else at + 1
    moved.insert(to, thing)
    return moved, min(to, len(moved) - 1)


def _number(text: str, below: int) -> int:
    if not text.isascii() or not text.isdigit() or not int(text[:6]) < below:
        raise InvalidRequest("The page has changed; open it again.")
    return int(text[:6])


def _languages(design: Design, form: Mapping[str, str]) -> tuple[str, ...]:
    known = sentences()["title"]
    chosen = [tag for tag in known if form.get(f"lang.{tag}") == "yes"]
    if not chosen:
        return design.languages
    first = form.get("lang.first", "")
    return tuple(sorted(chosen, key=lambda tag: tag != first))


def _left_out(design: Design, form: Mapping[str, str], languages: Sequence[str]) -> Iterator[str]:
    """Say what of a form's names, choices and numbers is not as it was typed."""
    if "lang.first" in form and not any(form.get(f"lang.{tag}") == "yes" for tag in languages):
        yield "A page speaks one language at least; it stays with those it has."
    for n, block in enumerate(design.blocks):
        for i, field in enumerate(block.fields if isinstance(block, Fields) else ()):
            place = f"b{n}.f{i}"
            written = one_line(form.get(f"{place}.name", field.name))
            if not _field_name(written, ""):
                yield f"“{written}” is no name: begin it with a letter a to z; “{field.name}” stays."
            if max(map(len, _lines(place, form, languages).values()), default=0) > OPTIONS_MAX:
                yield f"“{written}” has more than {OPTIONS_MAX} choices; those after them are left out."
    if design.experiment is not None and "b-planned" in form and _planned(form) is None:
        yield (
            f"Variants are judged after {PLANNED_MIN} to {PLANNED_MAX} visitors of each; "
            f"it stays at {design.experiment.planned}."
        )


def _framers(text: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
    lines = [line.strip().rstrip("/") for line in text.splitlines() if line.strip()]
    right = [line for line in lines if _ORIGIN.fullmatch(line)]
    wrong = [one_line(line) for line in lines if not _ORIGIN.fullmatch(line)]
    told = [f"{line} is no site; write it as https://www.example.in." for line in wrong]
    if len(right) > FRAMERS_MAX:
        told.append(f"At most {FRAMERS_MAX} sites may show the page; those after them are left out.")
    return tuple(right[:FRAMERS_MAX]), tuple(told)


def _look(look: Look, form: Mapping[str, str]) -> Look:
    """Read colours; another theme brings its own ones along, but for those that were chosen beside it."""
    drawn = form.get("look.of", look.theme)
    theme = form.get("look.theme", drawn)
    if theme not in THEMES:
        return Look(theme=look.theme)
    usual = THEMES[theme].palette
    try:
        had = usual if theme == drawn else palette_named(form.get("look.had", ""))
    except NotFound:
        return Look(theme=theme)
    own: dict[str, str | Corner | Font] = {}
    for name in COLOURS:
        colour = form.get(f"look.{name}", "").lower()
        if _COLOUR.fullmatch(colour) and colour not in (getattr(usual, name), getattr(had, name)):
            own[name] = colour
    corner, font = form.get("look.corner", ""), form.get("look.font", "")
    if corner in set(Corner) and corner not in (usual.corner, had.corner):
        own["corner"] = Corner(corner)
    if font in set(Font) and font not in (usual.font, had.font):
        own["font"] = Font(font)
    return msgspec.structs.replace(Look(theme=theme), **own)


def _texts(place: str, form: Mapping[str, str], languages: Sequence[str]) -> Texts:
    """Read one text in every language; what is empty is left out."""
    written = {tag: form.get(f"{place}.{tag}", "").replace("\r\n", "\n").strip() for tag in languages}
    return {tag: text[:TEXT_CHARACTERS_MAX] for tag, text in written.items() if text}


def _block(  # noqa: PLR0911 - one for each kind of block
    block: Block, place: str, form: Mapping[str, str], languages: Sequence[str]
) -> Block:
    def said(name: str) -> Texts:
        return _texts(f"{place}.{name}", form, languages)

    match block:
        case Hero():
            return Hero(title=said("title"), lead=said("lead"))
        case Text():
            return Text(body=said("body"))
        case Legal():
            return Legal(body=said("body"))
        case Image():
            return Image(image=block.image, alt=said("alt"))
        case Otp():
            return Otp(button=said("button"), note=said("note"))
        case Success():
            go_to = form.get(f"{place}.go_to", "").strip()[:500]
            return Success(title=said("title"), body=said("body"), go_to=go_to or None)
        case Fields():
            read = (_field(f, f"{place}.f{n}", form, languages) for n, f in enumerate(block.fields))
            return Fields(fields=tuple(read))
        case Languages():
            return block


def _field(field: Field, place: str, form: Mapping[str, str], languages: Sequence[str]) -> Field:
    hidden = field.kind is FieldKind.HIDDEN
    options = _options(place, form, languages) if field.kind is FieldKind.SELECT else ()
    return Field(
        name=_field_name(form.get(f"{place}.name", ""), field.name),
        kind=field.kind,
        label={} if hidden else _texts(f"{place}.label", form, languages),
        required=field.kind is FieldKind.PHONE or form.get(f"{place}.required") == "yes",
        options=options,
    )


def _field_name(written: str, former: str) -> str:
    name = re.sub(r"[^a-z0-9]+", "_", written.lower()).strip("_")[:_NAME_CHARACTERS_MAX]
    return name if name and name[0].isalpha() else former


def _lines(place: str, form: Mapping[str, str], languages: Sequence[str]) -> Mapping[str, Sequence[str]]:
    said = {tag: form.get(f"{place}.options.{tag}", "").splitlines() for tag in languages}
    return {tag: [one_line(line) for line in lines if line.strip()] for tag, lines in said.items()}


def _options(place: str, form: Mapping[str, str], languages: Sequence[str]) -> tuple[Texts, ...]:
    """Read choices, one a line; the lines of all languages belong together by their number."""
    lines = _lines(place, form, languages)
    count = min(OPTIONS_MAX, max(map(len, lines.values()), default=0))
    return tuple({tag: said[n] for tag, said in lines.items() if n < len(said)} for n in range(count))


def _experiment(design: Design, form: Mapping[str, str], languages: Sequence[str]) -> Experiment | None:
    if design.experiment is None:
        return None
    planned = _planned(form)
    return Experiment(
        hero=Hero(title=_texts("v.title", form, languages), lead=_texts("v.lead", form, languages)),
        button=_texts("v.button", form, languages),
        planned=design.experiment.planned if planned is None else planned,
    )


def _planned(form: Mapping[str, str]) -> int | None:
    """Return how many visitors a form plans; None where it does not say so, or too few or too many."""
    text = form.get("b-planned", "").strip()
    planned = int(text[:8]) if text.isascii() and text.isdigit() else 0
    return planned if PLANNED_MIN <= planned <= PLANNED_MAX else None
