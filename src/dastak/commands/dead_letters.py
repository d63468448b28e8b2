"""List the messages that could not be written and were put away: whose, how long ago, and why."""

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

import click

from dastak.commands.admin import with_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.core.ids import show
from dastak.core.message import DeadLetter
from dastak.store.desk import PAGE_MAX
from dastak.store.open_database import Database


@click.command("dead-letters")
@click.option("--limit", type=click.IntRange(1, PAGE_MAX), default=50, show_default=True)
@json_option
@click.pass_context
def dead_letters(context: click.Context, *, limit: int, as_json: bool) -> None:
    """List dead letters, newest first: writing them failed three times, by a fault of ours or of their row.

    The newest 100,000 verifications are looked through. The log of that time has the error itself; `dastak
    why` tells the rest of one.
    """

    async def read(store: Database) -> tuple[Sequence[DeadLetter], Mapping[int, str]]:
        tenancy = await store.tenancy()
        return await store.dead_letters(limit=limit), {one.n: one.name for one in tenancy.tenants}

    found, names = with_store(context, read)
    if as_json:
        print_json([_shown(one, names) for one in found])
        return
    now_ms = datetime.now(UTC).timestamp() * 1000
    rows = [
        (
            names.get(one.tenant, one.tenant),
            f"{max(0.0, now_ms - one.at_ms) / 60_000:.0f}",
            show(one.key.verification),
            one.key.ordinal,
            one.why,
        )
        for one in found
    ]
    print_table(("tenant", "min ago", "verification", "message", "why"), rows)


def _shown(one: DeadLetter, names: Mapping[int, str]) -> dict[str, object]:
    return {
        "tenant": names.get(one.tenant, str(one.tenant)),
        "at": datetime.fromtimestamp(one.at_ms / 1000, UTC),
        "verification": show(one.key.verification),
        "message": one.key.ordinal,
        "why": one.why,
    }
