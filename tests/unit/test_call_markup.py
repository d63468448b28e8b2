"""What is written for a vendor is what the vendor's own library writes, and nothing in it becomes markup."""

import json
from typing import Any
from xml.etree import ElementTree

import pytest
from hypothesis import given
from hypothesis import strategies as st
from plivo import plivoxml
from twilio.twiml.voice_response import Gather, Say, VoiceResponse
from vonage_voice.models.ncco import Input, Notify, Stream, Talk

from dastak.http_voice.call_markup import Markup, Spoken, plain, write
from dastak.http_voice.call_script import BRAND, CODE, CallScript, Then, Turn
from dastak.http_voice.call_words import Piece, Voice, recorded, said, spelled, words_of
from dastak.voice.prompt_words import all_words
from dastak.voice.prompts import pack
from dastak.voice.recordings import telephone

NEXT = "https://otp.example.in/hooks/carriers/main/s3cr3t/calls/t0ken/1?a=1&b=2"
SOUND = "https://otp.example.in/hooks/carriers/main/s3cr3t/calls/t0ken/0/says"
VOICE = Voice(language="hi-IN", voice="Polly.Aditi")
STYLE = Voice(language="en-US", voice="2")
ENGLISH = words_of("en")[1]
KEYS = Turn(says=("greeting",), asked=("menu",), then=Then.KEYS, keys=1, wait_s=4)
ON = Turn(says=(CODE,), then=Then.GO_ON)
END = Turn(says=("goodbye",))


def spoken(turn: Turn, *, voice: Voice = VOICE, code: str = "482913", brand: str = "Acme") -> Spoken:
    """Return a turn in English words."""
    return Spoken(
        turn,
        said(turn.says, ENGLISH, code=code, brand=brand),
        said(turn.asked, ENGLISH, code=code, brand=brand),
        voice,
        NEXT,
    )


def shape(xml: str | bytes) -> Any:
    """Return an XML document as values, so that the order of attributes does not matter."""

    def of(element: ElementTree.Element) -> Any:
        return (
            element.tag,
            dict(element.attrib),
            element.text or "",
            [(of(child), child.tail or "") for child in element],
        )

    return of(ElementTree.fromstring(xml))


def test_twiml_is_what_the_vendors_library_writes() -> None:
    named = {"voice": "Polly.Aditi", "language": "hi-IN"}
    keys = VoiceResponse()
    keys.say("Hello. This is a call with your security code.", **named)
    gather = Gather(
        action=NEXT, method="POST", input="dtmf", num_digits=1, timeout=4, action_on_empty_result=True
    )
    # The library leaves an empty attribute out.
    gather.attrs["finishOnKey"] = ""
    gather.say(ENGLISH.phrases["menu"], **named)
    keys.append(gather)
    on = VoiceResponse()
    code = Say("", **named)
    for word in ("four", "eight", "two", "nine"):
        code.append(word)
        code.break_(time="350ms")
    on.append(code)
    on.redirect(NEXT, method="POST")
    end = VoiceResponse()
    end.say("Goodbye.", **named)
    end.hangup()

    assert shape(write(Markup.TWIML, spoken(KEYS)).body) == shape(str(keys))
    assert shape(write(Markup.TWIML, spoken(ON, code="4829")).body) == shape(str(on))
    assert shape(write(Markup.TWIML, spoken(END)).body) == shape(str(end))


def test_twiml_plays_our_sounds_where_the_vendor_has_no_voice() -> None:
    played = VoiceResponse()
    played.play(SOUND)
    played.hangup()

    page = write(Markup.TWIML, Spoken(END, (SOUND,), (), Voice(language=""), ""))

    assert shape(page.body) == shape(str(played))


def test_plivo_xml_is_what_the_vendors_library_writes() -> None:
    keys = plivoxml.ResponseElement()
    named = {"voice": "Polly.Aditi", "language": "hi-IN"}
    keys.add(plivoxml.SpeakElement("Hello. This is a call with your security code.", **named))
    keys.add(
        plivoxml.GetInputElement(
            action=NEXT,
            method="POST",
            input_type="dtmf",
            num_digits=1,
            execution_timeout=5,
            digit_end_timeout=4,
            finish_on_key="none",
            redirect=True,
        ).add(plivoxml.SpeakElement(ENGLISH.phrases["menu"], **named))
    )
    keys.add(plivoxml.RedirectElement(NEXT, method="POST"))
    end = plivoxml.ResponseElement()
    end.add(plivoxml.SpeakElement("Goodbye.", **named)).add(plivoxml.HangupElement())

    assert shape(write(Markup.PLIVO, spoken(KEYS)).body) == shape(keys.to_string(False))
    assert shape(write(Markup.PLIVO, spoken(END)).body) == shape(end.to_string(False))
    on = shape(write(Markup.PLIVO, spoken(ON)).body)
    assert [child[0] for child, _ in on[3]] == ["Speak", "Redirect"]


def test_ncco_is_valid_for_the_vendors_models_and_says_nothing_else() -> None:
    models = {"talk": Talk, "input": Input, "notify": Notify, "stream": Stream}
    pages = [write(Markup.NCCO, spoken(turn, voice=STYLE)) for turn in (KEYS, ON, END)]
    pages.append(write(Markup.NCCO, Spoken(KEYS, (SOUND,), (SOUND,), Voice(language=""), NEXT)))

    for page in pages:
        for action in json.loads(page.body):
            model = models[action["action"]](**action)
            assert model.model_dump(exclude_none=True, mode="json") == action
    named = [[action["action"] for action in json.loads(page.body)] for page in pages]
    assert named == [["talk", "talk", "input"], ["talk", "notify"], ["talk"], ["stream", "stream", "input"]]
    barge = [action.get("bargeIn") for action in json.loads(pages[0].body)]
    assert barge == [False, True, None]


@given(brand=st.text(st.characters(exclude_categories=("Cs",)), max_size=60))
def test_any_brand_is_text_and_never_markup(brand: str) -> None:
    turn = Turn(says=("greeting", BRAND, "gate_3"), then=Then.KEYS, keys=1, wait_s=5)

    twiml = shape(write(Markup.TWIML, spoken(turn, brand=brand)).body)
    plivo = shape(write(Markup.PLIVO, spoken(turn, brand=brand)).body)
    ncco = json.loads(write(Markup.NCCO, spoken(turn, voice=STYLE, brand=brand)).body)

    told = 3 if brand else 2
    assert [child[0] for child, _ in twiml[3]] == ["Say"] * told + ["Gather"]
    assert [child[0] for child, _ in plivo[3]] == ["Speak"] * told + ["GetInput", "Redirect"]
    assert [action["action"] for action in ncco] == ["talk"] * told + ["input"]
    if brand:
        (_, _, heard, within), _ = twiml[3][1]
        (_, _, also, _) = shape(ncco[1]["text"])
        speakable = brand.isprintable()
        assert within == []
        assert heard == also
        assert heard == f"{brand}." or not speakable


@pytest.mark.parametrize("markup", Markup)
def test_nothing_secret_is_in_the_pages_before_the_right_digit(markup: Markup) -> None:
    script = CallScript(gate="7")
    pages = [write(markup, spoken(script.next(), voice=STYLE)) for _ in range(3)]

    written = b"".join(page.body for page in pages).decode()
    assert "press seven" in written
    assert not any(word in written for word in ("four", "eight", "Your code is", "482913"))


@pytest.mark.parametrize("language", all_words())
def test_code_is_spelled_in_every_language_with_its_pauses(language: str) -> None:
    _, words = words_of(language)

    pieces = list(spelled("4829AZ", words))

    assert [piece.text for piece in pieces[:4]] == [words.digits[int(digit)] for digit in "4829"]
    assert [piece.pause_ms for piece in pieces] == [350, 350, 700, 350, 350, 350]
    assert all(piece.text for piece in pieces)


def test_language_that_nobody_translated_is_english() -> None:
    assert words_of("xx") == words_of("en") == ("en", ENGLISH)
    assert words_of("") == words_of("en")


def test_text_for_a_vendor_without_markup_has_a_comma_for_each_pause() -> None:
    text = plain(said(("code_is", CODE, BRAND), ENGLISH, code="4829", brand="A\x00cme <b>"))

    assert text == "Your code is. four, eight, two, nine. A cme <b>."
    assert plain(((Piece("a."), Piece("b")),)) == "a, b."


def test_recorded_turn_is_a_wav_file_of_its_clips() -> None:
    speech = pack("ta")

    wav = recorded(("code_is", CODE, BRAND), speech, code="48", brand="Acme")
    (bare,) = {recorded((BRAND,), speech, code="", brand="Acme")}

    assert (wav[:4], wav[8:16]) == (b"RIFF", b"WAVEfmt ")
    assert int.from_bytes(wav[4:8], "little") == len(wav) - 8
    # Another reader of ours takes it for a recording of the telephone's rate, and hears something.
    assert len(telephone(wav)) > 8_000
    assert len(bare) < len(wav)
