"""axe-core, the accessibility checker of Deque, over a page in the browser."""

from functools import cache
from pathlib import Path
from typing import Any

from playwright.async_api import Page

from tests.support.needed import installed_peer
from tests.support.npm_peer import PEERS

# WCAG 2.2 at A and AA, and what its authors advise beside it.
TAGS = ("wcag2a", "wcag2aa", "wcag21a", "wcag21aa", "wcag22aa", "best-practice")


@cache
def _source() -> str:
    installed_peer("axe-core")
    return Path(PEERS, "node_modules", "axe-core", "axe.min.js").read_text(encoding="utf-8")


async def axe_violations(page: Page) -> list[str]:
    """Return what axe finds, a line each; the page's own policy stays in force meanwhile."""
    if await page.evaluate("typeof axe") == "undefined":
        await page.evaluate(f"{_source()};0")
    answer: dict[str, Any] = await page.evaluate("tags => axe.run(document, {runOnly: tags})", list(TAGS))
    assert answer["passes"], "axe checked nothing"
    return [f"{found['id']}: {node['html']}" for found in answer["violations"] for node in found["nodes"]]
