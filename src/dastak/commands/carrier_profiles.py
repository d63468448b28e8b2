"""Look at the profile of an HTTP carrier, and at the address where its receipts come in."""

import os
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import msgspec
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key

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
from dastak.http_carriers.http_settings import PROFILES, read_http_settings
from dastak.http_voice.call_markup import Page
from dastak.http_voice.call_profile import CallProfile
from dastak.http_voice.call_requests import Ways, create_request, end_request
from dastak.http_voice.call_settings import CALL_PROFILES, CallCarrier, CallSettings
from dastak.http_voice.call_under_way import CallUnderWay
from dastak.sms.gsm7 import first_foreign
from dastak.store.open_database import Database
from dastak.voice.prompts import LAST_RESORT, shipped

SAMPLE_CODE: Final = "482913"
SAMPLE_CALLER: Final = "+12025550100"
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

    async def listed(store: Database) -> tuple[Carrier, ...]:
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
@click.option("--calls", is_flag=True, help="A profile of calls, not of texts.")
@json_option
def show_profile(*, name: str, to: str, calls: bool, as_json: bool) -> None:
    """Check a profile, shipped or a file, and print what it would send; nothing is sent."""
    file = Path(name).resolve()
    profile: Profile | CallProfile
    scripts: tuple[Page, ...] = ()
    try:
        if calls:
            shipped = name in CALL_PROFILES.names()
            profile = CALL_PROFILES.shipped(name) if shipped else CALL_PROFILES.own(file)
            requests, scripts = _sample_call(profile, to)
        else:
            shipped = name in PROFILES.names()
            profile = PROFILES.shipped(name) if shipped else PROFILES.own(file)
            which = {"profile": name} if shipped else {"profile_file": str(file)}
            requests = _samples(profile, which, to)
    except (OSError, ValueError, CarrierError) as error:
        raise InvalidRequest(f"{name}: {error}") from error
    if as_json:
        shown = [_shown(request) for request in requests]
        print_json(
            {"profile": profile, "requests": shown, "scripts": [page.body.decode() for page in scripts]}
        )
        return
    _print_profile(profile)
    for request in requests:
        head = [f"{name}: {value}" for name, value in request.headers.items()]
        click.echo("\n".join(("", f"{request.method} {request.url}", *head, "", request.body.decode())))
    for page in scripts:
        click.echo(f"\nit fetches {page.media_type}\n{page.body.decode()}")


def _print_profile(profile: Profile | CallProfile) -> None:
    """Print what a profile wants and what nobody verified."""
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
    if isinstance(profile, CallProfile) and not profile.gated:
        click.echo("without a digit before the code: set without_gate = true to use it all the same")


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


def _sample_call(profile: CallProfile, to: str) -> tuple[list[HttpRequest], tuple[Page, ...]]:
    """Write the requests of a call and the scripts of a dialogue, with words in the place of secrets."""
    options = {
        name: profile.sample.get(name, name) if option.default is None else option.default
        for name, option in profile.options.items()
    }
    given = {"account": "ACCOUNT", "secret": "SECRET", "caller": SAMPLE_CALLER, "options": options}
    settings = msgspec.convert(given, CallSettings)
    by_key = "{jwt}" in profile.auth.value
    key = generate_private_key(public_exponent=65537, key_size=2048) if by_key else None
    carrier = CallCarrier(settings, profile, options, key)
    call = Outgoing(MessageKey(VerificationId(bytes(16)), 0), parse(to).msisdn, "", "", 300, code=SAMPLE_CODE)
    url = "https://otp.example.in/hooks/carriers/NAME/SECRET/calls/CALL"
    voice = carrier.voice_of(LAST_RESORT)
    under_way = CallUnderWay(
        "CALL",
        call,
        ends_s=time.monotonic(),
        gate="7",
        language=LAST_RESORT,
        voice=voice,
        url=url,
        speech_of=shipped,
        tell=lambda _step, _detail: None,
    )
    ways = Ways("CALL", f"{url}/0" if profile.gated else "", f"{url}/status")
    text = "" if profile.gated or profile.fetches_text else under_way.text()
    created = create_request(carrier, call, ways, text=text, voice=voice, now=datetime.now(UTC))
    ended = end_request(carrier, "REF", answered=True, now=datetime.now(UTC))
    pages: tuple[Page, ...] = ()
    if profile.markup is not None:
        pages = tuple(under_way.page(profile.markup, keys) for keys in ("", "7", "", ""))
    elif profile.fetches_text:
        pages = (Page(under_way.text().encode(), "text/plain"),)
    return [created, *([ended] if ended else [])], pages


def _shown(request: HttpRequest) -> Any:
    return {**msgspec.structs.asdict(request), "body": request.body.decode()}
