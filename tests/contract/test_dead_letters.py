"""Dead letters are found among all tenants, newest first, on every store, and the command lists them."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from msgspec.structs import replace

from dastak import cli
from dastak.core.events import MessageDropped, MessageQueued
from dastak.core.ids import VerificationId, show
from dastak.core.message import BROKEN, DeadLetter, MessageKey, MessageState
from dastak.core.ports import Opening
from tests.support.installed import Installation, unsent
from tests.support.stores import STORES, Open

NOW = datetime(2026, 11, 29, 3, 0, tzinfo=UTC)
MS = int(NOW.timestamp() * 1000)


def put_away(n: int, cause: str, why: str, *, tenant: int = 1, at: datetime = NOW) -> Opening[None]:
    """Return a message that was dropped at once."""
    one = unsent(at)
    assert one.message is not None
    id_, at_ms = VerificationId(bytes([n]) * 16), int(at.timestamp() * 1000)
    queued = MessageQueued(at_ms, 0, one.message.channel, 1)
    return replace(
        one,
        verification=replace(one.verification, id=id_, tenant=tenant, msisdn=f"+9198765432{n:02}"),
        message=replace(one.message, key=MessageKey(id_, 0), state=MessageState.EXPIRED, due_at=None),
        trace=(queued, MessageDropped(at_ms, 0, cause, why)),
    )


@pytest.mark.parametrize("opens", STORES.values(), ids=STORES)
async def test_dead_letters_are_found_newest_first_and_what_was_dropped_for_another_cause_is_none(
    tmp_path: Path, opens: Open
) -> None:
    async with opens(tmp_path) as store:
        await store.open(put_away(1, BROKEN, "KeyError, 3 times"))
        await store.open(put_away(2, "late", '["dropped",1,0,"broken",'))
        await store.open(put_away(3, BROKEN, "ValueError, 3 times", tenant=2))

        found = await store.dead_letters(limit=10)
        newest = await store.dead_letters(limit=1)

    assert list(found) == [
        DeadLetter(2, MessageKey(VerificationId(b"\x03" * 16), 0), MS, "ValueError, 3 times"),
        DeadLetter(1, MessageKey(VerificationId(b"\x01" * 16), 0), MS, "KeyError, 3 times"),
    ]
    assert list(newest) == list(found[:1])


def test_command_tells_whose_how_long_ago_and_why(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    installation = Installation(tmp_path / "installed")
    ago = datetime.now(UTC) - timedelta(minutes=7, seconds=5)
    installation.act(lambda store: store.open(put_away(1, BROKEN, "KeyError, 3 times", at=ago)))
    asked = ["--config", str(installation.file), "dead-letters"]

    assert cli.run(asked) == cli.Exit.OK
    shown = capsys.readouterr().out.splitlines()[-1].split()
    assert cli.run([*asked, "--json"]) == cli.Exit.OK
    [one] = json.loads(capsys.readouterr().out)

    id_ = show(VerificationId(b"\x01" * 16))
    assert shown == ["default", "7", id_, "0", "KeyError,", "3", "times"]
    assert (one["tenant"], one["verification"], one["message"]) == ("default", id_, 0)
    assert one["why"] == "KeyError, 3 times"
