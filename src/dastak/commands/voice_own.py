"""Take a tenant's recordings into the database, where every node finds them, and show or forget them."""

from collections.abc import Mapping
from pathlib import Path

import click

from dastak.cli import Exit
from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table
from dastak.core.voice_store import PackKey
from dastak.store.open_database import Database
from dastak.tenancy import operators
from dastak.voice.own_voice import Clips, add, recorded, take_away
from dastak.voice.prompt_words import CLIPS, all_words
from dastak.voice.recordings import BRANDS, RecordingsFolder

_tenant = click.option("--tenant", default=operators.DEFAULT_NAME, show_default=True, help="Whose calls.")


@click.command()
@click.argument("folder", type=click.Path(path_type=Path, file_okay=False, exists=True))
@_tenant
@json_option
@click.pass_context
@audited
def upload(context: click.Context, *, folder: Path, tenant: str, as_json: bool) -> int:
    """Take recordings over for the calls of one tenant; exit 1 when one cannot be used.

    FOLDER is as `dastak voice check` wants it. What was taken before stays where nothing new is in its place.
    """
    own = RecordingsFolder(folder).read()
    packs: Mapping[str, Clips] = {**own.clips, **({BRANDS: own.brands} if own.brands else {})}

    async def put(store: Database) -> None:
        of = tenant_named(await store.tenancy(), tenant).n
        for language, clips in packs.items():
            await add(store.voices, PackKey(of, language), clips)

    with_store(context, put)
    if as_json:
        print_json({"taken": {one: sorted(clips) for one, clips in packs.items()}, "faults": own.faults})
        return Exit.NO if own.faults else Exit.OK
    for language, clips in packs.items():
        click.echo(f"{_name(language)}: {len(clips)} recordings taken")
    for fault in own.faults:
        click.secho(f"not used: {fault}", err=True)
    return Exit.NO if own.faults else Exit.OK


@click.command()
@_tenant
@json_option
@click.pass_context
def own(context: click.Context, *, tenant: str, as_json: bool) -> None:
    """List what a tenant recorded."""

    async def read(store: Database) -> Mapping[str, Clips]:
        return await recorded(store.voices, tenant_named(await store.tenancy(), tenant).n)

    found = {language: sorted(clips) for language, clips in with_store(context, read).items() if clips}
    if as_json:
        print_json(found)
        return
    rows = [(language, _name(language), _how_many(language, names)) for language, names in found.items()]
    print_table(("tag", "language", "recordings"), rows)


@click.command()
@_tenant
@click.option("--language", required=True, help=f"Its tag, or {BRANDS}.")
@click.option("--clip", default=None, help="One recording only.")
@json_option
@click.pass_context
@audited
def forget(context: click.Context, *, tenant: str, language: str, clip: str | None, as_json: bool) -> None:
    """Forget recordings of a tenant; the operator's or the shipped ones are heard again."""

    async def take(store: Database) -> int:
        of = tenant_named(await store.tenancy(), tenant).n
        return await take_away(store.voices, PackKey(of, language), clip)

    gone = with_store(context, take)
    if as_json:
        print_json({"forgotten": gone})
    else:
        click.echo(f"{gone} recordings forgotten")


def _name(language: str) -> str:
    return BRANDS if language == BRANDS else all_words()[language].name


def _how_many(language: str, names: list[str]) -> str:
    return ", ".join(names) if language == BRANDS else f"{len(names)} of {len(CLIPS)}"
