"""Write a turn in the language of its vendor: TwiML, NCCO or Plivo XML.

1. What is said is text and never markup: whatever stands in a brand's name is escaped.
2. A key that interrupts is taken only in the part that asks; what is said before it cannot be interrupted.
3. In every language the next turn is fetched from one address, once, with keys or without.

Source: Twilio's pages on TwiML for voice; Vonage's NCCO reference; Plivo's XML reference.
"""

from collections.abc import Callable, Iterable, Mapping
from enum import StrEnum
from typing import Any, Final, NamedTuple
from xml.sax.saxutils import escape, quoteattr

import msgspec

from dastak.http_voice.call_script import Then, Turn
from dastak.http_voice.call_words import Piece, Voice

XML_TYPE: Final = "application/xml; charset=utf-8"
JSON_TYPE: Final = "application/json"
# What XML 1.0 cannot hold, not even escaped; a brand is one line.
_UNSPEAKABLE: Final = dict.fromkeys(
    (*range(0x20), 0x7F, *range(0x80, 0xA0), 0xFFFE, 0xFFFF, *range(0xD800, 0xE000)), " "
)
# Vonage waits no longer than this for a key, Plivo at least so long for the first and between two.
_VONAGE_WAIT_S_MAX: Final = 10
_PLIVO_WAIT_S_MIN: Final = 5
_PLIVO_BETWEEN_S: Final = (2, 10)


class Markup(StrEnum):
    """The languages."""

    TWIML = "twiml"
    NCCO = "ncco"
    PLIVO = "plivo"


def check_voice(markup: Markup | None, voice: Voice) -> None:
    """Refuse a voice that its vendor cannot have. Raises: ValueError."""
    if markup is Markup.NCCO and not (voice.voice.isascii() and voice.voice.isdecimal()):
        raise ValueError(f"voices: a voice of this vendor is the number of a style, not {voice.voice!r}")


class Spoken(NamedTuple):
    """What a turn says, ready to be written down.

    Attributes:
        says: The parts that nothing interrupts: pieces of text, or the address of a sound.
        asked: Those that a key interrupts.
        voice: The vendor's, for texts.
        next_url: Where the next turn is fetched.
    """

    turn: Turn
    says: tuple[tuple[Piece, ...] | str, ...]
    asked: tuple[tuple[Piece, ...] | str, ...]
    voice: Voice
    next_url: str


class Page(NamedTuple):
    """An answer to a carrier."""

    body: bytes
    media_type: str


def write(markup: Markup, spoken: Spoken) -> Page:
    """Write a turn."""
    return _WRITERS[markup](spoken)


def plain(parts: Iterable[tuple[Piece, ...]]) -> str:
    """Write all of it as one text, for vendors that take no markup: a comma is a pause."""
    return " ".join(_clean(", ".join(piece.text.rstrip(".:।") for piece in part)) + "." for part in parts)


def _twiml(spoken: Spoken) -> Page:
    def one(part: tuple[Piece, ...] | str) -> str:
        if isinstance(part, str):
            return f"<Play>{escape(part)}</Play>"
        named = _attributes(voice=spoken.voice.voice, language=spoken.voice.language)
        return f"<Say{named}>{_ssml(part)}</Say>"

    body = "".join(map(one, spoken.says))
    asked = "".join(map(one, spoken.asked))
    match spoken.turn.then:
        case Then.KEYS:
            named = _attributes(
                action=spoken.next_url,
                method="POST",
                input="dtmf",
                numDigits=str(spoken.turn.keys),
                timeout=str(spoken.turn.wait_s),
                finishOnKey="",
                # Without it silence goes on to what stands behind, and says nothing to us.
                actionOnEmptyResult="true",
            )
            body += f"<Gather{named}>{asked}</Gather>"
        case Then.GO_ON:
            body += f"<Redirect{_attributes(method='POST')}>{escape(spoken.next_url)}</Redirect>"
        case Then.HANG_UP:
            body += "<Hangup/>"
    return _xml(body)


def _plivo(spoken: Spoken) -> Page:
    def one(part: tuple[Piece, ...] | str) -> str:
        if isinstance(part, str):
            return f"<Play>{escape(part)}</Play>"
        named = _attributes(voice=spoken.voice.voice, language=spoken.voice.language)
        return f"<Speak{named}>{_ssml(part)}</Speak>"

    body = "".join(map(one, spoken.says))
    follows = f"<Redirect{_attributes(method='POST')}>{escape(spoken.next_url)}</Redirect>"
    match spoken.turn.then:
        case Then.KEYS:
            least_s, most_s = _PLIVO_BETWEEN_S
            named = _attributes(
                action=spoken.next_url,
                method="POST",
                inputType="dtmf",
                numDigits=str(spoken.turn.keys),
                executionTimeout=str(max(_PLIVO_WAIT_S_MIN, spoken.turn.wait_s)),
                digitEndTimeout=str(min(max(least_s, spoken.turn.wait_s), most_s)),
                finishOnKey="none",
                redirect="true",
            )
            # Without a key it goes on to what stands behind: the same turn, without keys.
            body += f"<GetInput{named}>{''.join(map(one, spoken.asked))}</GetInput>{follows}"
        case Then.GO_ON:
            body += follows
        case Then.HANG_UP:
            body += "<Hangup/>"
    return _xml(body)


def _ncco(spoken: Spoken) -> Page:
    def one(part: tuple[Piece, ...] | str, *, barge: bool) -> dict[str, Any]:
        if isinstance(part, str):
            return {"action": "stream", "streamUrl": [part], "bargeIn": barge}
        style = {"style": int(spoken.voice.voice)} if spoken.voice.voice else {}
        text = f"<speak>{_ssml(part)}</speak>"
        return {"action": "talk", "text": text, "language": spoken.voice.language, "bargeIn": barge, **style}

    actions = [one(part, barge=False) for part in spoken.says]
    back = {"eventUrl": [spoken.next_url], "eventMethod": "POST"}
    match spoken.turn.then:
        case Then.KEYS:
            actions += [one(part, barge=True) for part in spoken.asked]
            dtmf = {
                "maxDigits": spoken.turn.keys,
                "timeOut": min(spoken.turn.wait_s, _VONAGE_WAIT_S_MAX),
                "submitOnHash": False,
            }
            actions.append({"action": "input", "type": ["dtmf"], "dtmf": dtmf, **back})
        case Then.GO_ON:
            actions.append({"action": "notify", "payload": {"said": True}, **back})
        case Then.HANG_UP:
            pass  # a call ends where its script does
    return Page(msgspec.json.encode(actions), JSON_TYPE)


_WRITERS: Final[Mapping[Markup, Callable[[Spoken], Page]]] = {
    Markup.TWIML: _twiml,
    Markup.NCCO: _ncco,
    Markup.PLIVO: _plivo,
}


def _ssml(part: tuple[Piece, ...]) -> str:
    """Write pieces with their pauses; a silence at the end is one of the code as well."""
    return "".join(
        escape(_clean(piece.text)) + (f'<break time="{piece.pause_ms}ms"/>' if piece.pause_ms else "")
        for piece in part
    )


def _clean(text: str) -> str:
    return text.translate(_UNSPEAKABLE)


def _attributes(**named: str) -> str:
    empty_means = {"finishOnKey"}
    return "".join(
        f" {name}={quoteattr(value)}" for name, value in named.items() if value or name in empty_means
    )


def _xml(body: str) -> Page:
    return Page(f'<?xml version="1.0" encoding="UTF-8"?><Response>{body}</Response>'.encode(), XML_TYPE)
