"""The call over bad networks and in every language: the phone recorded the announcement, or no digit."""

import asyncio
import random
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Final

from dastak.core.outcome import Outcome
from dastak.voice.ivr import BETWEEN_READINGS_S, FRAMES_PER_S, MENU_WAIT_S
from dastak.voice.prompt_words import DIGITS, LETTERS, Known, all_words
from dastak.voice.prompts import Pack, pack, shipped
from dastak.voice.sound.g711 import SILENT_FRAME as SILENCE
from tests.support.heard_digits import heard, samples
from tests.support.spoken_call import GATE, spoken_calls
from tests.support.talking_phone import TalkingPhone, talking_phone
from tests.support.tapped_path import TappedPath, Weather

ENGLISH: Final = pack("en")
CODE: Final = "471102"
# Two thirds of a digit's energy may be lost with its packets.
STILL_ALIKE: Final = 0.6
Press = Callable[[TalkingPhone, str], None]


async def opened(stack: AsyncExitStack, port: int, weather: Weather) -> TappedPath:
    path = TappedPath(port, weather=weather)
    await asyncio.to_thread(path.__enter__)
    stack.push_async_callback(asyncio.to_thread, path.__exit__)
    return path


def left_out(recognised: str, said: str) -> int | None:
    """Return how many characters were said and not recognised; None if there are others or another order."""
    left = iter(said)
    return len(said) - len(recognised) if all(one in left for one in recognised) else None


def press_whole(phone: TalkingPhone, key: str) -> None:
    phone.press(key)


def press_without_end(phone: TalkingPhone, key: str) -> None:
    """Press a key of which only the first packet arrives."""
    phone.sound.sends(phone.sound.press(key)[0], phone.line_port)


def press_without_beginning(phone: TalkingPhone, key: str) -> None:
    """Press a key of which only the last packet arrives, twice."""
    last = phone.sound.press(key)[-1]
    for _ in range(2):
        phone.sound.sends(last, phone.line_port)


# Each with how the key is pressed, and how many of the twelve digits may be left out; none may be another.
WEATHERS: Final[dict[str, tuple[Weather, Press, int]]] = {
    "5 % lost": (Weather(lost=0.05), press_whole, 0),
    "10 % lost": (Weather(lost=0.1, seed=2), press_without_end, 1),
    "20 % lost": (Weather(lost=0.2, seed=3), press_without_beginning, 3),
    "late by up to 100 ms and out of order": (Weather(jitter_s=0.1), press_without_end, 0),
    "every third twice": (Weather(doubled=0.33), press_whole, 0),
    "all of it": (Weather(lost=0.1, jitter_s=0.1, doubled=0.2), press_without_beginning, 1),
}


async def test_code_is_recognised_whatever_the_network_does_to_the_sound_and_the_key() -> None:
    async with AsyncExitStack() as stack:

        async def scene(weather: Weather, press: Press) -> str:
            phone = await stack.enter_async_context(talking_phone())
            path = await opened(stack, phone.port, weather)
            line = await stack.enter_async_context(spoken_calls(path.port))
            call = line.dial(CODE)
            await call.tells("answered")
            await until_named(path, phone)
            press(phone, GATE)
            assert await call.ends() is Outcome.DELIVERED, call.told
            recording = samples(phone.recorded())
            return await asyncio.to_thread(heard, recording, ENGLISH.clips, DIGITS, alike_min=STILL_ALIKE)

        recognised = await asyncio.gather(*(scene(weather, press) for weather, press, _ in WEATHERS.values()))

    for (name, (_, _, left_out_max)), digits in zip(WEATHERS.items(), recognised, strict=True):
        missing = left_out(digits, CODE * 2)
        assert missing is not None, (name, digits)
        assert missing <= left_out_max, (name, digits)


async def until_named(path: TappedPath, phone: TalkingPhone) -> None:
    """Wait until we have said which key is asked for, whatever became of it on the way."""
    clip = ENGLISH.clip(f"gate_{GATE}")
    while clip not in b"".join(packet[12:] for packet in path.sound()):
        await phone.sound.hears_more(10)


async def test_deaf_line_silence_a_wrong_key_and_a_voicemail_that_plays_keys_record_no_digit() -> None:
    wrong = str((int(GATE) + 1) % 10)
    recognised: dict[str, tuple[Outcome, str]] = {}

    async with AsyncExitStack() as stack:

        async def scene(name: str, *, keys: str, early: str = "", weather: Weather) -> None:
            phone = await stack.enter_async_context(talking_phone())
            path = await opened(stack, phone.port, weather)
            line = await stack.enter_async_context(spoken_calls(path.port))
            call = line.dial(CODE)
            await call.tells("answered")
            for key in early:
                phone.press(key)
            await until_named(path, phone)
            for key in keys:
                phone.press(key)
            outcome = await call.ends()
            digits = await asyncio.to_thread(heard, samples(phone.recorded()), ENGLISH.clips, DIGITS)
            recognised[name] = outcome, digits

        clear = Weather()
        await asyncio.gather(
            scene("nothing of us is heard", keys=GATE, weather=Weather(deaf=True)),
            scene("silence", keys="", weather=clear),
            scene("wrong key", keys=wrong, weather=clear),
            scene("wrong key, then the right one", keys=wrong + GATE, weather=clear),
            scene("a greeting with every key", keys="", early="0123456789*#", weather=clear),
        )

    assert recognised == {
        "nothing of us is heard": (Outcome.NO_HUMAN, ""),
        "silence": (Outcome.NO_HUMAN, ""),
        "wrong key": (Outcome.WRONG_KEY, ""),
        "wrong key, then the right one": (Outcome.WRONG_KEY, ""),
        "a greeting with every key": (Outcome.NO_HUMAN, ""),
    }


def announced(spoken: Pack, gate: str, code: str) -> tuple[bytes, bytes]:
    """Return what is said before the key is pressed and after, as it has to sound."""
    reading = b"".join(spoken.code(code)) + SILENCE * int(BETWEEN_READINGS_S * FRAMES_PER_S)
    after = [spoken.clip("code_is"), reading, spoken.clip("once_more"), reading, spoken.clip("menu")]
    after += [SILENCE * int(MENU_WAIT_S * FRAMES_PER_S), spoken.clip("goodbye")]
    instead = spoken.clip("instead") if spoken.language != spoken.asked else b""
    return instead + spoken.clip("greeting") + spoken.clip(f"gate_{gate}"), b"".join(after)


def sounding(recording: bytes) -> bytes:
    """Leave out the silence before."""
    while recording.startswith(SILENCE):
        recording = recording[len(SILENCE) :]
    return recording


def own_voice(language: str, _tenant: int) -> Pack:
    """Return the voice of a language, whatever is known of it."""
    return pack(language, least=Known.UNFIT)


async def test_announcement_is_recorded_sample_by_sample_in_every_language() -> None:
    dice = random.Random(20)
    wanted = [
        (language, speech_of, dice.choice(DIGITS), "".join(dice.choices(characters, k=length)))
        for language in all_words()
        for speech_of, characters, length in ((own_voice, DIGITS, 6), (shipped, (*LETTERS, *DIGITS), 5))
    ]
    async with AsyncExitStack() as stack:

        async def scene(language: str, speech_of: Callable[[str, int], Pack], gate: str, code: str) -> str:
            spoken = speech_of(language, 0)
            before, after = announced(spoken, gate, code)
            phone = await stack.enter_async_context(talking_phone())
            line = await stack.enter_async_context(spoken_calls(phone.port, speech_of=speech_of))
            call = line.dial(code, gate=gate, locale=language)
            await phone.until_heard(lambda recording: before in recording)
            phone.press(gate)
            assert await call.ends() is Outcome.DELIVERED, (language, call.told)
            began, at, recorded = phone.recorded().partition(before)
            assert (sounding(began), at) == (b"", before), language
            recorded = sounding(recorded)
            assert recorded.startswith(after), (language, code)
            assert sounding(recorded[len(after) :]) == b"", language
            return spoken.language

        heard_in = await asyncio.gather(*(scene(*one) for one in wanted))

    # Each language in its own voice; by the rules of the program some are replaced, and that is said first.
    assert heard_in[::2] == list(all_words())
    assert heard_in[1::2] == [pack(language).language for language in all_words()]
