"""The short form of the fault test whose texts fail, so that phones are called."""

from pathlib import Path

from tests.support.short_scene import play_short


async def test_phone_is_called_once_when_its_text_fails(tmp_path: Path) -> None:
    outcome = await play_short("F16", tmp_path)

    assert outcome.figures["calls"] > 0
