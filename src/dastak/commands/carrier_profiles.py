"""Look at the profile of an HTTP carrier, and at the address where its receipts come in."""

import os
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec

from dastak import config_secrets
from dastak.carriers.callback_address import callback_of
from dastak.commands.admin import with_store
from dastak.commands.printing import json_option, print_json
from dastak.config_read import load
from dastak.core.carrier import Carrier
from dastak.core.errors import CarrierError, InvalidRequest, NotFound
from dastak.core.ids import VerificationId
from dastak.core.message import MessageKey
from dastak.core.msisdn import parse
from dastak.core.way_out import Outgoing
from dastak.http_carriers.http_profile import Profile
from dastak.http_carriers.http_render import HttpRequest, Surroundings, render
from dastak.http_carriers.http_settings import profile_in, profile_names, read_http_settings, shipped_profile
from dastak.sms.gsm7 import first_foreign
from dastak.store.sqlite import SqliteStore

SAMPLE_CODE: Final = "482913"
SAMPLE_TEXTS: Final = (f"Your code is {SAMPLE_CODE}.", f"आपका कोड {SAMPLE_CODE} है।")
SAMPLE_DLT: Final = {
    "pe_id": "PE_ID",
    "template_id": "TEMPLATE_ID",
    "chain": "CHAIN",
    "category": "CATEGORY",
    "var1": SAMPLE_CODE,
}


@click.command("hook")
@click.argument("name")
@json_option
@click.pass_context
def show_hook(context: click.Context, *, name: str, as_json: bool) -> None:
    """Print where an HTTP carrier's receipts shall go; the address has a secret in it."""
    settings = load(context.obj, os.environ).settings

    async def listed(store: SqliteStore) -> tuple[Carrier, ...]:
        return (await store.carriers()).carriers

    if name not in {carrier.name for carrier in with_store(context, listed)}:
        raise NotFound(f"There is no carrier {name!r}.")
    callback = callback_of(config_secrets.read_keys(settings), settings.server.public_url, name)
    if not callback.url:
        raise InvalidRequest("server.public_url is not set, so no carrier can reach this installation.")
    if as_json:
        print_json({"url": callback.url})
    else:
        click.echo(callback.url)


@click.command("profile")
@click.argument("name")
@click.option("--to", default="+919876543210", show_default=True, help="The number of the samples.")
@json_option
def show_profile(*, name: str, to: str, as_json: bool) -> None:
    """Check a profile, shipped or a file, and print what it would send; nothing is sent."""
    shipped = name in profile_names()
    try:
        file = str(Path(name).resolve())
        profile = shipped_profile(name) if shipped else profile_in(Path(file))
        requests = _samples(profile, {"profile": name} if shipped else {"profile_file": file}, to)
    except (OSError, ValueError, CarrierError) as error:
        raise InvalidRequest(f"{name}: {error}") from error
    if as_json:
        print_json({"profile": profile, "requests": [_shown(request) for request in requests]})
        return
    click.secho(profile.title, bold=True)
    for setting in ("account", "secret", "proof_secret"):
        if getattr(profile, setting):
            click.echo(f"{setting}: {getattr(profile, setting)}")
    for option, told in profile.options.items():
        default = "" if told.default is None else f" (else {told.default!r})"
        click.echo(f"options.{option}: {told.about}{default}")
    if profile.rate_per_s:
        click.echo(f"rate_per_s: {profile.rate_per_s:g}, unless the carrier has its own")
    for line in profile.not_verified:
        click.echo(f"not verified: {line}")
    for request in requests:
        head = [f"{name}: {value}" for name, value in request.headers.items()]
        click.echo("\n".join(("", f"{request.method} {request.url}", *head, "", request.body.decode())))


def _samples(profile: Profile, which: Mapping[str, str], to: str) -> list[HttpRequest]:
    """Write the requests of two texts, with words in the place of secrets."""
    options = {
        name: profile.sample.get(name, name) if option.default is None else option.default
        for name, option in profile.options.items()
    }
    given = {"account": "ACCOUNT", "secret": "SECRET", "proof_secret": "PROOF_SECRET", "options": options}
    carrier = read_http_settings({**which, **given})
    key = MessageKey(VerificationId(bytes(16)), 0)
    around = Surroundings(
        datetime.now(UTC),
        lambda text: first_foreign(text) is not None,
        "https://otp.example.in/hooks/carriers/NAME/SECRET",
    )
    return [
        render(Outgoing(key, parse(to).msisdn, text, "SENDER", 300, SAMPLE_DLT, SAMPLE_CODE), carrier, around)
        for text in SAMPLE_TEXTS
    ]


def _shown(request: HttpRequest) -> Any:
    return {**msgspec.structs.asdict(request), "body": request.body.decode()}
