"""Whisper, which nobody here trained, writes down the code that the English prompts speak."""

import json
import re
import subprocess
import wave
from pathlib import Path

from dastak.voice.prompt_words import GATES, all_words
from dastak.voice.prompts import Pack, pack
from dastak.voice.sound.g711 import ulaw_to_pcm
from tests.support.needed import PEERS, missing

ROOT = Path(__file__).resolve().parents[2]
PYTHON = ROOT / ".recogniser-venv" / "bin" / "python"
LISTEN_S_MAX = 300
# Each digit comes at each place of a code of six, and after six others.
CODES = ("302157", "945807", "562241", "036426", "718390", "481963", "829574", "167038", "220033", "654199")
NUMBER_WORDS = {word: str(digit) for digit, word in enumerate(all_words()["en"].digits)}
# How Whisper writes a digit where it expects a word.
HOMOPHONES = {"oh": "0", "o": "0", "to": "2", "too": "2", "for": "4", "ate": "8"}


def write(path: Path, ulaw: bytes) -> Path:
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(8000)
        recording.writeframes(ulaw_to_pcm(ulaw))
    return path


def listen(recordings: list[Path]) -> list[str]:
    if not (PYTHON.parents[1] / ".installed").exists():
        missing("needs Whisper: tools/recogniser-venv.sh")
    program = PEERS / "recogniser" / "listen.py"
    done = subprocess.run(
        [PYTHON, program, *recordings], capture_output=True, text=True, check=False, timeout=LISTEN_S_MAX
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def digits(text: str) -> str:
    known = NUMBER_WORDS | HOMOPHONES
    words = re.findall(r"[a-z]+|\d", text.lower())
    return "".join(word if word.isdigit() else known.get(word, "") for word in words)


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
