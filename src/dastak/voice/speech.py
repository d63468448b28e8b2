"""What calls speak: the packs, an operator's recordings over them, a tenant's over these, and brands.

1. A recording that cannot be used is told in the log, and the prompt of the pack is heard instead.
2. A call that has begun keeps the voice it began with.
3. How a brand is spoken was rendered before, by whoever runs `brand_voice.py`; here it is only read.
"""

import hashlib
import logging
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Final

import msgspec

from dastak.voice.own_voice import LaidOut
from dastak.voice.prompt_words import Known
from dastak.voice.prompts import LEAST, Pack, pack
from dastak.voice.recordings import Recordings, RecordingsFolder
from dastak.voice.sound.g711 import FRAME_OCTETS, SAMPLES_PER_S

# A longer name is not waited for with a phone at the ear.
BRAND_S_MAX: Final = 5
BRAND_OCTETS_MAX: Final = BRAND_S_MAX * SAMPLES_PER_S
# Languages that are asked for, those that there are not too, and the tenants that have a voice of their own.
SPEECHES_MAX: Final = 1_000

# How often it is looked whether a recording has changed.
FOLLOWED_EVERY_S: Final = 2.0

log = logging.getLogger("dastak.speech")


class Sources(msgspec.Struct, frozen=True, kw_only=True):
    """Where it comes from; as JSON it is an argument of the voice process.

    Attributes:
        recordings: The folder of an operator's own; None where there are none.
        brands: The folder of rendered brands; None speaks only recorded ones.
        tenants: The folder where tenants' recordings are laid out; None where there is none.
        least: How much must be known of a voice; else the nearest language is spoken.
    """

    recordings: str | None = None
    brands: str | None = None
    tenants: str | None = None
    least: Known = LEAST


PACKS_ALONE: Final = Sources()


class Speaking:
    """Returns how a locale is spoken."""

    def __init__(self, sources: Sources = PACKS_ALONE) -> None:
        self._folder = None if sources.recordings is None else RecordingsFolder(Path(sources.recordings))
        self._brands = None if sources.brands is None else Path(sources.brands)
        self._least = sources.least
        self._laid_out = None if sources.tenants is None else LaidOut(Path(sources.tenants))
        self._own = Recordings()
        self._tenants: Mapping[int, Recordings] = {}
        self._packs: dict[tuple[str, int], Pack] = {}

    @property
    def own(self) -> Recordings:
        """The recordings as they were read last, with what of them cannot be used."""
        return self._own

    def refresh(self) -> None:
        """Read what changed of the recordings, and tell what cannot be used; no call under way notices."""
        tenants = None if self._laid_out is None else self._laid_out.read()
        if tenants is not None:
            self._tenants, self._packs = tenants, {}
            if tenants:
                log.info("recordings of tenants are spoken: %d tenants have some", len(tenants))
        if self._folder is None:
            return
        own = self._folder.read()
        for fault in own.faults:
            if fault not in self._own.faults:
                log.warning("a recording is not used: %s", fault)
        if own != self._own:
            self._own, self._packs = own, {}

    def speech_of(self, locale: str, tenant: int = 0) -> Pack:
        """Return what a person who asked for a locale hears in a call of a tenant."""
        packs, key = self._packs, (locale, tenant if tenant in self._tenants else 0)
        if key not in packs:
            own = _over(self._own, self._tenants.get(tenant))
            speech = pack(locale, own=own.clips, least=self._least, brands=partial(self.brand, own))
            if len(packs) >= SPEECHES_MAX:
                return speech
            packs[key] = speech
        return packs[key]

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


def _over(own: Recordings, tenants: Recordings | None) -> Recordings:
    """Return an operator's recordings with a tenant's in their place."""
    if tenants is None:
        return own
    languages = own.clips.keys() | tenants.clips.keys()
    clips = {one: {**own.clips.get(one, {}), **tenants.clips.get(one, {})} for one in languages}
    return Recordings(clips, {**own.brands, **tenants.brands})


def brand_file(folder: Path, name: str) -> Path:
    """Return where it is kept how a brand is spoken; not every name could be one of a file."""
    return folder / f"{hashlib.sha256(name.encode()).hexdigest()[:32]}.ul"
