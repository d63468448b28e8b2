"""Whisper, which nobody here trained, writes down the code that the English prompts speak."""

from pathlib import Path

from dastak.voice.prompt_words import GATES
from dastak.voice.prompts import Pack, pack
from tests.support.recogniser import digits, listen, write

# Each digit comes at each place of a code of six, and after six others.
CODES = ("302157", "945807", "562241", "036426", "718390", "481963", "829574", "167038", "220033", "654199")


def announced(speaking: Pack, code: str) -> bytes:
    return b"".join([speaking.clip("code_is"), *speaking.code(code)])


def test_recogniser_writes_down_the_codes(tmp_path: Path) -> None:
    speaking = pack("en")

    heard = listen([write(tmp_path / f"{code}.wav", announced(speaking, code)) for code in CODES])

    assert [digits(text) for text in heard] == list(CODES)


def test_recogniser_writes_down_which_key_to_press(tmp_path: Path) -> None:
    speaking = pack("en")

    heard = listen([write(tmp_path / f"{gate}.wav", speaking.clip(gate)) for gate in GATES])

    # "To hear your code" begins with what may be a digit.
    assert [digits(text)[-1] for text in heard] == [gate.removeprefix("gate_") for gate in GATES]
