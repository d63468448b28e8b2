"""Wire what calls speak: an operator's recordings, and the brands of all services."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from dastak.config import Settings, brands_folder, speaking_of
from dastak.core.policy import Channel
from dastak.flows.worker import every
from dastak.tenancy.directory import Directory
from dastak.voice.brand_voice import Brand, BrandVoice
from dastak.voice.speech import Speaking

EVERY_S: Final = 2.0


@asynccontextmanager
async def speaking(settings: Settings, directory: Directory) -> AsyncIterator[Speaking]:
    """Read what calls speak, follow its changes, and have the brands of all services rendered."""
    spoken, voice = speaking_of(settings), BrandVoice.of_this_machine(brands_folder(settings))
    await asyncio.to_thread(spoken.refresh)
    async with (
        every(EVERY_S, partial(asyncio.to_thread, spoken.refresh)),
        every(EVERY_S, lambda: voice.keep_up(_brands(directory))),
    ):
        yield spoken


def _brands(directory: Directory) -> list[Brand]:
    services = directory.tenancy.services
    return [Brand(one.brand, one.locale) for one in services if Channel.VOICE in one.policy.channels]
