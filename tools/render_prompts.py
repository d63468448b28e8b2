"""Speak the words of a call and pack them: `make prompts`, or `make prompts ARGS="hi ta"` for some languages.

1. The same words, voices and programs give the same octets: no dates, no dither, one thread.
2. English is spoken by Kokoro, which needs its own packages (requirements/prompts.txt); everything else by
   espeak-ng. What is missing ends the work with what to install; no other voice steps in unseen.
3. Every clip goes through one chain into telephone quality: facts of the field in docs/reference/voices.md.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from dastak.voice.prompt_words import DIGITS, Words, all_words, spoken
from dastak.voice.prompts import packed, words_digest
from dastak.voice.sound.g711 import FRAME_OCTETS, SILENT_FRAME

ROOT: Final = Path(__file__).resolve().parent.parent
PACKS: Final = ROOT / "src" / "dastak" / "voice" / "packs"
KOKORO: Final = ROOT / ".prompts-venv"

# Trim silence at both ends; no rumble; quiet sounds louder; the telephone's band; peaks at -3 dB; u-law.
_TRIM: Final = ("silence", "1", "0.005", "0.3%", "reverse", "silence", "1", "0.005", "0.3%", "reverse")
_CHAIN: Final = (
    *("highpass", "200"),
    *("compand", "0.02,0.2", "6:-60,-40,-12"),
    *("rate", "-v", "8000"),
    *("lowpass", "3400"),
    *("norm", "-3"),
)
# Slower than a person talks: what is heard is written down.
KOKORO_SPEED: Final = 0.9
# espeak-ng's digits take a fifth of a second in some languages; a person has to write them down.
DIGIT_PACE: Final = 0.75

# Letters that Unicode's normal form C takes apart and espeak-ng reads only whole.
_WHOLE: Final = {"\u09a1\u09bc": "\u09dc", "\u09a2\u09bc": "\u09dd", "\u09af\u09bc": "\u09df"}


def main() -> int:
    """Make the packs. Returns the exit code."""
    parser = argparse.ArgumentParser(description="Speak the words of a call and pack them.")
    parser.add_argument("languages", nargs="*", default=list(all_words()), help="all if none is named")
    languages = parser.parse_args().languages
    if missing := [program for program in ("espeak-ng", "sox") if shutil.which(program) is None]:
        print(f"missing: {', '.join(missing)}. Next: apt-get install {' '.join(missing)}", file=sys.stderr)
        return 1
    for language in languages:
        words = all_words()[language]
        with tempfile.TemporaryDirectory() as folder:
            clips = _clips(words, Path(folder))
        pack = packed(clips, words=words_digest(words))
        (PACKS / f"{language}.pack").write_bytes(pack)
        seconds = sum(map(len, clips.values())) / 8000
        print(f"{language}: {len(clips)} clips, {seconds:.0f} s, {len(pack) / 1000:.0f} kB")
    return 0


def _clips(words: Words, folder: Path) -> Mapping[str, bytes]:
    texts = {name: _whole(text) for name, text in spoken(words).items()}
    if words.voice.engine == "kokoro":
        _speak_by_kokoro(words, texts, folder)
    else:
        for name, text in texts.items():
            _speak_by_espeak(words, name, text, folder)
    return {name: _telephone(folder / f"{name}.wav") for name in texts}


def _speak_by_espeak(words: Words, name: str, text: str, folder: Path) -> None:
    pace = DIGIT_PACE if name in DIGITS else 1
    speed = str(round(words.voice.words_per_minute * pace))
    wav = str(folder / f"{name}.wav")
    # A lone word falls at its end, as in a list read slowly.
    ended = f"{text}." if name in DIGITS else text
    _run("espeak-ng", "-v", words.voice.name, "-s", speed, "-w", wav, "--", ended)


def _speak_by_kokoro(words: Words, texts: Mapping[str, str], folder: Path) -> None:
    """Have Kokoro speak what espeak-ng reads as phonemes, in one process: its model takes a second to load.

    A digit has no full stop and is not slowed: "two" would become all breath, which a telephone does not
    carry, and be heard as "zero" (Whisper took down 9 of 12 codes; without either 12).
    """
    style = KOKORO / f"{words.voice.name}.bin"
    if not style.exists():
        raise SystemExit("Kokoro is not installed. Next: tools/prompts-venv.sh")
    lines = "".join(
        f"{name}\t{1.0 if name in DIGITS else KOKORO_SPEED}\t{_phonemes(text)}\n"
        for name, text in texts.items()
    )
    program = str(ROOT / "tools" / "kokoro_voice.py")
    _run(str(KOKORO / "bin" / "python"), program, str(style), str(folder), stdin=lines)


def _phonemes(text: str) -> str:
    """Return the phonemes of a text with its punctuation, which the voice breathes by."""
    pieces = re.split(r"([,.:])", text)
    read = [_read(piece) if place % 2 == 0 else f"{piece} " for place, piece in enumerate(pieces)]
    return "".join(read).strip()


def _read(text: str) -> str:
    said = _run("espeak-ng", "-v", "en-us", "-q", "--ipa=3", "--", text) if text.strip() else ""
    return " ".join(said.split())


def _telephone(wav: Path) -> bytes:
    """Turn what a voice said into whole frames of G.711 u-law."""
    ulaw = wav.with_suffix(".ul")
    form = ("-t", "raw", "-e", "mu-law", "-b", "8", "-c", "1")
    _run("sox", "-R", "-D", str(wav), *form, str(ulaw), *_TRIM, *_CHAIN)
    octets = ulaw.read_bytes()
    return octets + SILENT_FRAME[: -len(octets) % FRAME_OCTETS]


def _whole(text: str) -> str:
    for apart, whole in _WHOLE.items():
        text = text.replace(apart, whole)
    return text


def _run(*command: str, stdin: str = "") -> str:
    return subprocess.run(command, input=stdin, capture_output=True, text=True, check=True).stdout  # noqa: S603


if __name__ == "__main__":
    sys.exit(main())
