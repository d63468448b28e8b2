"""India's DLT register of a tenant: show, import, replace, and hold texts against it."""

import sys
from datetime import UTC, datetime
from pathlib import Path

import click
import msgspec

from dastak.commands.admin import audited, tenant_named, with_store
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.core.dlt_store import DltRecord
from dastak.core.errors import InvalidRequest
from dastak.dlt.chain import Chain, ChainMode
from dastak.dlt.csv_import import Imported, import_csv
from dastak.dlt.lint import caret, lint_template, lint_text
from dastak.dlt.register import Category, ContentTemplate, Entity, Header, Register
from dastak.dlt.registers import Kept, Registers, put_register
from dastak.sms.segments import parts_of
from dastak.store.open_database import Database

# Stand for the register's own where a template is tried that is not in one.
_TRIED_ID = "1100000000000000000"
_TRIED_HEADER = "HEADER"


@click.group()
def dlt() -> None:
    """India's DLT register: show, import, replace, lint."""


@dlt.command("show")
@click.option("--tenant", required=True, help="Whose.")
@json_option
@click.pass_context
def show_dlt(context: click.Context, *, tenant: str, as_json: bool) -> None:
    """Show a tenant's register."""
    kept = with_store(context, lambda store: _kept(store, tenant))
    if as_json:
        print_json({"revision": kept.revision, "register": kept.register})
        return
    register = kept.register
    shown = [
        (
            one.template_id,
            one.header,
            one.category,
            one.standing,
            " / ".join(lint_template(register, one, parts=parts_of)),
        )
        for one in register.templates
    ]
    print_table(("TEMPLATE", "HEADER", "CATEGORY", "STANDING", "ADVICE"), shown)
    progress(f"{len(register.entities)} entities, {len(register.headers)} headers, revision {kept.revision}")


@dlt.command("put")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tenant", required=True, help="Whose.")
@click.pass_context
@audited
def put_dlt(context: click.Context, *, file: Path, tenant: str) -> None:
    """Replace a tenant's register by a JSON file, as `show --json` prints it."""
    try:
        fresh = msgspec.json.decode(file.read_bytes(), type=Kept)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"{file} is no register: {error}.") from error

    async def put(store: Database) -> DltRecord:
        n = tenant_named(await store.tenancy(), tenant).n
        return await put_register(store, n, fresh.register, revision=fresh.revision)

    progress(f"Revision {with_store(context, put).revision} of the register is in force within a second.")


@dlt.command("import")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--tenant", required=True, help="Whose.")
@click.option("--pe-id", help="The entity of templates that do not name theirs.")
@click.option("--dry-run", is_flag=True, help="Say what would be taken, and write nothing.")
@json_option
@click.pass_context
@audited
def import_dlt(
    context: click.Context, *, file: Path, tenant: str, pe_id: str | None, dry_run: bool, as_json: bool
) -> None:
    """Take the templates of a portal's CSV export into a tenant's register."""
    octets = file.read_bytes()

    async def take(store: Database) -> Imported:
        n = tenant_named(await store.tenancy(), tenant).n
        kept = (await _registers(store)).known(n)
        imported = import_csv(kept.register, octets, pe_id=pe_id)
        # A register of nothing would refuse every text to India.
        if imported.taken and not dry_run:
            await put_register(store, n, imported.register, revision=kept.revision)
        return imported

    imported = with_store(context, take)
    if as_json:
        shown = {"added": imported.added, "replaced": imported.replaced, "faults": imported.faults}
        print_json(shown)
    else:
        print_table(("LINE", "NOT TAKEN, BECAUSE"), [(str(one.line), one.why) for one in imported.faults])
    progress(
        f"{imported.added} templates are new, {imported.replaced} replaced, {len(imported.faults)} not taken."
    )
    if imported.faults:
        sys.exit(1)


@dlt.command("chain")
@click.argument("route")
@click.option("--tenant", required=True, help="Whose.")
@click.option("--pe-id", required=True, help="The entity.")
@click.option("--tm-id", "tm_ids", multiple=True, help="A telemarketer, in the order of the chain.")
@click.option(
    "--mode", type=click.Choice([mode.value for mode in ChainMode]), default="sha256", show_default=True
)
@click.option("--approved/--not-approved", default=True, show_default=True, help="What the portal says.")
@click.pass_context
@audited
def set_chain(
    context: click.Context,
    *,
    route: str,
    tenant: str,
    pe_id: str,
    tm_ids: tuple[str, ...],
    mode: str,
    approved: bool,
) -> None:
    """Set the chain of telemarketers of an entity on one route."""
    chain = Chain(pe_id=pe_id, route=route, mode=ChainMode(mode), tm_ids=tm_ids, approved=approved)

    async def put(store: Database) -> DltRecord:
        n, kept = tenant_named(await store.tenancy(), tenant).n, await _kept(store, tenant)
        others = [one for one in kept.register.chains if (one.pe_id, one.route) != (pe_id, route)]
        fresh = msgspec.structs.replace(kept.register, chains=(*others, chain))
        return await put_register(store, n, fresh, revision=kept.revision)

    progress(f"Revision {with_store(context, put).revision} of the register is in force within a second.")


@dlt.command("lint")
@click.option("--text", required=True, help="Whole, as it would be sent; - reads it from standard input.")
@click.option("--template", help="A registered text with its {#tags#}, to try without a register.")
@click.option("--tenant", help="Whose register to hold it against.")
@click.option("--header", help="The sender, as registered.")
@json_option
@click.pass_context
def lint(
    context: click.Context,
    *,
    text: str,
    template: str | None,
    tenant: str | None,
    header: str | None,
    as_json: bool,
) -> None:
    """Say whether a registered template carries a text, and where it differs."""
    text = sys.stdin.read() if text == "-" else text
    if template is not None:
        register, header = _of_one(template), _TRIED_HEADER
    elif tenant is None or header is None:
        raise click.UsageError("Give --template, or --tenant and --header.")
    else:
        register = with_store(context, lambda store: _kept(store, tenant)).register
    finding = lint_text(register, header=header, text=text, now=datetime.now(UTC), parts=parts_of)
    if as_json:
        print_json(finding)
    elif finding.matched:
        click.echo("matched" if template else f"matched by template {finding.template_id}")
        for line in finding.advice:
            progress(line)
    else:
        click.echo(finding.words)
        if finding.place is not None:
            click.echo(caret(text, finding.place))
    if not finding.matched:
        sys.exit(1)


async def _kept(store: Database, tenant: str) -> Kept:
    """Return a tenant's register as the database has it. Raises: NotFound."""
    return (await _registers(store)).of(tenant_named(await store.tenancy(), tenant).n)


async def _registers(store: Database) -> Registers:
    registers = Registers()
    await registers.refresh(store)
    return registers


def _of_one(template: str) -> Register:
    """Make a register of one template that is only tried."""
    return Register(
        entities=(Entity(pe_id=_TRIED_ID),),
        headers=(Header(name=_TRIED_HEADER, pe_id=_TRIED_ID),),
        templates=(
            ContentTemplate(
                template_id=_TRIED_ID,
                pe_id=_TRIED_ID,
                header=_TRIED_HEADER,
                category=Category.SERVICE_IMPLICIT,
                text=template,
            ),
        ),
    )
