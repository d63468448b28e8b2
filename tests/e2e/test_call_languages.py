"""Four softphones in four languages: what each one's own recording holds, by comparing and by listening."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from dastak.voice.prompts import pack
from dastak.voice.sound.g711 import pcm_to_ulaw
from tests.support.baresip_phone import WAV_HEAD_OCTETS, BaresipPhone
from tests.support.calling_house import CallingHouse, calling_house, phone_in, press_gate
from tests.support.patience import until
from tests.support.recogniser import digits, listen, write
from tests.support.virtual_caller import digits_in

# What is dialled, and what the person reads.
NUMBERS: Final = {f"+9198765432{at}": language for at, language in enumerate(("en", "hi", "ta", "ur"), 11)}
CODE: Final = "830497"


class Call(NamedTuple):
    """One that is over.

    Attributes:
        recording: What the phone itself wrote down.
        steps: What the program says that happened.
    """

    recording: Path
    steps: list[str]


@pytest.fixture(scope="module")
def calls(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Call]]:
    """Call all four at one time, each over a trunk of its own, and have each press its digit."""
    folder = tmp_path_factory.mktemp("languages")
    with calling_house(folder) as house, ExitStack() as phones:
        held: dict[str, tuple[str, BaresipPhone]] = {}
        for number, language in NUMBERS.items():
            phone = phones.enter_context(phone_in(folder, number=number, name=language))
            held[language] = (_rung(house, phone, number, language), phone)
        for language, (_, phone) in held.items():
            press_gate(phone, pack(language))
        for of, _ in held.values():
            house.told_of(of, type="delivered")
        # The head of the recording tells its length once baresip has closed it.
        yield {language: Call(_closed(phone), house.steps(of)) for language, (of, phone) in held.items()}


def _rung(house: CallingHouse, phone: BaresipPhone, number: str, language: str) -> str:
    """Open a trunk that carries one call, to this phone, and call over it."""
    house.add(phone.port, name=language, calls_max=1)
    house.until_available(language)
    started = house.api.start(number, channel="voice", locale=language, code=CODE)
    assert started.status == 201, started
    of = str(started.body["id"])
    house.told_of(of, type="submitted", route=language)
    return of


def _closed(phone: BaresipPhone) -> Path:
    [recording] = phone.directory.glob("dump-*-dec.wav")
    size = recording.stat().st_size - WAV_HEAD_OCTETS
    until(lambda: int.from_bytes(recording.read_bytes()[40:44], "little") >= size > 0)
    return recording


@pytest.mark.parametrize("language", NUMBERS.values())
def test_softphone_hears_its_language_bit_for_bit(calls: dict[str, Call], language: str) -> None:
    call, spoken = calls[language], pack(language)
    heard = pcm_to_ulaw(call.recording.read_bytes()[WAV_HEAD_OCTETS:])

    assert digits_in(heard, spoken) == CODE * 2
    assert spoken.language == language
    # The last words may be lost with what the softphone had not written yet when the call ended.
    clips = ("greeting", "code_is", "once_more", "menu")
    places = [heard.find(spoken.clip(name)) for name in clips]
    assert places[0] > -1
    assert places == sorted(places)
    assert call.steps[-5:] == ["answered", "right_key", "spoken", "spoken", "hung_up"]


def test_recogniser_writes_down_the_code_of_the_whole_recorded_call(calls: dict[str, Call]) -> None:
    (text,) = listen([calls["en"].recording])

    assert digits(text).count(CODE) == 2, text


def test_recogniser_hears_no_code_before_the_key(calls: dict[str, Call], tmp_path: Path) -> None:
    heard = pcm_to_ulaw(calls["en"].recording.read_bytes()[WAV_HEAD_OCTETS:])
    before, _, _ = heard.partition(pack("en").clip("code_is"))
    assert before != heard

    (text,) = listen([write(tmp_path / "before.wav", before)])

    assert len(digits(text)) < len(CODE), text
