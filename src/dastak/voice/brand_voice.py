"""Render the names of brands with espeak-ng, once each and long before a call, for `speech.py` to read.

1. Never in a call: a name that is not rendered yet is not spoken, and the greeting stays as it is.
2. One at a time, bounded in time; what failed is told once and tried again by the next process.
3. The voice is that of the service's language, for no other may know how to read its script.
"""

import asyncio
import logging
import shutil
import tempfile
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple, Self

from dastak.voice.prompt_words import all_words
from dastak.voice.prompts import LAST_RESORT
from dastak.voice.recordings import telephone
from dastak.voice.speech import BRAND_OCTETS_MAX, BRAND_S_MAX, brand_file

PROGRAM: Final = "espeak-ng"
RENDER_S_MAX: Final = 10.0
BRANDS_MAX: Final = 5_000
# English is spoken by another engine in the packs, which is not there at run time.
ENGLISH: Final = "en-us"

log = logging.getLogger("dastak.brand_voice")


class Brand(NamedTuple):
    """A name, and the language of the service that has it."""

    name: str
    locale: str


class BrandVoice:
    """Sees to it that the brands of all services can be spoken.

    Args:
        folder: Where they are kept; made when it is not there.
        program: What renders them; None where it is not installed, and then nothing is done.
    """

    def __init__(self, folder: Path, program: str | None) -> None:
        self._folder, self._program = folder, program
        self._seen: set[Brand] = set()

    @classmethod
    def of_this_machine(cls, folder: Path) -> Self:
        """Return one with the program of this machine, if it is installed."""
        return cls(folder, shutil.which(PROGRAM))

    async def keep_up(self, brands: Iterable[Brand]) -> None:
        """Render what was not rendered yet."""
        if self._program is None:
            return
        for brand in brands:
            if brand in self._seen or len(self._seen) >= BRANDS_MAX:
                continue
            self._seen.add(brand)
            try:
                if not brand_file(self._folder, brand.name).exists():
                    await self._render(brand, self._program)
            except (OSError, ValueError, TimeoutError) as error:
                log.warning(
                    "the brand of a service is not spoken: %s", str(error) or f"{PROGRAM} took too long"
                )

    async def _render(self, brand: Brand, program: str) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=self._folder) as scratch:
            wav, ready = Path(scratch) / "brand.wav", Path(scratch) / "brand.ul"
            words = all_words().get(brand.locale, all_words()[LAST_RESORT])
            voice = words.voice.name if words.voice.engine == PROGRAM else ENGLISH
            pace = str(words.voice.words_per_minute)
            await _run(program, "-v", voice, "-s", pace, "-w", str(wav), "--", brand.name)
            ready.write_bytes(await asyncio.to_thread(_telephone, wav))
            ready.replace(brand_file(self._folder, brand.name))
        log.info("a brand can be spoken in calls: %s", brand.name)


def _telephone(wav: Path) -> bytes:
    spoken = telephone(wav.read_bytes())
    if len(spoken) > BRAND_OCTETS_MAX:
        raise ValueError(f"it takes more than {BRAND_S_MAX} s to say; record a shorter one")
    return spoken


async def _run(*command: str) -> None:
    """Run a program to its end.

    Raises:
        ValueError: It failed.
        TimeoutError: It took too long.
    """
    process = await asyncio.create_subprocess_exec(
        *command,
        stdin=asyncio.subprocess.DEVNULL,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.DEVNULL,
    )
    try:
        async with asyncio.timeout(RENDER_S_MAX):
            code = await process.wait()
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()
    if code:
        raise ValueError(f"{PROGRAM} ended with {code}")
