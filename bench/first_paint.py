"""How soon does a page show something on a slow line? `python -m bench.first_paint [--rounds 7]`.

Chromium is held to 400 kbit/s, 400 ms for each round trip and a quarter of its processor, with nothing kept
from before. To reach: first contentful paint within 1.5 s.
"""

import argparse
import asyncio
import shutil
import tempfile
from itertools import count
from pathlib import Path
from statistics import median
from typing import Final

import httpx
from playwright.async_api import Browser, Playwright, async_playwright

from bench.loopback_carrier import Carrier
from bench.pages import LOGIN, RETURN_URL
from bench.subject import Installation, make_installation

BUDGET_S: Final = 1.5
LATENCY_MS: Final = 400
OCTETS_PER_S: Final = 400_000 // 8
SLOWER: Final = 4
PAINT: Final = """
() => new Promise((told) => new PerformanceObserver((seen) => {
  for (const entry of seen.getEntries()) if (entry.name === "first-contentful-paint") told(entry.startTime);
}).observe({type: "paint", buffered: true}))
"""
_NUMBERS: Final = count(8_700_000_001)


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.first_paint", description=__doc__)
    parser.add_argument("--rounds", type=int, default=7, help="first visits of each page")
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as directory:
        asyncio.run(_measure(Path(directory), asked.rounds))


async def launched(playwright: Playwright) -> Browser:
    """Run a whole browser, or the one without a window where only that is here."""
    path = shutil.which("chromium") or shutil.which("chromium-headless-shell")
    return await playwright.chromium.launch(executable_path=path, args=["--no-sandbox"])


async def _measure(directory: Path, rounds: int) -> None:
    carrier = Carrier()
    installation = await make_installation(directory, await carrier.listen())
    await installation.command(
        "login", "set", "--tenant", "bench", "--service", "login", "--mode", "live", "--open"
    )
    with installation.serve() as process:
        await process.until_listening(installation.port)
        async with async_playwright() as playwright:
            browser = await launched(playwright)
            await _painted_s(browser, f"http://127.0.0.1:{installation.port}{LOGIN}")  # what starts only once
            for name in ("login", "code"):
                times_s = [
                    await _painted_s(browser, await _address(installation, name)) for _ in range(rounds)
                ]
                verdict = "reached" if median(times_s) <= BUDGET_S else "MISSED"
                print(
                    f"{name:6} first contentful paint {median(times_s):.2f} s"
                    f" ({min(times_s):.2f} to {max(times_s):.2f}, n={rounds});"
                    f" to reach {BUDGET_S} s: {verdict}"
                )
            await browser.close()


async def _address(installation: Installation, name: str) -> str:
    """Return the page; that of a code is new each time, for it belongs to the first browser that opens it."""
    url = f"http://127.0.0.1:{installation.port}"
    if name == "login":
        return url + LOGIN
    key = {"authorization": f"Bearer {installation.api_key}"}
    async with httpx.AsyncClient(base_url=url, headers=key, timeout=60, trust_env=False) as client:
        started = await client.post("/v1/verifications", json={"to": f"+91{next(_NUMBERS)}"})
        path = f"/v1/verifications/{started.json()['id']}/page"
        made = await client.post(path, json={"return_url": RETURN_URL})
        return str(made.raise_for_status().json()["url"])


async def _painted_s(browser: Browser, address: str) -> float:
    profile = await browser.new_context(viewport={"width": 375, "height": 667})
    page = await profile.new_page()
    tap = await profile.new_cdp_session(page)
    line = {"latency": LATENCY_MS, "downloadThroughput": OCTETS_PER_S, "uploadThroughput": OCTETS_PER_S}
    await tap.send("Network.enable")
    await tap.send("Network.emulateNetworkConditions", {"offline": False, **line})
    await tap.send("Emulation.setCPUThrottlingRate", {"rate": SLOWER})
    answer = await page.goto(address)
    assert answer is not None, address
    assert answer.status == 200, (address, answer.status)
    painted_ms: float = await page.evaluate(PAINT)
    await profile.close()
    return painted_ms / 1000


if __name__ == "__main__":
    main()
