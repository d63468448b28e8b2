"""The site of the how-to on OpenID Connect runs as it stands on its page, and people log in to it."""

import json
import re
import subprocess
import sys
from pathlib import Path

import httpx

from bench.processes import free_port
from tests.support.dastak_process import DastakProcess
from tests.support.oidc_site import add_client, log_in, some_number
from tests.support.patience import until
from tests.support.plain_browser import PlainBrowser
from tests.support.program import clean_environment

PAGE = Path(__file__).resolve().parents[2] / "docs" / "how-to" / "log-in-with-openid-connect.md"
FILE = re.compile(r"^<!-- file: shop.py -->\n```\w+[^\n]*\n(.*?)^```$", re.MULTILINE | re.DOTALL)


def test_site_of_the_page_logs_a_person_in_and_out(dastak: DastakProcess, tmp_path: Path) -> None:
    port, number = free_port(), some_number()
    home = f"http://127.0.0.1:{port}/"
    made = add_client(dastak, redirect_uris=[f"{home}callback"], logout_uris=[home])
    (tmp_path / "client.json").write_text(json.dumps(made))
    (site_text,) = FILE.findall(PAGE.read_text(encoding="utf-8"))
    (tmp_path / "shop.py").write_text(site_text, encoding="utf-8")
    environment = clean_environment({"DASTAK_URL": dastak.url, "PORT": str(port)})
    command = [sys.executable, "shop.py"]
    with (tmp_path / "log").open("wb") as log:
        site = subprocess.Popen(command, cwd=tmp_path, env=environment, stdout=log, stderr=log)
    try:
        until(lambda: answers(home) or site.poll() is not None)
        assert site.poll() is None, (tmp_path / "log").read_text()
        with (
            httpx.Client(base_url=home, trust_env=False, follow_redirects=False) as shop,
            PlainBrowser(dastak.url) as browser,
        ):
            there = log_in(browser, shop.get("/login").headers["location"], number)
            foreign = shop.get(str(httpx.URL(there.url).copy_set_param("iss", "https://other.example")))
            unsaid = shop.get(str(httpx.URL(there.url).copy_remove_param("iss")))
            refused = shop.get(
                str(httpx.URL(there.url).copy_remove_param("code").copy_set_param("error", "access_denied"))
            )
            entered = shop.get(there.url)
            inside = shop.get("/").text
            away = browser.open(shop.get("/logout").headers["location"])
            outside = shop.get("/").text
    finally:
        site.kill()
        site.wait()

    assert "Traceback" not in (tmp_path / "log").read_text()
    assert (foreign.status_code, unsaid.status_code) == (400, 400), "it is another provider's answer"
    assert refused.headers["location"] == "/"
    assert entered.headers["location"] == "/"
    assert f"You are {number}" in inside
    assert away.url == home
    assert "Log in with your phone" in outside


def answers(home: str) -> bool:
    try:
        return httpx.get(home, trust_env=False).status_code == 200
    except httpx.TransportError:
        return False
