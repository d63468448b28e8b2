"""Does time tell who has an account? `python -m bench.login_timing [--each 3000] [--json FILE]`.

Every kind of somebody who is refused is asked about in random order, on connections that stay open, and each
kind is compared with the first as in `two_kinds.py`, with the difference of the medians beside it. What must
hold is |t| < 4.5. It is no test, for a busy machine stretches times: so each result says what delay it would
have found, and on each page one kind has a planted delay, which must be found.

A name of one kind comes as often as one of any other, or rows and tallies of some would be fresh in caches,
and time would tell of these.
"""

import argparse
import asyncio
import http.client
import os
import random
import re
import tempfile
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime
from ipaddress import IPv4Address
from itertools import count
from pathlib import Path
from statistics import median
from typing import NamedTuple
from urllib.parse import urlencode

import msgspec

from bench.loopback_carrier import Carrier
from bench.subject import Installation, make_installation
from bench.two_kinds import T_MAX, compare
from dastak.config_read import load
from dastak.config_secrets import read_keys
from dastak.core.login_settings import LoginSettings
from dastak.core.msisdn import Msisdn
from dastak.core.person import RECOVERY_CODES, Person, PersonId, name_key
from dastak.core.sign_in_limits import RESETS_HOURLY, STRANGERS, Claim, key_of
from dastak.core.sign_in_state import SignInLine
from dastak.core.tenant import Mode
from dastak.store.sqlite import SqliteStore
from dastak.tenancy.password_hashes import PasswordHashes

KEPT = Path("bench/results/login_timing.json")
LOGIN = "/login/bench/login"
FORGOTTEN = f"{LOGIN}/forgotten"
RIGHT, WRONG = "a bridge of seven lemons", "a wrong but long password"
# Addresses are believed, as they are behind a proxy, so that no attempt meets a limit that it shall not meet.
BEHIND_PROXY = {"DASTAK__LOGIN__TRUSTED_PROXIES": "1"}
# How much later the kinds are answered whose names end so.
PLANTED = ", planted delay"
# Answers at even times are waited for side by side; passwords are hashed one after another.
AT_ONCE = 12
_HIDDEN = re.compile(r'name="form" value="([^"]*)"')
_ADDRESSES = count(0x0B000001, 0x100)


class Compared(msgspec.Struct, kw_only=True):
    """One kind beside the first of its page.

    Attributes:
        fast_differs_us: Between the tenths that were fastest, which other work on the machine disturbs least.
        seen_us: The delay of a whole kind that nineteen of twenty such runs would have found.
        planted_us: How much later this kind was made on purpose; 0 for all that is measured in earnest.
    """

    page: str
    kind: str
    beside: str
    each: int
    median_ms: float
    median_differs_us: float
    fast_differs_us: float
    t: float
    seen_us: float
    planted_us: float

    @property
    def told(self) -> str:
        """It in a line."""
        differs = abs(self.t) >= T_MAX
        verdict = (
            ("tells nothing", "DIFFERS")[differs] if not self.planted_us else ("MISSED", "found")[differs]
        )
        return (
            f"{self.page:16} {self.kind:34} n={self.each:5}  median {self.median_ms:8.3f} ms "
            f"({self.median_differs_us:+8.1f} us,"
            f" fastest tenth {self.fast_differs_us:+7.1f} us)  t={self.t:+6.2f}"
            f"  sees {self.seen_us:7.1f} us  {verdict}"
        )


class Shot(NamedTuple):
    """One request to be timed: of which kind it is, and how it is made."""

    kind: str
    fire: Callable[["Browser"], Mapping[str, float]]


class Browser:
    """One connection that keeps its cookies; each form seems to come from a network of its own."""

    def __init__(self, port: int) -> None:
        self._line = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        self._cookies: dict[str, str] = {}

    def get(self, path: str) -> str:
        """Open a page and return its hidden token."""
        _, text = self._ask("GET", path, None)
        found = _HIDDEN.search(text)
        assert found is not None, (path, text[:200])
        return found[1]

    def send(self, path: str, status: int, *, planted_s: float = 0, **fields: str) -> float:
        """Send a form and return how long its answer took, which a delay of ours may stretch."""
        body = urlencode(fields)
        began_s = time.perf_counter()
        got, text = self._ask("POST", path, body)
        time.sleep(planted_s)
        took_s = time.perf_counter() - began_s
        assert got == status, (path, got, text[:200])
        return took_s

    def _ask(self, method: str, path: str, body: str | None) -> tuple[int, str]:
        headers = {"x-forwarded-for": str(IPv4Address(next(_ADDRESSES) % 0xDF000000))}
        if body is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        if self._cookies:
            headers["cookie"] = "; ".join(f"{name}={value}" for name, value in self._cookies.items())
        self._line.request(method, path, body, headers)
        answer = self._line.getresponse()
        text = answer.read().decode()
        for line in answer.headers.get_all("set-cookie") or ():
            name, _, value = line.partition(";")[0].partition("=")
            self._cookies[name] = value
        return answer.status, text


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.login_timing", description=__doc__)
    parser.add_argument("--each", type=int, default=3000, help="requests of each kind")
    parser.add_argument("--json", type=Path, default=KEPT, help=f"where to keep it, {KEPT} if absent")
    parser.add_argument("--plant-ms", type=float, default=5, help="the delay that must be found")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        compared = asyncio.run(_measure(Path(directory), asked.each, asked.plant_ms / 1e3))
    asked.json.parent.mkdir(parents=True, exist_ok=True)
    asked.json.write_bytes(msgspec.json.format(msgspec.json.encode(compared)) + b"\n")
    print("\n".join(one.told for one in compared))


async def _measure(directory: Path, each: int, planted_s: float) -> list[Compared]:
    carrier = Carrier()
    installation = await make_installation(directory, await carrier.listen())
    installation.environment.update(BEHIND_PROXY)
    await _people(installation, each)
    with installation.serve() as process:
        await process.until_listening(installation.port)
        passwords = await asyncio.to_thread(_fire, installation.port, _passwords(each, planted_s), at_once=1)
        sent_before = carrier.submitted
        shots = _forgotten(each, planted_s)
        forgotten = await asyncio.to_thread(_fire, installation.port, shots, at_once=AT_ONCE)
        sent = carrier.submitted - sent_before
    assert sent == each, f"{sent} codes were sent for {each} people, so that these were not what they seem"
    return [*_compare(passwords, planted_s), *_compare(forgotten, planted_s)]


def _named(kind: str, n: int) -> str:
    return f"{kind}.{n}"


async def _people(installation: Installation, each: int) -> None:
    """Make the people: their passwords are hashed once, for nobody tells their rows apart."""
    async with PasswordHashes() as hashes:
        kept = await hashes.make(RIGHT)
    line = SignInLine(at=datetime.now(UTC), what="recovery_codes_made")
    async with SqliteStore(installation.database) as store:
        tenancy = await store.tenancy()
        service = next(one for one in tenancy.services if one.name == LOGIN.rpartition("/")[2])
        await store.people.put_login(LoginSettings(service=service.n))

        async def put(kind: str, n: int, *, phone: bool = False, blocked: bool = False) -> None:
            name, now = _named(kind, n), datetime.now(UTC)
            number = Msisdn(f"+9198{n:08}") if phone else None
            person = Person(
                id=PersonId(os.urandom(16)), service=service.n, mode=Mode.LIVE, username=name, created_at=now,
                password=kept, msisdn=number, proved_at=now if phone else None, blocked=blocked,
            )  # fmt: skip
            await store.people.put_person(person, name_key(name))
            if phone:
                codes = [os.urandom(32) for _ in range(RECOVERY_CODES)]
                await store.people.put_recovery_codes(person.id, codes, line=line)

        share = _share(each)
        await asyncio.gather(
            *(put("plain", n) for n in share),
            *(put("shut", n, blocked=True) for n in share),
            *(put("guessed", n) for n in share),
            *(put("late", n) for n in share),
        )
        await _lock(installation, store, service.n, share)
        phones = _phones(each)
        await asyncio.gather(
            *(put("phone", n, phone=True) for n in phones),
            *(put("bare", n) for n in phones),
            *(put("late.bare", n) for n in phones),
        )


def _share(each: int) -> range:
    """Return so many people that none of them is guessed at as often as would lock it."""
    return range(each // (STRANGERS.attempts // 2) + 1)


def _phones(each: int) -> range:
    """Return so many people that each may be sent its texts."""
    return range(each // RESETS_HOURLY.attempts + 1)


async def _lock(installation: Installation, store: SqliteStore, service: int, share: range) -> None:
    """Have strangers guess at people until these are locked."""
    keys = read_keys(load(installation.directory / "dastak.toml", {}).settings)
    for n in share:
        account = (service.to_bytes(8), name_key(_named("guessed", n)).encode())
        claim, now = Claim(key_of(keys, STRANGERS, *account), STRANGERS), datetime.now(UTC)
        await asyncio.gather(*(store.people.claim((claim,), now=now) for _ in range(STRANGERS.attempts)))


def _passwords(each: int, planted_s: float) -> list[Shot]:
    """Return attempts at step one, all of which are refused."""

    def shot(kind: str, name: str, password: str) -> Shot:
        later_s = planted_s if kind.endswith(PLANTED) else 0

        def fire(browser: Browser) -> Mapping[str, float]:
            fields = {"form": browser.get(LOGIN), "username": name, "password": password}
            return {"login": browser.send(LOGIN, 422, planted_s=later_s, **fields)}

        return Shot(kind, fire)

    people = len(_share(each))
    return _mixed(
        *(shot("no such account", _named("nobody", n % people), WRONG) for n in range(each)),
        *(shot("wrong password", _named("plain", n % people), WRONG) for n in range(each)),
        *(shot("blocked, right password", _named("shut", n % people), RIGHT) for n in range(each)),
        *(shot("locked, right password", _named("guessed", n % people), RIGHT) for n in range(each)),
        *(shot("wrong password" + PLANTED, _named("late", n % people), WRONG) for n in range(each)),
    )


def _forgotten(each: int, planted_s: float) -> list[Shot]:
    """Return forgotten passwords, each with one wrong code after it."""

    def shot(kind: str, name: str) -> Shot:
        later_s = planted_s if kind.endswith(PLANTED) else 0

        def fire(browser: Browser) -> Mapping[str, float]:
            token = browser.get(FORGOTTEN)
            named_s = browser.send(FORGOTTEN, 303, planted_s=later_s, form=token, username=name)
            token = browser.get(f"{FORGOTTEN}/code")
            fields = {"form": token, "code": "000000"}
            code_s = browser.send(f"{FORGOTTEN}/code", 422, planted_s=later_s, **fields)
            return {"forgotten": named_s, "forgotten, code": code_s}

        return Shot(kind, fire)

    phones = len(_phones(each))
    return _mixed(
        *(shot("no such account", _named("no.one", n % phones)) for n in range(each)),
        *(shot("account, text sent", _named("phone", n % phones)) for n in range(each)),
        *(shot("account without a phone", _named("bare", n % phones)) for n in range(each)),
        *(shot("without a phone" + PLANTED, _named("late.bare", n % phones)) for n in range(each)),
    )


def _mixed(*shots: Shot) -> list[Shot]:
    return random.sample(shots, len(shots))


def _fire(port: int, shots: Sequence[Shot], *, at_once: int) -> Mapping[str, Mapping[str, list[float]]]:
    """Return the times by page and kind."""
    times: defaultdict[str, defaultdict[str, list[float]]] = defaultdict(lambda: defaultdict(list))

    def run(some: Iterable[Shot]) -> list[tuple[str, Mapping[str, float]]]:
        browser = Browser(port)
        return [(one.kind, one.fire(browser)) for one in some]

    with ThreadPoolExecutor(at_once) as pool:
        for done in pool.map(run, [shots[n::at_once] for n in range(at_once)]):
            for kind, took in done:
                for page, took_s in took.items():
                    times[page][kind].append(took_s)
    return times


def _fastest(times_s: list[float]) -> list[float]:
    return sorted(times_s)[: max(1, len(times_s) // 10)]


def _compare(times: Mapping[str, Mapping[str, list[float]]], planted_s: float) -> list[Compared]:
    compared = []
    for page, kinds in times.items():
        beside, *others = sorted(kinds, key=lambda kind: kind != "no such account")
        first = kinds[beside]
        for kind in others:
            these = kinds[kind]
            found = compare(these, first)
            compared.append(
                Compared(
                    page=page, kind=kind, beside=beside, each=len(these),
                    median_ms=median(these) * 1e3,
                    median_differs_us=(median(these) - median(first)) * 1e6,
                    fast_differs_us=(median(_fastest(these)) - median(_fastest(first))) * 1e6,
                    t=found.t,
                    seen_us=found.seen_s * 1e6,
                    planted_us=planted_s * 1e6 if kind.endswith(PLANTED) else 0,
                )
            )  # fmt: skip
    return compared


if __name__ == "__main__":
    main()
