"""List the nodes that share the database: what each does, whether it lives, and what it holds."""

import asyncio
import os
from collections.abc import Sequence

import click

from dastak.app_store import open_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.config import ConfigError
from dastak.config_read import load
from dastak.core.node import Node
from dastak.store.database_url import is_postgres


@click.command("nodes")
@json_option
@click.pass_context
def nodes(context: click.Context, *, as_json: bool) -> None:
    """List the nodes that were heard of in the last minute."""
    settings = load(context.obj, os.environ).settings
    if not is_postgres(settings.store.url):
        raise ConfigError(
            "store.url: on SQLite one process does everything. Several nodes share PostgreSQL. "
            "Next: export DASTAK_DATABASE_URL=postgresql://USER@HOST/NAME"
        )

    async def read() -> Sequence[Node]:
        async with open_store(settings) as store:
            return await store.nodes.listed()

    found = asyncio.run(read())
    if as_json:
        print_json([_shown(node) for node in found])
        return
    rows = [
        (
            node.n,
            node.name,
            node.version,
            ",".join(node.roles),
            "dead" if node.dead else "living",
            f"{node.beat_age_s:.1f}",
            node.slots,
            node.messages,
        )
        for node in found
    ]
    print_table(("node", "name", "version", "roles", "state", "beat s ago", "binds", "in hand"), rows)


def _shown(node: Node) -> dict[str, object]:
    return {
        "node": node.n,
        "name": node.name,
        "version": node.version,
        "roles": list(node.roles),
        "living": not node.dead,
        "beat_age_s": node.beat_age_s,
        "binds": node.slots,
        "messages": node.messages,
    }
