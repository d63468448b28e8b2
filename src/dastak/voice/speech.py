"""What calls speak: the packs, an operator's recordings over them, and the names of brands.

1. A recording that cannot be used is told in the log, and the prompt of the pack is heard instead.
2. A call that has begun keeps the voice it began with.
3. How a brand is spoken was rendered before, by whoever runs `brand_voice.py`; here it is only read.
"""

import hashlib
import logging
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from dastak.voice.prompt_words import Known
from dastak.voice.prompts import LEAST, Pack, pack
from dastak.voice.recordings import Recordings, RecordingsFolder
from dastak.voice.sound.g711 import FRAME_OCTETS, SAMPLES_PER_S

# A longer name is not waited for with a phone at the ear.
BRAND_S_MAX: Final = 5
BRAND_OCTETS_MAX: Final = BRAND_S_MAX * SAMPLES_PER_S
# Languages that are asked for: those there are, and some that there are not.
LANGUAGES_MAX: Final = 100

# How often it is looked whether a recording has changed.
FOLLOWED_EVERY_S: Final = 2.0

log = logging.getLogger("dastak.speech")


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where it comes from; as JSON it is an argument of the voice process.

    Attributes:
        recordings: The folder of an operator's own; None where there are none.
        brands: The folder of rendered brands; None speaks only recorded ones.
        least: How much must be known of a voice; else the nearest language is spoken.
    """

    recordings: str | None = None
    brands: str | None = None
    least: Known = LEAST


PACKS_ALONE: Final = Sources()


class Speaking:
    """Returns how a locale is spoken."""

    def __init__(self, sources: Sources = PACKS_ALONE) -> None:
        self._folder = None if sources.recordings is None else RecordingsFolder(Path(sources.recordings))
        self._brands = None if sources.brands is None else Path(sources.brands)
        self._least = sources.least
        self._own = Recordings()
        self._packs: dict[str, Pack] = {}

    @property
    def own(self) -> Recordings:
        """The recordings as they were read last, with what of them cannot be used."""
        return self._own

    def refresh(self) -> None:
        """Read what changed of the recordings, and tell what cannot be used; no call under way notices."""
        if self._folder is None:
            return
        own = self._folder.read()
        for fault in own.faults:
            if fault not in self._own.faults:
                log.warning("a recording is not used: %s", fault)
        if own != self._own:
            self._own, self._packs = own, {}

    def speech_of(self, locale: str) -> Pack:
        """Return what a person who asked for a locale hears."""
        packs = self._packs
        if locale not in packs:
            own = self._own
            speech = pack(locale, own=own.clips, least=self._least, brands=partial(self.brand, own))
            if len(packs) >= LANGUAGES_MAX:
                return speech
            packs[locale] = speech
        return packs[locale]

    def brand(self, own: Recordings, name: str) -> bytes:
        """Return how a brand is spoken; nothing where it was neither recorded nor rendered."""
        recorded = own.brands.get(name)
        if recorded is not None or self._brands is None:
            return recorded or b""
        try:
            with brand_file(self._brands, name).open("rb") as file:
                octets = file.read(BRAND_OCTETS_MAX)
        except OSError:  # not rendered, or not yet
            return b""
        return octets[: len(octets) // FRAME_OCTETS * FRAME_OCTETS]


def brand_file(folder: Path, name: str) -> Path:
    """Return where it is kept how a brand is spoken; not every name could be one of a file."""
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.ul"
