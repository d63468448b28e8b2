"""The short form of the fault test without name servers and without the file of keys."""

from pathlib import Path

from tests.support.short_scene import play_short


async def test_promises_hold_without_name_servers_and_keys(tmp_path: Path) -> None:
    outcome = await play_short("F22", tmp_path)

    assert {"bound again without a name server, s", "bound again while it hangs, s"} <= set(outcome.figures)
