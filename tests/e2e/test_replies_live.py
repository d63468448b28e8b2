"""STOP on a phone ends what it gets: the real program with its carrier in the box, API, page and commands."""

import json
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.async_api import expect

from dastak.core.msisdn import Msisdn, mask
from tests.support.api_client import Answer, ApiClient
from tests.support.browser import chromium, opened
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.patience import until
from tests.support.program import clean_environment

# Each test has numbers of its own, because limits are per number.


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


@pytest.fixture
def api(dastak: DastakProcess) -> Iterator[ApiClient]:
    return ApiClient(dastak.url, dastak.api_key)


def command(dastak: DastakProcess, *arguments: str) -> subprocess.CompletedProcess[str]:
    config = str(dastak.data_dir / "dastak.toml")
    return subprocess.run(
        [sys.executable, "-m", "dastak", "--config", config, *arguments],
        env=clean_environment({"DASTAK__LOG__LEVEL": "info"}),
        capture_output=True,
        text=True,
        check=False,
    )


def new_key(dastak: DastakProcess, *scopes: str) -> str:
    """Make a key with these scopes; without any it is an application's."""
    wanted = [argument for scope in scopes for argument in ("--scope", scope)]
    made = command(dastak, "keys", "create", "--name", "-".join(("key", *scopes)), *wanted, "--json")
    key: str = json.loads(made.stdout)["key"]
    return key


def texted(api: ApiClient, to: str) -> str:
    """Start a verification and wait for its text on the phone."""
    started = api.start(to)
    assert started.status == 201, started
    assert api.next_text(to)["code"]
    verification: str = started.body["id"]
    return verification


def says(api: ApiClient, msisdn: str, text: str, **fields: str) -> Answer:
    return api.post(f"/sim/phones/{msisdn}/messages", {"text": text, **fields})


def replies_of(api: ApiClient, to: str) -> list[dict[str, Any]]:
    return [reply for reply in api.get("/v1/replies?limit=200").body["replies"] if reply["msisdn"] == to]


def is_stopped(api: ApiClient, to: str) -> bool:
    return to in [stop["msisdn"] for stop in api.get("/v1/stops?limit=200").body["stops"]]


@pytest.mark.parametrize("word", ["STOP", "बंद करो", "நிறுத்து"])
def test_stop_from_the_phone_refuses_the_next_start_until_start(api: ApiClient, to: str, word: str) -> None:
    verification = texted(api, to)

    sent = says(api, to, word)
    until(lambda: is_stopped(api, to))
    refused = api.start(to)
    says(api, to, "START")
    until(lambda: not is_stopped(api, to))

    assert (sent.status, sent.body) == (202, {"to": "DASTAK"})
    assert (refused.status, refused.body["code"], refused.body["reason"]) == (
        403,
        "number_stopped",
        "stopped",
    )
    assert refused.headers["content-type"] == "application/problem+json"
    assert to not in json.dumps(refused.body)
    texted(api, to)
    kept = replies_of(api, to)
    assert [(reply["kind"], reply["mode"], reply["to"]) for reply in kept] == [
        ("start", "test", "DASTAK"),
        ("stop", "test", "DASTAK"),
    ]
    told = [event["kind"] for event in api.timeline(verification) if event["type"] == "reply"]
    assert told[0] == "stop"


def test_long_reply_with_a_code_is_joined_and_kept_without_digits(api: ApiClient, to: str) -> None:
    texted(api, to)

    says(api, to, "मेरा कोड 482913 काम नहीं कर रहा है। " * 5)
    until(lambda: replies_of(api, to))

    (kept,) = replies_of(api, to)
    assert kept["kind"] == "other"
    assert kept["text_masked"].startswith("मेरा कोड •••••• काम नहीं")


def test_admin_of_the_tenant_lifts_a_stop_and_an_application_may_not(
    dastak: DastakProcess, api: ApiClient, to: str
) -> None:
    application = ApiClient(dastak.url, new_key(dastak))
    admin = ApiClient(dastak.url, new_key(dastak, "admin"))
    until(lambda: admin.get("/v1/admin/tenants/default").status == 200)
    texted(api, to)
    says(api, to, "STOP")
    until(lambda: is_stopped(api, to))

    forbidden = application.delete(f"/v1/stops/{to}")
    lifted = admin.delete(f"/v1/stops/{to}")
    again = admin.delete(f"/v1/stops/{to}")

    assert (forbidden.status, forbidden.body["reason"]) == (403, "scope")
    assert (lifted.status, lifted.body) == (200, {"lifted": True})
    assert (again.status, again.body["code"]) == (404, "not_found")
    texted(api, to)
    assert to.removeprefix("+") not in dastak.log()


def test_commands_list_replies_and_lift_a_stop_at_once(
    dastak: DastakProcess, api: ApiClient, to: str
) -> None:
    texted(api, to)
    says(api, to, "STOP please")
    until(lambda: is_stopped(api, to))

    listed = command(dastak, "replies", "list")
    stops = command(dastak, "replies", "stops", "--json")
    lifted = command(dastak, "replies", "lift", to)
    again = command(dastak, "replies", "lift", to)

    assert "STOP please" in listed.stdout
    assert to not in listed.stdout
    assert to in [stop["msisdn"] for stop in json.loads(stops.stdout)]
    assert (lifted.returncode, to in lifted.stdout) == (0, False)
    assert again.returncode != 0
    assert "dastak replies stops" in again.stderr
    told = json.loads(lifted.stderr)
    assert (told["logger"], told["action"], told["result"]) == ("dastak.audit", "lift_stop", "done")
    assert (told["actor"], told["on"]) == ("cli", f"default/{mask(Msisdn(to))}")
    texted(api, to)


def test_reply_to_nobody_is_listed_for_the_operator(dastak: DastakProcess, api: ApiClient, to: str) -> None:
    operator = ApiClient(dastak.url, new_key(dastak, "operator"))
    until(lambda: operator.get("/v1/admin/tenants").status == 200)

    says(api, to, "STOP", to="NOBODY")

    stray = until(lambda: operator.get("/v1/admin/replies").body["replies"])
    assert [(reply["msisdn"], reply["to"]) for reply in stray] == [(to, "NOBODY")]
    assert replies_of(api, to) == []
    assert api.start(to).status == 201


def test_replies_come_in_pages_and_are_counted(api: ApiClient, to: str) -> None:
    texted(api, to)
    for text in ("one", "two", "three"):
        says(api, to, text)
    until(lambda: len(replies_of(api, to)) == 3)

    first = api.get("/v1/replies?limit=2").body
    second = api.get(f"/v1/replies?limit=1&cursor={first['next_cursor']}").body

    assert [reply["text_masked"] for reply in first["replies"]] == ["three", "two"]
    assert [reply["text_masked"] for reply in second["replies"]] == ["one"]
    metrics = api.get("/metrics").body
    assert 'dastak_replies_total{kind="other",mode="test"}' in str(metrics)


@pytest.mark.parametrize(
    ("body", "status"),
    [
        ({"text": ""}, 422),
        ({"text": "x" * 1601}, 422),
        ({"text": "x", "to": "y" * 21}, 422),
        ({"text": "x", "more": 1}, 422),
        ({}, 422),
        (b"[" * 10_000, 422),
        ({"text": "STOP"}, 422),  # it has no text to answer
    ],
)
def test_phone_writes_nothing_back_that_is_no_text(api: ApiClient, to: str, body: Any, status: int) -> None:
    answer = api.post(f"/sim/phones/{to}/messages", body)

    assert (answer.status, answer.body["code"]) == (status, "invalid_request")


def test_other_sites_page_cannot_write_from_a_phone(api: ApiClient, to: str) -> None:
    body = {"text": "STOP", "to": "DASTAK"}

    answer = api.post(f"/sim/phones/{to}/messages", body, sec_fetch_site="cross-site")

    assert answer.status == 403


def test_phone_that_was_off_gets_its_code_when_its_network_says_it_is_back(api: ApiClient, to: str) -> None:
    api.put("/sim/faults", [{"number": to, "stat": "UNDELIV", "err": "027"}])
    verification = api.start(to).body["id"]
    until(lambda: [event for event in api.timeline(verification) if event["type"] == "undelivered"])
    api.put("/sim/faults", [])

    told = api.post(f"/sim/phones/{to}/return")
    code = api.next_text(to)["code"]

    assert told.status == 204
    assert api.check(verification, code).body["approved"]
    steps = [event["type"] for event in api.timeline(verification)]
    assert [steps.count(step) for step in ("undelivered", "returned", "queued", "submitted")] == [1, 1, 2, 2]


async def test_stop_typed_on_the_page_of_the_phone_is_seen_by_the_next_start(
    dastak: DastakProcess, api: ApiClient, to: str
) -> None:
    async with (
        chromium() as browser,
        opened(browser, f"{dastak.url}/sim/phones/{to}") as (page, faults),
    ):
        await expect(page.locator("#line")).to_have_attribute("data-state", "live")
        await expect(page.locator("#back")).to_be_hidden()
        texted(api, to)
        await page.get_by_label("Text back to DASTAK").fill("STOP")
        await page.keyboard.press("Enter")
        await expect(page.locator(".mine .said")).to_have_text("STOP")
        await expect(page.get_by_label("Text back to DASTAK")).to_have_value("")
        await expect(page.locator("#spoken")).to_have_text("Sent to DASTAK: STOP")
        until(lambda: is_stopped(api, to))
        refused = api.start(to)

    assert (refused.status, refused.body["code"]) == (403, "number_stopped")
    assert faults == []
