"""An installation that calls over SIP trunks, its operator, a customer, and phones of other authors."""

import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from bench.processes import free_port
from dastak.voice.prompts import Pack
from dastak.voice.sound.g711 import pcm_to_ulaw
from tests.support.api_client import ApiClient
from tests.support.baresip_phone import BaresipPhone, baresip
from tests.support.kamailio import Kamailio
from tests.support.patience import until
from tests.support.serve_installation import Installation
from tests.support.virtual_caller import ENGLISH, digits_in, gate_in

TO: Final = "+919876543210"
CARRIERS: Final = "/v1/admin/carriers"
CALLER: Final = "+911600123456"


class CallingHouse:
    """The installation, its operator, and a customer of it.

    Attributes:
        operator: Who adds trunks.
        api: Who asks for calls.
    """

    def __init__(self, installation: Installation) -> None:
        self.installation = installation
        made = installation.command(
            "keys", "create", "--name", "boss", "--mode", "live", "--scope", "operator"
        )
        self.operator = ApiClient(installation.url, made["key"])
        self.api = installation.live_client()
        until(lambda: self.operator.get(CARRIERS).status == 200)
        until(lambda: self.api.get("/v1/verifications").status == 200)

    def add(self, port: int, /, *, name: str = "trunk", priority: int = 100, **settings: Any) -> None:
        """Add a trunk on this machine; it need not be reachable."""
        answer = self.offer(port, name=name, priority=priority, **settings)
        assert answer.status == 201, answer

    def offer(self, port: int, /, *, name: str = "trunk", priority: int = 100, **settings: Any) -> Any:
        """Try to add a trunk, and return the answer; a setting that is None is left out."""
        first = free_port()
        wanted = {
            "host": "127.0.0.1",
            "port": port,
            "domain": f"127.0.0.1:{port}",
            "caller": CALLER,
            "calls_max": 4,
            "rtp_ports": [first, first + 20],
            **settings,
        }
        wanted = {setting: value for setting, value in wanted.items() if value is not None}
        body = {"name": name, "kind": "sip", "settings": wanted, "lane": {"priority": priority}}
        return self.operator.post(CARRIERS, body)

    def add_kamailio(self, trunk: Kamailio, transport: str, **settings: Any) -> None:
        """Add Kamailio as a trunk that asks for a password."""
        port = trunk.tls_port if transport == "tls" else trunk.port
        account = {"username": "shop", "password": "secret", "domain": "trunk.example"}
        self.add(port, **{"transport": transport, **account, **settings})

    def add_texts(self, port: int) -> None:
        """Add a carrier of texts on this machine, and wait until it is bound."""
        settings = {"host": "127.0.0.1", "port": port, "system_id": "sim_1", "password": "secret"}
        answer = self.operator.post(CARRIERS, {"name": "texts", "settings": settings})
        assert answer.status == 201, answer
        self.until_available("texts")

    def text(self, to: str) -> str:
        """Ask for a text, and return the verification."""
        started = self.api.start(to)
        assert started.status == 201, started
        return str(started.body["id"])

    def carrier(self, name: str = "trunk") -> dict[str, Any]:
        """Return how a trunk stands."""
        body: dict[str, Any] = self.operator.get(f"{CARRIERS}/{name}").body
        return body

    def until_available(self, name: str = "trunk", *, available: bool = True, within_s: float = 15) -> None:
        """Wait until a trunk can take calls, or until it cannot."""
        until(lambda: self.carrier(name)["available"] is available, within_s=within_s)

    def call(self, to: str = TO) -> str:
        """Ask for a call, and return the verification."""
        started = self.api.start(to, channel="voice")
        assert started.status == 201, started
        return str(started.body["id"])

    def told_of(self, of: str, **wanted: Any) -> dict[str, Any]:
        """Wait for an event with these fields."""

        def look() -> dict[str, Any] | None:
            return next((told for told in self.api.timeline(of) if wanted.items() <= told.items()), None)

        return until(look, within_s=40)

    def told(self, of: str) -> list[str]:
        """Return all that happened, of a call its steps."""
        return [one["step"] if one["type"] == "call" else one["type"] for one in self.api.timeline(of)]

    def steps(self, of: str) -> list[str]:
        """Return what happened in its calls."""
        return [one["step"] for one in self.api.timeline(of) if one["type"] == "call"]


@contextmanager
def calling_house(directory: Path, **settings: str) -> Iterator[CallingHouse]:
    """Run an installation in a folder below this one, with these settings of the environment."""
    installation = Installation(directory / "dastak", **settings)
    with ExitStack() as stack:
        with going_first():
            stack.enter_context(installation)
        yield CallingHouse(installation)


@contextmanager
def phone_in(
    directory: Path,
    *,
    number: str = TO,
    name: str = "phone",
    answers: str = "auto",
    options: str = "",
    registrar: int = 0,
) -> Iterator[BaresipPhone]:
    """Run a softphone in a folder below this one. For the rest see `baresip`."""
    folder = directory / name
    folder.mkdir()
    with ExitStack() as stack:
        with going_first():
            phone = stack.enter_context(
                baresip(folder, number=number, answers=answers, options=options, registrar=registrar)
            )
        yield phone


@contextmanager
def going_first() -> Iterator[None]:
    """Have what is started here go before all else on this machine: a phone has a processor of its own."""
    before = os.getpriority(os.PRIO_PROCESS, 0)
    with suppress(PermissionError):
        os.setpriority(os.PRIO_PROCESS, 0, -10)
    try:
        yield
    finally:
        os.setpriority(os.PRIO_PROCESS, 0, before)


def press_gate(phone: BaresipPhone, spoken: Pack = ENGLISH) -> None:
    """Wait until the call named its digit, and press it."""
    phone.press(until(lambda: gate_in(pcm_to_ulaw(phone.heard()), spoken), within_s=20))


def code_heard(phone: BaresipPhone, spoken: Pack = ENGLISH) -> str:
    """Return the digits of the code that the phone heard, of all readings together."""
    return digits_in(pcm_to_ulaw(phone.heard()), spoken)
