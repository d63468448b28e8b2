"""What tenants recorded for their calls: in the store, and in files for the process that speaks.

1. A pack holds what one tenant recorded of one language, or the names of its brands; any part may be there.
2. The files follow the store: `FOLDER/TENANT/LANGUAGE.pack`, and `FOLDER/revision` when they are complete.
3. A file that cannot be read is told once in the log, and what the operator or the package has is heard.
"""

import logging
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Final

from dastak.core.errors import Conflict, InvalidRequest
from dastak.core.voice_store import OwnPack, PackKey, VoiceStore
from dastak.voice.prompt_words import CLIPS, all_words
from dastak.voice.prompts import PACK_OCTETS_MAX, packed, unpacked
from dastak.voice.recordings import BRANDS, Recordings

# Of one tenant. A language has some seventy clips; the rest is room for long names of many brands.
BRANDS_MAX: Final = 200
TRIES_MAX: Final = 5
REVISION: Final = "revision"

Clips = Mapping[str, bytes]

log = logging.getLogger("dastak.speech")


async def add(store: VoiceStore, key: PackKey, clips: Clips) -> None:
    """Put recordings beside those of the same pack, or in their place.

    Args:
        store: Where they are kept.
        key: Whose, and in which language.
        clips: By name; each whole frames of G.711 u-law, as `recordings.telephone` makes them.

    Raises:
        InvalidRequest: There is no such language or clip, or all of it together is too much.
        Conflict: Others change the same pack all the time.
    """
    if key.language not in (*all_words(), BRANDS):
        raise InvalidRequest(f"There is no language {key.language!r}; there are {', '.join(all_words())}.")
    for name in clips:
        if key.language != BRANDS and name not in CLIPS:
            raise InvalidRequest(f"There is no recording {name!r}; a call has {', '.join(CLIPS)}.")
    await _change(store, key, lambda known: {**known, **clips})


async def take_away(store: VoiceStore, key: PackKey, name: str | None = None) -> int:
    """Forget one recording of a pack, or all of them; how many there were is the answer."""
    gone = 0

    def without(known: Clips) -> Clips:
        nonlocal gone
        left = {one: clip for one, clip in known.items() if name is not None and one != name}
        gone = len(known) - len(left)
        return left

    await _change(store, key, without)
    return gone


async def recorded(store: VoiceStore, tenant: int) -> Mapping[str, Clips]:
    """Return what a tenant recorded, by language."""
    return {key.language: clips_of(pack) for key, pack in (await store.own_packs(tenant)).items()}


def clips_of(pack: OwnPack) -> Clips:
    """Return the recordings of a pack. Raises: ValueError (it is damaged)."""
    return unpacked(pack.body)


async def _change(store: VoiceStore, key: PackKey, change: Callable[[Clips], Clips]) -> None:
    """Change a pack, again when somebody else was faster."""
    for left in reversed(range(TRIES_MAX)):
        known = (await store.own_packs(key.tenant)).get(key, OwnPack(packed({}, words=""), 0))
        before = clips_of(known)
        clips = change(before)
        if clips == before:
            return
        if key.language == BRANDS and len(clips) > BRANDS_MAX:
            raise InvalidRequest(f"A tenant has at most {BRANDS_MAX} brands with a recording.")
        if sum(map(len, clips.values())) > PACK_OCTETS_MAX:
            raise InvalidRequest(f"All recordings of a language take at most {PACK_OCTETS_MAX // 8000} s.")
        try:
            await store.put_own_pack(key, OwnPack(packed(clips, words=""), known.revision))
        except Conflict:
            if not left:
                raise
        else:
            return


def lay_out(folder: Path, packs: Mapping[PackKey, OwnPack], revision: int) -> None:
    """Write the packs to files, take away all others, and say so when that is done."""
    for stale in set(folder.glob("*/*.pack")) - {_file(folder, key) for key in packs}:
        stale.unlink()
    for key, pack in packs.items():
        file = _file(folder, key)
        file.parent.mkdir(parents=True, exist_ok=True)
        _write(file, pack.body)
    folder.mkdir(parents=True, exist_ok=True)
    _write(folder / REVISION, str(revision).encode())


class LaidOut:
    """The files of all tenants; they are read again when they were laid out anew."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._revision = b""

    def read(self) -> Mapping[int, Recordings] | None:
        """Return what each tenant recorded; None while it is as it was read last."""
        try:
            revision = (self._folder / REVISION).read_bytes()
        except OSError:  # nobody recorded anything yet
            return None
        if revision == self._revision:
            return None
        self._revision = revision
        return dict(self._tenants())

    def _tenants(self) -> Iterator[tuple[int, Recordings]]:
        for place in sorted(self._folder.iterdir()):
            if place.is_dir():
                packs = {file.stem: self._clips(file) for file in sorted(place.glob("*.pack"))}
                brands = packs.pop(BRANDS, {})
                yield int(place.name), Recordings(packs, brands)

    def _clips(self, file: Path) -> Clips:
        try:
            return unpacked(file.read_bytes())
        except (OSError, ValueError) as error:
            log.warning("the recordings %s are not used: %s", file, error)
            return {}


def _file(folder: Path, key: PackKey) -> Path:
    return folder / str(key.tenant) / f"{key.language}.pack"


def _write(file: Path, octets: bytes) -> None:
    """Write a file so that whoever reads it finds the old octets or the new ones."""
    fresh = file.with_suffix(".fresh")
    fresh.write_bytes(octets)
    fresh.replace(file)
