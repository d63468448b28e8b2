"""What an attacker with a key sends: hostile paths, bodies, numbers and headers; no 5xx, no text, no echo."""

import json
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH

VERIFICATIONS = "/v1/verifications"
NOBODYS = "ver_" + "0" * 32


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


@pytest.fixture
def api(dastak: DastakProcess) -> Iterator[ApiClient]:
    with ApiClient(dastak.url, dastak.api_key, kept=True) as client:
        yield client


@pytest.mark.parametrize(
    "part",
    [
        *("{}", "%7B%7D", "%2F", "/", "..", "%2e%2e", "%00", "%ff", "*", "%25"),
        *("ver_", NOBODYS.upper(), NOBODYS + "0"),
    ],
)
def test_odd_part_of_a_path_is_simply_not_found(api: ApiClient, part: str) -> None:
    for answer in (
        api.get(f"{VERIFICATIONS}/{part}"),
        api.get(f"{VERIFICATIONS}/{part}/timeline"),
        api.post(f"{VERIFICATIONS}/{part}/check", {"code": "123456"}),
        api.get(f"/v1/admin/tenants/{part}"),
        api.get(f"/v1/admin/tenants/default/services/{part}"),
    ):
        assert answer.status in {403, 404}, answer
        assert answer.headers["content-type"] == "application/problem+json"


DEEP = b"[" * 7_000 + b"]" * 7_000
HOSTILE_BODIES = {
    "deep": DEEP,
    "deep in a field": b'{"to":' + DEEP + b"}",
    "deep in a record": b'{"to":"+919876543210","policy":' + DEEP + b"}",
    "201 keys": b"{" + b",".join(b'"k%d":1' % n for n in range(201)) + b"}",
    "key twice": b'{"to":"+919876543210","to":"+919876543211"}',
    "key twice, once escaped": b'{"to":"+919876543210","\\u0074o":"+919876543211"}',
    "key twice below": b'{"to":"+919876543210","policy":{"ttl_s":60,"ttl_s":70}}',
    "1e400": b'{"to":"+919876543210","policy":{"ttl_s":1e400}}',
    "5000 digits": b'{"to":"+919876543210","policy":{"ttl_s":' + b"9" * 5000 + b"}}",
    "NaN": b'{"to":"+919876543210","policy":{"ttl_s":NaN}}',
    "half a surrogate": b'{"to":"+919876543210","client_reference":"\\ud800"}',
    "half a surrogate in UTF-8": b'{"to":"\xed\xa0\x80"}',
    "not UTF-8": b'{"to":"\xff"}',
    "overlong UTF-8": b'{"to":"\xc0\xaf"}',
    "byte order mark": b'\xef\xbb\xbf{"to":"+919876543210"}',
    "UTF-16": '{"to":"+919876543210"}'.encode("utf-16"),
    "NUL behind": b'{"to":"+919876543210"}\0',
    "two documents": b'{"to":"+919876543210"}{"to":"+919876543211"}',
    "comma": b'{"to":"+919876543210",}',
    "list": b'[{"to":"+919876543210"}]',
    "null": b"null",
    "form": b"to=%2B919876543210",
    "nothing": b"",
}


@pytest.mark.parametrize("body", HOSTILE_BODIES.values(), ids=HOSTILE_BODIES.keys())
@pytest.mark.parametrize("path", [VERIFICATIONS, f"{VERIFICATIONS}/{NOBODYS}/check"])
def test_hostile_body_is_refused_as_such(api: ApiClient, path: str, body: bytes) -> None:
    answer = api.post(path, body)

    assert answer.status in {400, 422}, answer
    assert answer.headers["content-type"] == "application/problem+json"


NO_NUMBERS = (
    *(["+919812345670"], 919812345670, 1e12, 1.5, None, True, {}, ""),
    *("+1", "+9" * 20, "A" * 60, "+999999999999999", "09812345670", "9812345670", "00919812345670"),
    *(
        "+91 (98123) 45670",
        "+91-98123-45670;ext=5",
        "+919812345670x123",
        "+९१९८१२३४५६७०",
        "\uff0b919812345670",
    ),
    *(
        "+91\uff19812345670",
        "+919812345670\n",
        "+919812345670 ",
        "\u200b+919812345670",
        "+91\u00a09812345670",
    ),
    *("\u200f+919812345670", "+919812345670\0", "%2B919812345670", "0919812345670", "Call +919812345670 now"),
    *("+91 98123-FLOWER", "1909812345670", "tel:+919812345670;phone-context="),
    *("+919812345670,+919812345671", "+919812345670;+919812345671"),
)


@pytest.mark.parametrize("spelling", NO_NUMBERS, ids=repr)
def test_number_is_strict_e164_or_refused_without_echo(api: ApiClient, spelling: object) -> None:
    answer = api.post(VERIFICATIONS, {"to": spelling})

    assert answer.status == 422
    assert answer.body["field"] == "to"
    if isinstance(spelling, str) and len(spelling) > 2:
        assert spelling not in answer.body["detail"]


def test_spellings_of_one_number_share_its_limit(api: ApiClient, to: str) -> None:
    with_trunk_zero = "+910" + to.removeprefix("+91")

    answers = [api.start(spelling).status for spelling in (to, with_trunk_zero) * 3]

    assert answers == [201] * 5 + [429]


@pytest.mark.parametrize(
    "extra",
    [
        *("status", "approved", "attempts", "tenant_id", "price", "fraud_score"),
        *("cc", "bcc", "to[]", "id", "mode", "state"),
    ],
)
def test_field_that_is_not_for_callers_is_refused_everywhere(api: ApiClient, to: str, extra: str) -> None:
    answers = [
        api.start(to, **{extra: 1}),
        api.post(f"{VERIFICATIONS}/{NOBODYS}/check", {"code": "1", extra: 1}),
        api.post(f"{VERIFICATIONS}/{NOBODYS}/resend", {extra: 1}),
        api.post(f"{VERIFICATIONS}?{extra}=1", {"to": to}),
    ]

    assert [answer.status for answer in answers] == [422, 422, 422, 400]
    assert api.get(f"/sim/phones/{to.lstrip('+')}/messages").body == []


LINE_BREAKERS = "\r\n\0\x1b\x85\u2028\u2029\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"


@pytest.mark.parametrize(
    "payee",
    [
        "x\n@evil.com #999999",
        *(f"Acme{breaker}Ltd" for breaker in LINE_BREAKERS),
        *("http://evil.com", "evil.com", "www.evil.com", "@evil.com #999999", "x" * 41, ""),
    ],
    ids=ascii,
)
def test_payee_can_neither_break_a_line_nor_bring_a_link(api: ApiClient, to: str, payee: str) -> None:
    answer = api.start(to, amount="10.00", payee=payee)

    assert answer.status == 422
    assert api.get(f"/sim/phones/{to.lstrip('+')}/messages").body == []


def test_refused_value_of_an_enum_is_not_repeated(api: ApiClient, to: str) -> None:
    answers = [api.start(to, channel="482913"), api.start(to, purpose="482913")]

    assert [(answer.status, answer.body["field"]) for answer in answers] == [
        (422, "channel"),
        (422, "purpose"),
    ]
    assert "482913" not in json.dumps([answer.body for answer in answers])


@pytest.mark.parametrize(
    "query",
    [
        *(
            "limit=1000000000",
            "limit=0",
            "limit=-1",
            "limit=1e3",
            "limit=%D9%A1",
            "limit=201",
            "limit=1&limit=2",
        ),
        *(
            "cursor=zz",
            "cursor=-1",
            "cursor=0",
            "cursor=" + "f" * 16,
            "cursor=" + "f" * 17,
            "sort=id",
            "%00=1",
        ),
        *("since=x", "since=2020-01-01", "since=2020-01-01T00:00:00", "since=9999-12-31T23:59:60Z", "to[]=1"),
        *(
            "since=2020-01-01T00:00:00Z&until=2020-02-02T00:00:00Z",
            "state=x",
            "state=pending%00",
            "to=x",
            "a",
            "=",
        ),
        *("service=' OR 1=1--", "service=%00", "to=%2B919876543210&to=%2B919876543211"),
    ],
)
def test_list_asks_within_its_bounds_or_is_refused(api: ApiClient, query: str) -> None:
    assert api.get(f"{VERIFICATIONS}?{query.replace(' ', '%20')}").status in {400, 404, 422}


@pytest.mark.parametrize(
    "since",
    ["0001-01-01T00:00:00%2B23:59", "9999-12-31T23:59:59-23:59", "2020-01-01T00:00:00." + "9" * 3000 + "Z"],
)
def test_instants_at_the_end_of_time_are_instants(api: ApiClient, since: str) -> None:
    assert api.get(f"{VERIFICATIONS}?since={since}").status == 200


@pytest.mark.parametrize(
    "spoil",
    [
        str.lower,
        lambda key: key[:-1],
        lambda key: key + "x",
        lambda key: key.replace("dk_test", "dk_live"),
        lambda key: key[:20] + ("A" if key[20] != "A" else "B") + key[21:],
        lambda key: key[0] + " " + key[1:],
        lambda key: f"{key},{key}",
    ],
)
def test_spoiled_key_is_no_key(dastak: DastakProcess, spoil: object) -> None:
    assert callable(spoil)
    answer = ApiClient(dastak.url, spoil(dastak.api_key)).get(VERIFICATIONS)

    assert (answer.status, answer.headers["www-authenticate"]) == (401, 'Bearer realm="dastak"')


def test_key_in_an_address_never_counts(dastak: DastakProcess) -> None:
    stranger = ApiClient(dastak.url, None)

    for path in (
        f"{VERIFICATIONS}?api_key={dastak.api_key}",
        f"{VERIFICATIONS}?key=%64k_{dastak.api_key[3:]}",
    ):
        assert stranger.get(path).status in {400, 401}


@pytest.mark.parametrize("method", ["TRACE", "CONNECT", "HEAD", "PUT", "DELETE", "OPTIONS", "PROPFIND"])
def test_unknown_method_is_refused_and_nothing_is_echoed(dastak: DastakProcess, method: str) -> None:
    answer = ApiClient(dastak.url, dastak.api_key)._send(method, VERIFICATIONS, None, {"x_marker": "482913"})

    assert answer.status == 405
    assert answer.headers["allow"] == "POST, GET"
    assert "482913" not in json.dumps(answer.body if method != "HEAD" else "")


@pytest.mark.parametrize("host", ["evil.example", "evil.example:80", "127.0.0.1.evil.example", "0.0.0.0", ""])
@pytest.mark.parametrize(
    "path", ["/sim/phones.json", "/sim/phones/919876543210/curl", "/sim/faults", "/explorer"]
)
def test_name_that_was_made_to_point_here_shows_no_phone(dastak: DastakProcess, host: str, path: str) -> None:
    browser = {"host": host, "sec_fetch_site": "same-origin"}

    assert ApiClient(dastak.url, None).get(path, **browser).status == 400


@pytest.mark.parametrize("host", ["localhost", "127.0.0.1", "[::1]"])
def test_names_of_this_machine_show_phones(dastak: DastakProcess, host: str) -> None:
    port = urlsplit(dastak.url).port

    assert ApiClient(dastak.url, None).get("/sim/phones.json", host=f"{host}:{port}").status == 200


@pytest.mark.parametrize(
    "body", [DEEP, b"null", b"[[1]]", b'[{"a":null}]', b"[1e400]", b"\xff", b"x" * 16_385]
)
def test_hostile_faults_are_refused(dastak: DastakProcess, body: bytes) -> None:
    answer = ApiClient(dastak.url, None)._send("PUT", "/sim/faults", body, {})

    assert answer.status in {400, 413, 422}


def test_odd_path_is_no_error_of_ours(dastak: DastakProcess, api: ApiClient) -> None:
    before = dastak.log_file.stat().st_size
    api.get(f"{VERIFICATIONS}/{{}}")

    assert b'"error"' not in dastak.log_file.read_bytes()[before:]
