"""Say where what calls speak comes from, and where what is made of it here is kept."""

import os
from pathlib import Path

from dastak.config import Settings
from dastak.store import database_url
from dastak.voice.speech import Sources


def sources_of(settings: Settings) -> Sources:
    """Return where what calls speak comes from."""
    voice = settings.voice
    recordings = None if voice.recordings is None else str(voice.recordings)
    brands = brands_folder(settings)
    return Sources(
        recordings=recordings,
        brands=str(brands),
        tenants=str(_kept_for_calls(settings) / "tenants-voices"),
        least=voice.least,
    )


def brands_folder(settings: Settings) -> Path:
    """Return where the spoken names of brands are kept."""
    return settings.voice.brands or _kept_for_calls(settings) / "brands"


def _kept_for_calls(settings: Settings) -> Path:
    if settings.voice.kept is not None:
        return settings.voice.kept.absolute()
    if not database_url.is_postgres(settings.store.url):
        return database_url.sqlite_path(settings.store.url).absolute().parent
    beside_keys = Path() if settings.secrets.file is None else settings.secrets.file.parent
    return (beside_keys if os.access(beside_keys, os.W_OK) else Path()).absolute()
