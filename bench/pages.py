"""Pages for people: how many are made and log in a second, and what a storm of logins does to codes."""

import asyncio
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager
from itertools import cycle
from pathlib import Path
from statistics import median
from urllib.parse import urlencode, urlsplit

import httpx
import msgspec

from bench.cases import FIRST_MSISDN, Dastak, Latencies
from bench.cycles import cycle_case
from bench.load import Answer, Figures, Request, closed_loop, quantile_ms
from bench.loopback_carrier import Carrier
from bench.subject import DOMAIN, Installation, make_installation

LOGIN = "/login/bench/login"
PASSWORD = "a bridge of seven lemons"
CONNECTIONS = 64
# Nobody logs in twice at one moment.
PEOPLE = 64
LOGIN_CONNECTIONS = 32
CYCLES_PER_S = 200
# All who log in send their form at once; that is over when codes are timed.
BEFORE_S = 1.0
RETURN_URL = f"https://{DOMAIN}/back"
REALTIME = {"DASTAK__SERVER__REALTIME": "true"}
# Addresses are believed, as they are behind a proxy.
BEHIND_PROXY = {"DASTAK__LOGIN__TRUSTED_PROXIES": "1"}
_HIDDEN = re.compile(r'<input type="hidden" name="(\w+)" value="([^"]*)">')


class Rendered(msgspec.Struct, kw_only=True):
    """A page, asked for as fast as it is answered."""

    name: str
    per_s: float
    p50_ms: float
    p99_ms: float
    cpu_us: float
    octets: int


class Storm(msgspec.Struct, kw_only=True):
    """Codes while people log in as fast as they can; the middle of the rounds.

    Attributes:
        logins_per_s: While codes are asked for.
        calm_p99_ms: From a start to `approved`, nobody logs in.
        storm_p99_ms: The same in a storm of logins.
    """

    logins_per_s: float
    calm_p99_ms: float
    storm_p99_ms: float

    @property
    def costs_percent(self) -> float:
        """How much longer codes take in a storm of logins."""
        return (self.storm_p99_ms / self.calm_p99_ms - 1) * 100


class Pages(msgspec.Struct, kw_only=True):
    """What pages cost.

    Attributes:
        logins_per_s: Right passwords, each with its argon2id hash and a new session; nothing beside.
        storm: As the program is without settings.
        realtime_storm: With `server.realtime`, where this system allows it.
    """

    rendered: list[Rendered]
    logins_per_s: float
    storm: Storm
    realtime_storm: Storm


async def measure_pages(directory: Path, *, renders: int, seconds: float, rounds: int) -> Pages:
    """Run all cases on one installation.

    Args:
        directory: Empty.
        renders: Requests for each page.
        seconds: How long people log in, and each half of a round.
        rounds: Of calm and storm, by turns.
    """
    carrier = Carrier()
    installation = await make_installation(directory, await carrier.listen())
    await installation.command(
        "login", "set", "--tenant", "bench", "--service", "login", "--mode", "live", "--open", "--invited"
    )
    installation.environment.update(BEHIND_PROXY)
    async with _serving(installation, carrier) as dastak:
        rendered = [await _rendered(dastak, "login page", _get(LOGIN), renders)]
        rendered.append(await _rendered(dastak, "code page", await _code_page(installation), renders))
        logins = await _login_requests(installation)
        logins_per_s = await _logins(installation, logins, asyncio.sleep(seconds))
        storm = await _storm(dastak, installation, logins, seconds=seconds, rounds=rounds)
    installation.environment.update(REALTIME)
    async with _serving(installation, carrier, after=dastak.msisdn) as dastak:
        realtime_storm = await _storm(dastak, installation, logins, seconds=seconds, rounds=rounds)
    return Pages(rendered=rendered, logins_per_s=logins_per_s, storm=storm, realtime_storm=realtime_storm)


@asynccontextmanager
async def _serving(
    installation: Installation, carrier: Carrier, *, after: int = FIRST_MSISDN
) -> AsyncIterator[Dastak]:
    """Run the program, warm; the numbers up to one were used before."""
    with installation.serve() as process:
        await process.until_listening(installation.port)
        await process.until_listening(installation.ops_port)
        dastak = Dastak(process, installation.port, installation.ops_port, installation.api_key, carrier)
        dastak.msisdn = after
        await dastak.starts_case(CONNECTIONS, 1_000)
        await dastak.checks_case(CONNECTIONS)
        yield dastak


async def _storm(
    dastak: Dastak, installation: Installation, logins: Iterable[Request], *, seconds: float, rounds: int
) -> Storm:
    """Have codes asked for by a clock, by turns with nobody and with everybody logging in."""
    calm, storm, per_s = [], [], []
    count = int(CYCLES_PER_S * seconds)
    for _ in range(rounds):
        calm.append((await cycle_case(dastak, per_s=CYCLES_PER_S, count=count)).p99_ms)
        cycles = asyncio.ensure_future(_in_storm(dastak, count))
        per_s.append(await _logins(installation, logins, cycles))
        storm.append((await cycles).p99_ms)
    return Storm(logins_per_s=median(per_s), calm_p99_ms=median(calm), storm_p99_ms=median(storm))


async def _in_storm(dastak: Dastak, count: int) -> Latencies:
    await asyncio.sleep(BEFORE_S)
    return await cycle_case(dastak, per_s=CYCLES_PER_S, count=count)


async def _rendered(dastak: Dastak, name: str, octets: bytes, count: int) -> Rendered:
    sizes: list[int] = []

    def take(answer: Answer) -> None:
        assert answer.status == 200, (name, answer.status)
        sizes.append(len(answer.body))

    before_s = dastak.process.cpu_s
    figures = await closed_loop(
        [dastak.port], iter([Request(name, octets)] * count), connections=CONNECTIONS, on_answer=take
    )
    return Rendered(
        name=name,
        per_s=figures.per_s,
        p50_ms=quantile_ms(figures.latencies_s, 0.5),
        p99_ms=quantile_ms(figures.latencies_s, 0.99),
        cpu_us=(dastak.process.cpu_s - before_s) / count * 1e6,
        octets=max(sizes),
    )


async def _code_page(installation: Installation) -> bytes:
    """Return the request of the browser that a code page belongs to."""
    async with _browser(installation) as browser:
        key = {"authorization": f"Bearer {installation.api_key}"}
        started = await browser.post("/v1/verifications", json={"to": "+918888888888"}, headers=key)
        path = f"/v1/verifications/{started.json()['id']}/page"
        made = await browser.post(path, json={"return_url": RETURN_URL}, headers=key)
        shown = urlsplit(made.raise_for_status().json()["url"]).path
        await browser.get(shown)
        return _get(shown, browser.cookies)


async def _login_requests(installation: Installation) -> list[Request]:
    """Sign people up, each at an address of its own, and fill in their forms of the login."""
    requests = []
    for n in range(PEOPLE):
        address = f"10.{n}.0.1"
        async with _browser(installation, address) as browser:
            form = await _filled(browser, f"{LOGIN}/sign-up", n)
            answer = await browser.post(f"{LOGIN}/sign-up", data=form)
            assert answer.status_code == 303, answer.text
        async with _browser(installation, address) as browser:
            body = urlencode(await _filled(browser, LOGIN, n)).encode()
            requests.append(Request("login", _head("POST", LOGIN, browser.cookies, body, address) + body))
    return requests


async def _filled(browser: httpx.AsyncClient, path: str, n: int) -> dict[str, str]:
    page = (await browser.get(path)).raise_for_status().text
    hidden = dict(_HIDDEN.findall(page.partition("<form")[2].partition("</form>")[0]))
    return {**hidden, "username": f"person.{n}", "password": PASSWORD}


async def _logins(installation: Installation, requests: Iterable[Request], until: Awaitable[object]) -> float:
    """Log in again and again until something else is over; return how many were let in for a second."""
    meanwhile = asyncio.ensure_future(until)
    seen: list[int] = []
    ready = _while(lambda: not meanwhile.done(), requests)
    figures: Figures = await closed_loop(
        [installation.port],
        ready,
        connections=LOGIN_CONNECTIONS,
        on_answer=lambda one: seen.append(one.status),
    )
    await meanwhile
    assert set(seen) == {303}, f"logins were answered {sorted(set(seen))}"
    return figures.statuses[303] / figures.wall_s


def _while(going: Callable[[], bool], requests: Iterable[Request]) -> Iterator[Request]:
    for request in cycle(requests):
        if not going():
            return
        yield request


def _browser(installation: Installation, address: str = "10.200.0.1") -> httpx.AsyncClient:
    url, headers = f"http://127.0.0.1:{installation.port}", {"x-forwarded-for": address}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=30, trust_env=False)


def _get(path: str, cookies: Mapping[str, str] | None = None) -> bytes:
    return _head("GET", path, cookies or {}, b"")


def _head(method: str, path: str, cookies: Mapping[str, str], body: bytes, address: str = "") -> bytes:
    kept = "; ".join(f"{name}={value}" for name, value in cookies.items())
    return (
        f"{method} {path} HTTP/1.1\r\nhost: localhost\r\n"
        + (f"cookie: {kept}\r\n" if kept else "")
        + (f"x-forwarded-for: {address}\r\n" if address else "")
        + ("content-type: application/x-www-form-urlencoded\r\n" if body else "")
        + f"content-length: {len(body)}\r\n\r\n"
    ).encode()
