"""Wire what calls speak: recordings, the brands of all services, and the process that speaks."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

from dastak.config import Settings
from dastak.config_voice import brands_folder, sources_of
from dastak.core.policy import Channel
from dastak.core.voice_store import VoiceStore
from dastak.flows.worker import every
from dastak.tenancy.directory import Directory
from dastak.voice.brand_voice import Brand, BrandVoice
from dastak.voice.engine.engine_process import EngineProcess
from dastak.voice.ivr import SpeechOf
from dastak.voice.own_voice import lay_out
from dastak.voice.speech import FOLLOWED_EVERY_S, Speaking

BRANDS_EVERY_S: Final = 2.0


class Voices(NamedTuple):
    """What speaks in calls.

    Attributes:
        speech_of: Returns how a locale is spoken, in this process.
        engine: The process of the calls over trunks, which speaks the same.
    """

    speech_of: SpeechOf
    engine: EngineProcess


@asynccontextmanager
async def voices_of(settings: Settings, directory: Directory, store: VoiceStore) -> AsyncIterator[Voices]:
    """Read what calls speak, follow its changes, and have the brands of all services rendered."""
    sources = sources_of(settings)
    speaking, brands = Speaking(sources), BrandVoice.of_this_machine(brands_folder(settings))
    follow = _Follower(store, Path(sources.tenants or "."))
    await follow.look()
    await asyncio.to_thread(speaking.refresh)
    engine = EngineProcess(log_level=settings.log.level, log_style=settings.log.format, sources=sources)
    async with (
        every(FOLLOWED_EVERY_S, partial(asyncio.to_thread, speaking.refresh)),
        every(FOLLOWED_EVERY_S, follow.look),
        every(BRANDS_EVERY_S, lambda: brands.keep_up(_brands(directory))),
    ):
        yield Voices(speaking.speech_of, engine)


class _Follower:
    """Lays out what tenants recorded, whenever it has changed."""

    def __init__(self, store: VoiceStore, folder: Path) -> None:
        self._store, self._folder = store, folder
        self._revision = -1  # what an earlier run laid out is looked at once

    async def look(self) -> None:
        revision = await self._store.voice_revision()
        if revision != self._revision:
            packs = await self._store.own_packs()
            await asyncio.to_thread(lay_out, self._folder, packs, revision)
            self._revision = revision


def _brands(directory: Directory) -> list[Brand]:
    services = directory.tenancy.services
    return [Brand(one.brand, one.locale) for one in services if Channel.VOICE in one.policy.channels]
