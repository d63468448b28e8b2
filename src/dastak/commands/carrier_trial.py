"""Try a carrier from the shell: each step and PDU is a line while it happens, then comes the verdict."""

import logging
import os
from collections.abc import Sequence
from functools import partial
from typing import Final
from urllib.parse import quote

import click
import msgspec

from dastak import config_secrets
from dastak.api.carrier_schema import TRIAL_S_MAX
from dastak.app_store import clock_of
from dastak.carriers.carrier_book import Act, CarrierBook
from dastak.carriers.trial import LINK_S_MAX, Opener, Trial, opener, opener_of_file, refuse
from dastak.carriers.trial_report import (
    TEXT,
    TIMEOUT_S,
    TIMEOUT_S_MAX,
    Errand,
    Report,
    Step,
    StepName,
    Told,
    in_order,
)
from dastak.cli import Exit
from dastak.commands.admin import with_store
from dastak.commands.printing import json_option, print_json, progress
from dastak.commands.running_server import Answer, DevServer, call, find_server, server_options, tell_refusal
from dastak.config import Settings, smpp_settings
from dastak.config_read import load
from dastak.core.msisdn import parse
from dastak.store.open_database import Database
from dastak.store.seal import AesGcmSealer

WHO: Final = "cli"
# What the server may take besides what the carrier does.
ANSWER_S: Final = 10.0
ARROWS: Final = {True: "->", False: "<-"}


@click.command("test")
@click.argument("name")
@click.option("--to", help="The phone, as +919876543210; without it nothing is sent.")
@click.option(
    "--from", "sender", default="", help="The header or number it comes from; else the carrier's own."
)
@click.option("--text", default=TEXT, help="Instead of the fixed sentence, such as a registered wording.")
@click.option("--dlt", "facts", multiple=True, metavar="NAME=VALUE", help="Such as pe_id=… or template_id=….")
@click.option(
    "--timeout",
    "timeout_s",
    type=click.FloatRange(1, TIMEOUT_S_MAX),
    default=TIMEOUT_S,
    show_default=True,
    help="Seconds to wait for the receipt.",
)
@click.option("--on-server", is_flag=True, help="Have the running server try it: it hears of every receipt.")
@server_options
@json_option
@click.pass_context
def try_carrier(
    context: click.Context,
    /,
    *,
    name: str,
    to: str | None,
    timeout_s: float,
    facts: Sequence[str],
    on_server: bool,
    url: str | None,
    api_key: str | None,
    as_json: bool,
    **given: str,
) -> int:
    """Try a carrier in whatever state it is: connect, bind, send one text, wait for its receipt.

    The exit code is 0 when the receipt says delivered (without --to, when the carrier took the bind), 1 when
    the text was refused or no good receipt came, 4 when there was no link. A running server is not disturbed.
    """
    dlt = dict(fact.partition("=")[::2] for fact in facts)
    errand = Errand(to=None if to is None else parse(to).msisdn, timeout_s=timeout_s, dlt=dlt, **given)
    settings = load(context.obj, os.environ).settings
    if on_server:
        server = find_server(url or f"http://{settings.server.listen}", api_key)
        answer = _ask_server(server, name, errand)
        if answer.status >= 400:
            return tell_refusal(answer, as_json=as_json)
        report = msgspec.convert(answer.body, Report)
        for told in () if as_json else in_order(report):
            _print(told)
    else:
        # Links tell their state to the log as well; here the steps do.
        logging.getLogger("dastak").addHandler(logging.NullHandler())
        report = with_store(context, partial(_try, settings, name, errand, as_json=as_json))
    if as_json:
        print_json(report)
    else:
        _print_verdict(report, errand)
    if not report.linked:
        return Exit.UNREACHABLE
    return Exit.OK if report.delivered or errand.to is None else Exit.NO


async def _try(settings: Settings, name: str, errand: Errand, store: Database, *, as_json: bool) -> Report:
    sealer = AesGcmSealer(config_secrets.read_keys(settings))
    book = CarrierBook(store, sealer, fixed=tuple(settings.carriers))
    open_one = await _opener(settings, book, name)
    tell = _print_nothing if as_json else _print
    report = await Trial(name, open_one, errand, tell=tell, others=refuse).run()
    async with clock_of(store) as clock:
        await book.note_trial(report, Act(who=WHO, why="tested", at=clock.now()))
    return report


def _ask_server(server: DevServer, name: str, errand: Errand) -> Answer:
    asked = msgspec.structs.replace(errand, timeout_s=min(errand.timeout_s, TRIAL_S_MAX))
    body = {**msgspec.structs.asdict(asked), "dlt": dict(errand.dlt)}
    path = f"/v1/admin/carriers/{quote(name, safe='')}/test"
    return call(server, "POST", path, body, timeout_s=TRIAL_S_MAX + LINK_S_MAX + ANSWER_S)


async def _opener(settings: Settings, book: CarrierBook, name: str) -> Opener:
    if name in settings.carriers:
        return opener_of_file(name, smpp_settings(settings.carriers[name]))
    carrier = await book.find(name)
    return opener(carrier, book.revealed(carrier))


def _print(told: Told) -> None:
    if isinstance(told, Step):
        mark = click.style("ok    ", fg="green") if told.ok else click.style("failed", fg="red")
        click.echo(f"{told.at_ms:>7} ms  {told.name:<8}{mark}  {told.words}  (+{told.took_ms} ms)")
        if told.next:
            click.echo(f"{'':12}{click.style('next', bold=True)}    {told.next}")
    else:
        click.echo(f"{told.at_ms:>7} ms    {ARROWS[told.sent]} {told.words}")


def _print_nothing(_told: Told) -> None:
    """Print nothing before the document."""


def _print_verdict(report: Report, errand: Errand) -> None:
    took_ms = report.steps[-1].at_ms
    if not report.linked:
        click.echo(f"{report.carrier}: no link")
    elif errand.to is None:
        bound = any(step.name is StepName.BIND for step in report.steps)
        click.echo(f"{report.carrier}: takes our {'bind' if bound else 'connection'}; nothing was sent")
        progress(f"Next: dastak carrier test {report.carrier} --to +91…")
    elif report.delivered:
        click.echo(f"{report.carrier}: delivered, all in {took_ms} ms")
    else:
        click.echo(f"{report.carrier}: not delivered")
