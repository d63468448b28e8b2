"""The short form of the fault test whose servers of webhooks are down."""

from pathlib import Path

from tests.support.short_scene import play_short


async def test_each_lead_is_told_to_its_owner_alone_when_servers_were_down(tmp_path: Path) -> None:
    outcome = await play_short("F21", tmp_path)

    assert outcome.figures["waited"] > 0
