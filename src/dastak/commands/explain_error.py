"""Explain an error code, ours or a DLT scrubber's, offline: what it means, why it comes, what to do."""

import difflib
import tomllib
from collections.abc import Iterator, Mapping, Sequence
from importlib.resources import files

import click
import msgspec

from dastak.api import problems
from dastak.commands.printing import json_option, print_json
from dastak.core.errors import DastakError, NotFound
from dastak.dlt.scrub_codes import Meaning, meanings


class ErrorPage(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is said of one error code."""

    causes: tuple[str, ...]
    fix: str


@click.command()
@click.argument("code")
@json_option
def explain(code: str, as_json: bool) -> None:
    """Explain the `code` of an error or a refused check, or what an Indian operator's DLT code means."""
    pages, titles = error_pages(), error_titles()
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


def _show_meanings(found: Sequence[Meaning], *, as_json: bool) -> None:
    if as_json:
        print_json(found)
        return
    for meaning in found:
        click.echo(f"{click.style(meaning.code, bold=True)} ({meaning.family}): {meaning.words}\n")
        click.echo(f"  outcome: {meaning.outcome}\n  who acts: {meaning.who}\n  next: {meaning.action}\n")
    if len(found) > 1:
        click.echo("Which one holds is the carrier's to say; its `receipt_outcomes` decide for it.")


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
