"""Explain an error code, ours, a carrier's or a DLT scrubber's, offline: what it means, what to do."""

import difflib
import os
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files

import click
import msgspec

from dastak.api import problems
from dastak.carriers.carrier_book import CarrierBook
from dastak.carriers.carrier_codes import CodeReading, read_code
from dastak.carriers.carrier_kinds import read_settings
from dastak.commands.carrier_records import with_book
from dastak.commands.printing import json_option, print_json
from dastak.config import smpp_settings
from dastak.config_read import load
from dastak.core.call_terms import CALL_BARS, CallBar
from dastak.core.carrier import CarrierKind
from dastak.core.errors import DastakError, NotFound
from dastak.core.outcome import OUTCOMES, Outcome
from dastak.core.remedies import CALL_REMEDIES, REMEDIES, remedy_of
from dastak.dlt.scrub_codes import CODE_CHARACTERS_MAX, Meaning, meanings


class ErrorPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of one error code."""

    causes: tuple[str, ...]
    fix: str


@click.command()
@click.argument("code")
@click.option("--route", help="The carrier that sent it, whose own tables read it.")
@json_option
@click.pass_context
def explain(context: click.Context, *, code: str, route: str | None, as_json: bool) -> None:
    """Explain the `code` of an error or a refused check, or what an Indian operator's DLT code means.

    Likewise a delivery outcome, and the reason why a call is not made.

    With --route it is read as that carrier's answers and receipts are.
    """
    if route is not None:
        _show_readings(route, code, _readings(context, route, code), as_json=as_json)
        return
    pages, titles = error_pages(), error_titles()
    if code not in pages and code in {*CallBar, *Outcome}:
        _show_word(code, as_json=as_json)
        return
    if code not in pages:
        found = meanings(code)
        if found:
            _show_meanings(found, as_json=as_json)
            return
        near = difflib.get_close_matches(code, pages, n=1)
        hint = f"did you mean `{near[0]}`?" if near else f"known are {', '.join(sorted(pages))}."
        raise NotFound(f"There is no error code `{code}`; {hint}")
    page = pages[code]
    if as_json:
        print_json({"code": code, "title": titles[code], "causes": page.causes, "fix": page.fix})
        return
    click.echo(f"{click.style(code, bold=True)}: {titles[code]}\n")
    for cause in page.causes:
        click.echo(f"  - {cause}")
    click.echo(f"\n{page.fix}")


def _readings(context: click.Context, route: str, code: str) -> Sequence[CodeReading]:
    """Return what a carrier makes of a code. Raises: NotFound (there is no such carrier)."""
    fixed = load(context.obj, os.environ).settings.carriers.get(route)
    if fixed is not None:
        return read_code(CarrierKind.SMPP, smpp_settings(fixed), code)

    async def read(book: CarrierBook) -> Sequence[CodeReading]:
        carrier = await book.find(route)
        return read_code(carrier.kind, read_settings(carrier.kind, book.revealed(carrier)), code)

    return with_book(context, read)


def _show_readings(route: str, code: str, found: Sequence[CodeReading], *, as_json: bool) -> None:
    if not found:
        raise NotFound(
            f"No table of the carrier {route} has the code {code[:CODE_CHARACTERS_MAX]!r}. "
            f"Next: {REMEDIES[Outcome.UNKNOWN].action}"
        )
    if as_json:
        print_json(
            [
                {**msgspec.to_builtins(one), **msgspec.to_builtins(remedy_of(one.outcome, call=one.call))}
                for one in found
            ]
        )
        return
    for one in found:
        remedy = remedy_of(one.outcome, call=one.call)
        click.echo(f"{click.style(code, bold=True)} in a {one.where} of {route}: it {remedy.means}\n")
        click.echo(f"  outcome: {one.outcome}, by {one.table}\n  who acts: {remedy.who}")
        click.echo(f"  next: {remedy.action or 'nothing'}\n")


def _show_word(word: str, *, as_json: bool) -> None:
    """Show a word of the timeline."""
    if word in set(CallBar):
        _show_bar(CallBar(word), as_json=as_json)
    else:
        _show_outcome(Outcome(word), as_json=as_json)


def _show_bar(bar: CallBar, *, as_json: bool) -> None:
    means, action = CALL_BARS[bar]
    if as_json:
        print_json({"code": bar, "means": means, "next": action})
        return
    click.echo(f"{click.style(bar, bold=True)}: {means}\n\n  next: {action}")


def _show_outcome(outcome: Outcome, *, as_json: bool) -> None:
    remedy, advice = REMEDIES[outcome], OUTCOMES[outcome]
    if as_json:
        print_json({"code": outcome, **msgspec.to_builtins(remedy), **msgspec.to_builtins(advice)})
        return
    click.echo(f"{click.style(outcome, bold=True)}: the carrier {remedy.means}")
    of_call = CALL_REMEDIES.get(outcome)
    if of_call is not None:
        click.echo(f"of a call: the trunk {of_call.means}; next: {of_call.action or 'nothing'}")
    click.echo()
    click.echo(f"  who acts: {remedy.who}\n  next: {remedy.action or 'nothing'}")
    for way, when in (
        ("again by it", advice.same_route),
        ("by another", advice.other_route),
        ("a call", advice.voice),
    ):
        click.echo(f"  {way}: {when.replace('_', ' ') or 'never'}")


def _show_meanings(found: Sequence[Meaning], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for meaning in found:
        click.echo(f"{click.style(meaning.code, bold=True)} ({meaning.family}): {meaning.words}\n")
        click.echo(f"  outcome: {meaning.outcome}\n  who acts: {meaning.who}\n  next: {meaning.action}\n")
    if len(found) > 1:
        click.echo("Which one holds is the carrier's to say: dastak explain CODE --route NAME")


def error_pages() -> Mapping[str, ErrorPage]:
    """Return the page of every error code."""
    text = files("dastak.commands").joinpath("error_pages.toml").read_text()
    return msgspec.convert(tomllib.loads(text), dict[str, ErrorPage])


def error_titles() -> Mapping[str, str]:
    """Return the title of every error code the API or the command line can give."""
    titles = {kind.code: kind.title for kind in _kinds(DastakError)}
    titles |= {code: title for code, (_, title, _) in problems.HTTP.items() if code not in titles}
    return titles | {str(reason): title for reason, (_, title, _) in problems.CLOSED.items()}


def _kinds(kind: type[DastakError]) -> Iterator[type[DastakError]]:
    yield kind
    for below in kind.__subclasses__():
        yield from _kinds(below)
