"""Run the simulated carrier alone, for any client, or tell the one in a running server what to do."""

import asyncio
import contextlib
import random
import signal
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime
from ipaddress import ip_address
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

import click

from dastak.cli import Exit
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.commands.running_server import call, find_server, server_option, tell_refusal
from dastak.config import address_of
from dastak.core.errors import InvalidMsisdn, InvalidRequest
from dastak.simulator.call_pages import as_wav, news_of
from dastak.simulator.exchange.telephone_exchange import Exchange
from dastak.simulator.exchange.virtual_call import VirtualCall
from dastak.simulator.faults import FaultScript, parse_faults
from dastak.simulator.handset import Handset
from dastak.simulator.phone import Text
from dastak.simulator.smsc import Account, Smsc
from dastak.simulator.smsc_bind import SimMessage
from dastak.simulator.vendor_http.vendor_carrier import ACCOUNT_SID, VendorCarrier

SCRIPT: Final = click.Path(path_type=Path, exists=True, dir_okay=False)
FOLDER: Final = click.Path(path_type=Path, exists=True, file_okay=False)


@click.group()
def sim() -> None:
    """Run the carrier simulator alone, or tell a running one what to do."""


@sim.command("run")
@click.argument("script", type=SCRIPT, required=False)
@click.option("--listen", default="127.0.0.1:2775", show_default=True, help="Where it speaks SMPP 3.4.")
@click.option("--system-id", default="sim", show_default=True)
@click.option("--password", default="sim", show_default=True, help="Nothing real is behind it.")
@click.option("--http-listen", help="Where it takes texts as Twilio and MSG91 do; nowhere by default.")
@click.option(
    "--sip-listen", default="127.0.0.1:0", show_default=True, help="Where it takes calls; port 0 is free."
)
@click.option(
    "--sip-password", default="", help="What callers prove, as the system id; empty asks for nothing."
)
@click.option("--recordings", type=FOLDER, help="Write what the phones heard there, a WAV file a call.")
@click.option("--webhook", default="", help="Where MSG91's receipts go: an address on this machine.")
@click.option("--seed", default=1, show_default=True, help="The same seed and messages have the same faults.")
@json_option
def run_alone(
    *,
    script: Path | None,
    listen: str,
    system_id: str,
    password: str,
    http_listen: str | None,
    sip_listen: str,
    sip_password: str,
    recordings: Path | None,
    webhook: str,
    seed: int,
    as_json: bool,
) -> None:
    """Run the simulated carrier until Ctrl-C and print the texts and calls it gets.

    SCRIPT is a TOML file of [[faults]]; without it nothing goes wrong but for the magic numbers.
    """
    faults = FaultScript(random.Random(seed), faults=parse_faults(read_script(script)))  # noqa: S311 - repeatable on purpose
    show = _printer(as_json=as_json)
    host, port = _address("--listen", listen)
    smsc = Smsc(
        [Account(system_id=system_id, password=password)],
        on_message=_joiner(show),
        faults=faults,
        host=host,
        port=port,
    )
    vendors = None
    if http_listen is not None:
        http_host, http_port = _address("--http-listen", http_listen)
        vendors = VendorCarrier(secret=password, on_text=show, faults=faults, host=http_host, port=http_port)
        vendors.set_webhook(webhook)
    sip_host, sip_port = _address("--sip-listen", sip_listen, digits=True)

    def exchange() -> Exchange:
        return Exchange(
            faults,
            _call_printer(recordings, as_json=as_json),
            host=sip_host,
            port=sip_port,
            username=system_id,
            password=sip_password,
        )

    asyncio.run(_run(smsc, host, vendors, exchange))


@sim.command()
@click.option("--set", "script", type=SCRIPT, help="Take the [[faults]] of this TOML file from now on.")
@click.option("--clear", is_flag=True, help="Behave from now on.")
@click.option("--drop-links", is_flag=True, help="Cut every connection once.")
@server_option
def fault(*, script: Path | None, clear: bool, drop_links: bool, url: str | None) -> int:
    """Show or change how the carrier in a running server misbehaves."""
    server = find_server(url, keyed=False)
    if drop_links:
        answer = call(server, "DELETE", "/sim/links")
    elif script is not None or clear:
        answer = call(server, "PUT", "/sim/faults", read_script(script))
    else:
        answer = call(server, "GET", "/sim/faults")
    if answer.status >= 400:
        return tell_refusal(answer, as_json=False)
    if answer.body is not None:
        print_json(answer.body)
    return Exit.OK


@sim.command()
@click.option("--webhook", help="Send MSG91's receipts there from now on: an address on this machine.")
@server_option
def vendors(*, webhook: str | None, url: str | None) -> int:
    """Show where the carrier in a running server takes texts as Twilio and MSG91 do."""
    server = find_server(url, keyed=False)
    wish = None if webhook is None else {"webhook_url": webhook}
    answer = call(server, "GET" if wish is None else "PUT", "/sim/vendors", wish)
    if answer.status >= 400:
        return tell_refusal(answer, as_json=False)
    print_json(answer.body)
    return Exit.OK


@sim.command()
@click.argument("number", required=False)
@server_option
@json_option
def phones(*, number: str | None, url: str | None, as_json: bool) -> int:
    """List the virtual phones of a running server, or the texts on one."""
    path = f"/sim/phones/{quote(number)}/messages" if number else "/sim/phones.json"
    answer = call(find_server(url, keyed=False), "GET", path)
    if answer.status >= 400:
        return tell_refusal(answer, as_json=as_json)
    if as_json:
        print_json(answer.body)
        return Exit.OK
    texts = answer.body if number else [phone["newest"] for phone in answer.body]
    print_table(
        ("at", "to", "text"), [(text["received_at"], text["msisdn"], _line(text["text"])) for text in texts]
    )
    return Exit.OK


def read_script(script: Path | None) -> list[Any]:
    """Return the faults of a TOML file as plain dictionaries.

    Raises:
        InvalidRequest: It is no TOML, or has anything but [[faults]].
    """
    if script is None:
        return []
    try:
        tree = tomllib.loads(script.read_text())
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"{script} cannot be read: {error}.") from error
    faults = tree.pop("faults", [])
    if tree or not isinstance(faults, list):
        raise InvalidRequest(f"{script} may have [[faults]] only.")
    return faults


def _address(option: str, listen: str, *, digits: bool = False) -> tuple[str, int]:
    try:
        host, port = address_of(listen)
        return str(ip_address(host)) if digits else host, port
    except ValueError as error:
        raise InvalidRequest(f"{option}: {error}.") from error


async def _run(
    smsc: Smsc, host: str, vendors: VendorCarrier | None, make_exchange: Callable[[], Exchange]
) -> None:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(smsc)
        if vendors is not None:
            await stack.enter_async_context(vendors)
            progress(f"Twilio's and MSG91's requests are taken at {vendors.access.url}")
            progress(f"  Twilio's account is {ACCOUNT_SID}; its token and MSG91's authkey are the password")
        exchange = await stack.enter_async_context(make_exchange())
        progress("Calls are taken at sip:NUMBER@{}:{}, over UDP and TCP".format(*exchange.address))
        progress(f"A carrier listens on {host}:{smsc.port}; Ctrl-C ends it")
        await stop.wait()


def _printer(*, as_json: bool) -> Callable[[Text], None]:
    """Return what prints each text."""

    def show(text: Text) -> None:
        if as_json:
            print_json(text)
        else:
            click.echo(f"{text.received_at:%H:%M:%S}  {text.msisdn}  {_line(text.text)}")

    return show


def _call_printer(recordings: Path | None, *, as_json: bool) -> Callable[[VirtualCall], None]:
    """Return what prints each step of a call, and keeps what was heard."""

    def show(call: VirtualCall) -> None:
        news = news_of(call)
        if as_json:
            print_json(news)
        else:
            what = " ".join(
                filter(None, (news.state, news.why, news.keys_heard and f"keys {news.keys_heard}"))
            )
            click.echo(
                f"{datetime.now(UTC):%H:%M:%S}  {call.msisdn}  "
                f"call {call.id} from {_line(call.caller)}: {what}"
            )
        if recordings is not None and news.why and call.heard:
            (recordings / f"call-{call.id}.wav").write_bytes(as_wav(call.heard))

    return show


def _joiner(show: Callable[[Text], None]) -> Callable[[SimMessage], None]:
    """Return what shows the texts of an SMPP carrier once they are whole."""
    handset = Handset()

    def received(message: SimMessage) -> None:
        times = {"submitted_at": message.submitted_at, "received_at": datetime.now(UTC)}
        with contextlib.suppress(InvalidMsisdn):
            text = handset.receive(message.sm, route=message.account, **times)
            if text is not None:
                show(text)

    return received


def _line(text: str) -> str:
    """Return a text from outside on one line, with nothing that a terminal would obey."""
    return "".join(letter if letter.isprintable() else " " for letter in text)
