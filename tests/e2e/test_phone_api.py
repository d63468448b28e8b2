"""The virtual phones over real HTTP: one text to one caller, problems by name, nothing for other sites."""

import asyncio
import json
import shlex

import pytest

from dastak.simulator.phone import FOLLOWERS_MAX, Phones
from tests.support.api_client import Answer, ApiClient
from tests.support.phone_server import ANITA, ENGLISH, arriving, served, until


async def get(url: str, path: str, **headers: str) -> Answer:
    return await asyncio.to_thread(ApiClient(url, None).get, path, **headers)


async def test_next_waits_for_a_text_and_gives_it_to_one_caller() -> None:
    phones = Phones()
    async with served(phones) as url:
        waiting = asyncio.create_task(get(url, "/sim/phones/919876543210/messages/next?timeout_s=30"))
        await until(lambda: phones._waiting == 1)
        phones.add(arriving())
        answer = await waiting
        again = await get(url, "/sim/phones/%2B919876543210/messages/next?timeout_s=0")
        replayed = await get(url, f"/sim/phones/{ANITA}/messages/next?after=0")
        listed = await get(url, f"/sim/phones/{ANITA}/messages")

    assert answer.status == 200
    assert answer.body["code"] == "482913"
    assert answer.body["text"] == ENGLISH
    assert (answer.body["id"], answer.body["latency_ms"], answer.body["msisdn"]) == (1, 138, ANITA)
    assert (again.status, again.body) == (204, b"")
    assert replayed.body == answer.body
    assert listed.body == [answer.body]


async def test_caller_that_hangs_up_takes_no_text() -> None:
    phones = Phones()
    async with served(phones) as url:
        port = int(url.rpartition(":")[2])
        _, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(b"GET /sim/phones/919876543210/messages/next?timeout_s=60 HTTP/1.1\r\nhost: x\r\n\r\n")
        await until(lambda: phones._waiting == 1)
        writer.close()
        await until(lambda: phones._waiting == 0)
        phones.add(arriving())
        answer = await get(url, f"/sim/phones/{ANITA}/messages/next")

    assert answer.status == 200


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/sim/phones/12/messages", 422, "invalid_msisdn"),
        ("/sim/phones/anita/messages/next", 422, "invalid_msisdn"),
        (f"/sim/phones/{ANITA}/messages/next?timeout_s=61", 422, "invalid_request"),
        (f"/sim/phones/{ANITA}/messages/next?timeout_s=nan", 422, "invalid_request"),
        (f"/sim/phones/{ANITA}/messages/next?after=x", 422, "invalid_request"),
        ("/sim/events?msisdn=x", 422, "invalid_msisdn"),
    ],
)
async def test_wrong_requests_are_told_so_as_problems(path: str, status: int, code: str) -> None:
    async with served(Phones()) as url:
        answer = await get(url, path)

    assert (answer.status, answer.headers["content-type"]) == (status, "application/problem+json")
    assert answer.body["code"] == code


async def test_page_of_another_site_can_neither_read_nor_take() -> None:
    phones = Phones()
    phones.add(arriving())
    async with served(phones) as url:
        paths = (f"/sim/phones/{ANITA}/messages/next", "/sim/phones.json", "/sim/events")
        answers = [await get(url, path, sec_fetch_site="cross-site") for path in paths]
        own = await get(url, paths[0], sec_fetch_site="same-origin")

    assert [answer.status for answer in answers] == [403, 403, 403]
    assert own.status == 200


async def test_live_stream_beats_while_nothing_happens_and_is_bounded() -> None:
    phones = Phones()
    async with served(phones, heartbeat_s=0.01) as url:
        host, port = url.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /sim/events?msisdn=+919876543210 HTTP/1.1\r\nhost: x\r\n\r\n")
        async with asyncio.timeout(5):
            head = await reader.readuntil(b":\n\n")
            phones.add(arriving())
            data = await reader.readuntil(b"}\n\n")
        followers = [phones.follow() for _ in range(FOLLOWERS_MAX - 1)]
        crowded = await get(url, "/sim/events")
        writer.close()

    assert b"content-type: text/event-stream" in head
    assert json.loads(data[data.index(b"data: ") + 6 :].splitlines()[0])["code"] == "482913"
    assert (crowded.status, crowded.headers["retry-after"]) == (503, "1")
    assert len(followers) == FOLLOWERS_MAX - 1


async def test_every_answer_is_uncached_and_under_the_policy() -> None:
    async with served(Phones(), test_key="dk_test_x'y") as url:
        paths = (
            "/sim/phones",
            "/sim/phones/123456",
            "/sim/phones.json",
            "/sim/pages/phone.js",
            "/sim/phones/1/curl",
        )
        answers = [await get(url, path) for path in paths]
        missing = await get(url, "/sim/pages/..%2fphone.py")
        curl = await get(url, f"/sim/phones/{ANITA}/curl")

    for answer in answers:
        assert answer.headers["cache-control"] == "no-store"
        assert answer.headers["content-security-policy"].startswith("default-src 'none'; script-src 'self';")
        assert answer.headers["x-content-type-options"] == "nosniff"
    assert missing.status == 404
    assert shlex.split(curl.body.decode()) == [
        *("curl", "-H", "Authorization: Bearer dk_test_x'y"),
        *("--json", '{"to":"+919876543210"}', f"{url}/v1/verifications"),
    ]
