"""The admin API as operators and tenants meet it: the real program, with a carrier and virtual phones."""

import json
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest

from dastak.api.endpoint_table import ENDPOINTS
from dastak.api.endpoints import Endpoint
from dastak.core.tenant import Scope
from tests.support.api_client import Answer, ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.patience import until
from tests.support.program import Program, clean_environment
from tests.support.serve_installation import Installation

TENANTS = "/v1/admin/tenants"
APPLICATION = ("start", "check", "read")
# Each test has numbers and names of its own, because limits are per number and names are taken.
_NAMES = count(1)


class Carrier:
    """A carrier in a process of its own, which prints what it is given."""

    def __init__(self, directory: Path) -> None:
        log_file = directory / "carrier.log"
        self.program = Program(
            "sim", "run", "--json", "--listen", "127.0.0.1:0", cwd=directory, log_file=log_file
        )
        self._reader = ThreadPoolExecutor(1)

    def __enter__(self) -> Self:
        self.program.start()
        try:
            until(self.port, within_s=30)
        except BaseException:
            self.program.kill()
            raise
        return self

    def __exit__(self, *_exception: object) -> None:
        self.program.stop()
        self._reader.shutdown()

    def port(self) -> int | None:
        told = re.search(r"listens on [0-9.]+:(\d+);", self.program.log())
        return int(told[1]) if told else None

    def next_text(self) -> dict[str, Any]:
        stdout = self.program.process.stdout
        assert stdout is not None
        text: dict[str, Any] = json.loads(self._reader.submit(stdout.readline).result(timeout=10))
        return text


class Acme:
    """A tenant with a service that may send to India, and clients with its keys."""

    def __init__(self, operator: ApiClient) -> None:
        self.name = f"acme-{next(_NAMES)}"
        self.path = f"{TENANTS}/{self.name}"
        self.service = f"{self.path}/services/default"
        self._operator = operator
        made(operator.post(TENANTS, {"name": self.name}))
        made(operator.post(f"{self.path}/services", {"name": "default", "countries": ["IN"]}))

    def key(self, *scopes: str, **fields: Any) -> dict[str, Any]:
        wanted = {"name": f"key-{next(_NAMES)}", "scopes": scopes or APPLICATION, **fields}
        return made(self._operator.post(f"{self.path}/keys", wanted))

    def client(self, *scopes: str, **fields: Any) -> ApiClient:
        return ApiClient(self._operator.url, self.key(*scopes, **fields)["key"])


def made(answer: Answer) -> dict[str, Any]:
    assert answer.status == 201, answer
    body: dict[str, Any] = answer.body
    return body


def ask(client: ApiClient, method: str, path: str, body: Any, **headers: str) -> Answer:
    if method in ("GET", "DELETE"):
        return client.get(path) if method == "GET" else client.delete(path, **headers)
    if method == "PUT":
        return client.put(path, body)
    send = client.patch if method == "PATCH" else client.post
    return send(path, body, **headers)


def use(url: str, key: str) -> int:
    return ApiClient(url, key).get("/v1/verifications").status


@pytest.fixture(scope="module")
def carrier(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Carrier]:
    with Carrier(tmp_path_factory.mktemp("carrier")) as started:
        yield started


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory, carrier: Carrier) -> Iterator[Installation]:
    directory = tmp_path_factory.mktemp("admin") / "dastak"
    made = Installation(directory, DASTAK__SIMULATOR__ENABLED="true")
    made.add_carrier(
        "north", host="127.0.0.1", port=carrier.port(), system_id="sim", password="sim", price_micros=1000
    )
    with made:
        until(lambda: "route north, bind 1 is bound" in made.program.log(), within_s=30)
        yield made


@pytest.fixture(scope="module")
def operator(installation: Installation) -> ApiClient:
    created = installation.command(
        "keys", "create", "--name", "operator", "--mode", "live", "--scope", "operator"
    )
    client = ApiClient(installation.url, created["key"])
    until(lambda: client.get(TENANTS).status == 200, within_s=1)
    return client


@pytest.fixture
def acme(operator: ApiClient) -> Acme:
    return Acme(operator)


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


# Who may.


def test_scope_opens_its_own_endpoints_and_no_others(acme: Acme) -> None:
    clients = {scope: acme.client(scope) for scope in Scope}
    also = {Scope.ADMIN: {Scope.ADMIN, Scope.OPERATOR}}

    wrong = []
    for endpoint in ENDPOINTS:
        path = re.sub(r"\{\w+\}", "none", endpoint.path)
        for scope, client in clients.items():
            answer = ask(client, endpoint.method, path, {})
            refused = answer.status == 403 and answer.body["reason"] == "scope"
            if refused is (scope in also.get(endpoint.scope, {endpoint.scope})) or answer.status >= 500:
                wrong.append((endpoint.method, endpoint.path, scope, answer.status))

    assert wrong == []


def test_admin_sees_and_changes_its_own_tenant_but_not_what_it_may_spend(acme: Acme) -> None:
    admin = acme.client("admin")

    own = admin.get(acme.path)

    assert (own.status, own.body["name"], own.body["suspended"]) == (200, acme.name, False)
    assert admin.patch(acme.path, {"daily_spend_cap_micros": 2**53 - 1}).status == 403
    assert admin.post(TENANTS, {"name": "another"}).status == 403
    assert admin.get(TENANTS).status == 403
    assert admin.patch(acme.service, {"brand": "Acme Bank"}).body["brand"] == "Acme Bank"


OF_A_TENANT = [
    endpoint
    for endpoint in ENDPOINTS
    if endpoint.path.startswith(f"{TENANTS}/{{tenant}}") and endpoint.scope is Scope.ADMIN
]
SITE = {"name": "Shop", "redirect_uris": ["https://shop.example/callback"]}
# What the endpoints take that take more than {}, by the ends of their paths.
BODIES = {
    "/services": {"name": "x"},
    "/keys": {"name": "x"},
    "/login/password-links": {"username": "x"},
    "/dlt": {"register": {}},
    "/dlt/import": {"csv": "x"},
    "/dlt/lint": {"header": "ACMEOT", "texts": ["x"]},
    "/clients": SITE,
}


@pytest.mark.parametrize("endpoint", OF_A_TENANT, ids=lambda endpoint: endpoint.handler.__name__)
def test_foreign_tenant_looks_like_none(endpoint: Endpoint, acme: Acme, operator: ApiClient) -> None:
    admin, key = Acme(operator).client("admin"), acme.key()
    client = made(operator.post(f"{acme.path}/clients", SITE))["client_id"]
    body = None if endpoint.takes is None else BODIES.get(endpoint.path.rsplit("}", 1)[-1], {})
    named = {"service": "default", "key": key["id"], "msisdn": "+919876543210", "client": client}

    foreign, none = (
        ask(admin, endpoint.method, endpoint.path.format(tenant=name, **named), body)
        for name in (acme.name, "none")
    )

    assert (foreign.status, foreign.body) == (404, none.body)
    assert use(operator.url, key["key"]) == 200
    assert [shown["name"] for shown in operator.get(f"{acme.path}/services").body["services"]] == ["default"]


def test_rules_of_calls_are_set_one_by_one_and_shown(acme: Acme, operator: ApiClient) -> None:
    hours = "08:00-21:00 Asia/Kolkata"

    set_ = operator.patch(acme.service, {"calls": {"hours": hours}})
    kept = operator.patch(acme.service, {"brand": "Acme", "calls": {}})
    opened = operator.patch(acme.service, {"calls": {"hours": ""}})

    assert [one.body["calls"]["hours"] for one in (set_, kept, opened)] == [hours, hours, ""]


def test_foreign_ids_look_like_none_below_the_own_tenant(acme: Acme, operator: ApiClient) -> None:
    other = Acme(operator)
    made(operator.post(f"{acme.path}/services", {"name": "shop"}))
    key, admin = acme.key(), other.client("admin")

    answers = [
        admin.get(f"{other.path}/services/shop"),
        admin.patch(f"{other.path}/services/shop", {"brand": "x"}),
        admin.post(f"{other.path}/keys", {"name": "x", "service": "shop"}),
        admin.post(f"{other.path}/keys/{key['id']}/rotate", {}),
        admin.post(f"{other.path}/keys/{key['id']}/revoke"),
    ]

    assert [answer.status for answer in answers] == [404] * 5
    assert key["id"] not in json.dumps(admin.get(f"{other.path}/keys").body)
    assert use(operator.url, key["key"]) == 200


def test_verification_of_another_tenant_looks_like_none(acme: Acme, operator: ApiClient, to: str) -> None:
    ours, theirs = acme.client(), Acme(operator).client()
    started = made(ours.post("/v1/verifications", {"to": to}, idempotency_key="same"))
    own = made(theirs.post("/v1/verifications", {"to": to}, idempotency_key="same"))
    path = f"/v1/verifications/{started['id']}"

    answers = [
        theirs.get(path),
        theirs.get(f"{path}/timeline"),
        theirs.post(f"{path}/check", {"code": "123456"}),
        theirs.post(f"{path}/resend", {}),
        theirs.post(f"{path}/cancel"),
    ]
    listed = theirs.get(f"/v1/verifications?to=%2B{to[1:]}").body["verifications"]

    assert [answer.status for answer in answers] == [404] * 5
    assert [shown["id"] for shown in listed] == [own["id"]]
    assert ours.get(path).body["attempts_remaining"] == 5


def test_no_key_makes_or_renews_one_that_reaches_further(acme: Acme) -> None:
    admin = acme.client("admin", mode="team")
    live = acme.key(mode="live")

    answers = [
        admin.post(f"{acme.path}/keys", {"name": "x", "mode": "live"}),
        admin.post(f"{acme.path}/keys", {"name": "x", "scopes": ["operator"]}),
        admin.post(f"{acme.path}/keys/{live['id']}/rotate", {}),
    ]

    assert [(answer.status, answer.body["reason"]) for answer in answers] == [(403, "scope")] * 3
    assert admin.post(f"{acme.path}/keys", {"name": "x", "mode": "team"}).status == 201


@pytest.mark.parametrize(
    ("method", "where", "body"),
    [
        ("POST", "", {"name": "x", "n": 7}),
        ("POST", "", {"name": "X"}),
        ("POST", "", {"name": "x", "daily_spend_cap_micros": -1}),
        ("PATCH", "/{tenant}", {"name": "other"}),
        ("PATCH", "/{tenant}", {"suspended": "no"}),
        ("POST", "/{tenant}/services", {"name": "x", "tenant": 1}),
        ("POST", "/{tenant}/services", {"name": "x", "countries": ["ZZ"]}),
        ("PATCH", "/{tenant}/services/default", {"n": 1}),
        ("PATCH", "/{tenant}/services/default", {"name": "other"}),
        ("PATCH", "/{tenant}/services/default", {"policy": {"price": 0}}),
        ("PATCH", "/{tenant}/services/default", {"policy": {"ttl_s": 999_999}}),
        ("PATCH", "/{tenant}/services/default", {"policy": {"length": 4}}),
        ("PATCH", "/{tenant}/services/default", {"calls": {"hours": "08:00-21:00"}}),
        ("PATCH", "/{tenant}/services/default", {"calls": {"price": 0}}),
        ("PATCH", "/{tenant}/services/default", {"brand": "x\n@evil.com #999999"}),
        ("POST", "/{tenant}/keys", {"name": "x", "digest": "00"}),
        ("POST", "/{tenant}/keys", {"name": "x", "scopes": []}),
        ("POST", "/{tenant}/keys", {"name": "x", "scopes": ["root"]}),
        ("POST", "/{tenant}/keys", {"name": "x", "expires_at": "2001-01-01T00:00:00Z"}),
        ("POST", "/{tenant}/keys", {"name": "x", "expires_at": "2999-01-01T00:00:00"}),
        ("POST", "/{tenant}/keys", {"name": "x", "expires_at": "9999-12-31T23:59:59Z"}),
        ("POST", "/{tenant}/keys/none/rotate", {"overlap_s": 10**30}),
        ("POST", "/{tenant}/keys/none/rotate", {"overlap_s": -1}),
        ("POST", "/{tenant}/numbers/12345/unlock", None),
    ],
)
def test_what_no_record_names_or_no_rule_allows_is_refused(
    operator: ApiClient, acme: Acme, method: str, where: str, body: Any
) -> None:
    path = TENANTS + where.format(tenant=acme.name)

    answer = ask(operator, method, path, body)

    assert answer.status == 422, answer
    assert answer.headers["content-type"] == "application/problem+json"


# Tenants.


def test_suspended_tenant_is_refused_until_it_goes_on(acme: Acme, operator: ApiClient) -> None:
    key = acme.key()["key"]

    suspended = operator.patch(acme.path, {"suspended": True})
    refused = use(operator.url, key)
    operator.patch(acme.path, {"suspended": False})

    assert (suspended.status, suspended.body["suspended"], refused) == (200, True, 403)
    assert use(operator.url, key) == 200


def test_spend_cap_of_nothing_stops_live_messages_but_no_test(
    acme: Acme, operator: ApiClient, to: str
) -> None:
    live, test = acme.client(mode="live"), acme.client()

    changed = operator.patch(acme.path, {"daily_spend_cap_micros": 0})
    refused = live.start(to)

    assert changed.body["daily_spend_cap_micros"] == 0
    assert (refused.status, refused.body["reason"]) == (403, "spend_cap")
    assert test.start(to).status == 201


# Services.


def test_opened_country_is_reached_and_closed_one_is_not(acme: Acme) -> None:
    admin, api = acme.client("admin"), acme.client()
    number = f"+6591{next(FRESH) % 10**6:06}"

    closed = api.start(number)
    opened = admin.patch(acme.service, {"countries": ["SG", "IN", "SG"]})
    reached = api.start(number)
    admin.patch(acme.service, {"countries": ["IN"]})
    again = api.start(number)

    assert [(answer.status, answer.body["reason"]) for answer in (closed, again)] == [
        (403, "country_closed")
    ] * 2
    assert opened.body["countries"] == ["IN", "SG"]
    assert reached.status == 201


def test_next_start_follows_a_changed_policy(acme: Acme, to: str) -> None:
    admin, api = acme.client("admin"), acme.client()
    before = admin.get(acme.service).body["policy"]

    changed = admin.patch(
        acme.service,
        {"brand": "Acme Bank", "policy": {"length": 8, "alphabet": "alphanumeric", "ttl_s": 120}},
    )
    started = made(api.start(to))
    text = api.next_text(to)

    assert changed.body["policy"] == {**before, "length": 8, "alphabet": "alphanumeric", "ttl_s": 120}
    assert changed.body["warnings"] == []
    assert len(text["code"]) == 8
    assert "Acme Bank" in text["text"]
    assert api.check(started["id"], text["code"]).body["approved"] is True


def test_short_codes_must_be_called_legacy_and_are_labelled(acme: Acme, to: str) -> None:
    admin, api = acme.client("admin"), acme.client()

    plain = admin.patch(acme.service, {"policy": {"length": 4}})
    loose = admin.patch(acme.service, {"policy": {"length": 4, "legacy": True}})
    legacy = admin.patch(acme.service, {"policy": {"length": 4, "legacy": True, "attempts_max": 3}})
    started = made(api.start(to))

    assert (plain.status, plain.body["field"]) == (422, "length")
    assert (loose.status, loose.body["field"]) == (422, "attempts_max")
    assert (legacy.status, legacy.body["warnings"]) == (200, ["legacy_short_code"])
    assert (started["warnings"], started["attempts_remaining"]) == (["legacy_short_code"], 3)
    assert len(api.next_text(to)["code"]) == 4


def test_second_service_has_its_own_policy_and_name(acme: Acme, to: str) -> None:
    admin, api = acme.client("admin"), acme.client()
    shop = {"name": "shop", "brand": "Acme Shop", "countries": ["IN"], "policy": {"length": 7}}

    created = admin.post(f"{acme.path}/services", shop)
    again = admin.post(f"{acme.path}/services", shop)
    started = made(api.start(to, service="shop"))

    assert (created.status, created.body["policy"]["length"]) == (201, 7)
    assert (again.status, again.body["code"]) == (409, "conflict")
    assert started["service"] == "shop"
    assert len(api.next_text(to)["code"]) == 7
    listed = admin.get(f"{acme.path}/services").body["services"]
    assert [service["name"] for service in listed] == ["default", "shop"]


def test_domain_of_one_tenant_is_no_other_ones(
    acme: Acme, operator: ApiClient, installation: Installation
) -> None:
    domain, rival = f"{acme.name}.example", Acme(operator)
    given = operator.patch(acme.service, {"domains": [domain]})
    admin, rivals = acme.client("admin"), rival.client("admin")

    asked = rivals.patch(rival.service, {"domains": [domain]})
    made = rivals.post(f"{rival.path}/services", {"name": "x", "domains": [domain]})
    by_operator = operator.patch(rival.service, {"domains": [domain]})
    renamed = admin.patch(acme.service, {"brand": "Acme Bank"})
    second = admin.post(f"{acme.path}/services", {"name": "second", "domains": [domain, "localhost"]})
    more = admin.patch(acme.service, {"domains": [domain, "bank.example"]})
    set_ = ("services", "set", "default", "--tenant", rival.name, "--domains")
    refused = subprocess.run(
        [sys.executable, "-m", "dastak", *set_, domain],
        cwd=installation.directory,
        env=clean_environment({}),
        capture_output=True,
        check=False,
    )
    by_command = installation.command(*set_, f"www.{domain}")
    kept = installation.command("services", "list", "--tenant", acme.name)

    assert given.body["domains"] == [domain]
    for told in (asked, made, more):
        assert (told.status, told.body["code"], told.body["field"]) == (403, "domain_not_proved", "domains")
    assert re.search(
        rf"dastak-domain=[0-9a-f]{{32}} into https://{domain}/\.well-known/", asked.body["detail"]
    )
    assert (by_operator.status, by_operator.body["code"]) == (409, "domain_taken")
    assert (renamed.body["domains"], second.body["domains"]) == ([domain], [domain, "localhost"])
    assert refused.returncode != 0
    assert b"domain of another tenant" in refused.stderr
    assert by_command["domains"] == by_command["granted_domains"] == [f"www.{domain}"]
    assert [one["granted_domains"] for one in kept] == [[domain], [domain]]


def test_text_ends_in_no_domain_that_was_not_given(acme: Acme, operator: ApiClient, to: str) -> None:
    admin, live = acme.client("admin"), acme.client(mode="live")

    admin.patch(acme.service, {"domains": ["bank.example"]})
    started = live.post("/v1/verifications", {"to": to, "domain": "bank.example"})

    assert (started.status, started.body["field"]) == (422, "domain")
    assert operator.get(acme.service).body["domains"] == []


# Keys.


def test_key_is_made_used_and_revoked_at_once(acme: Acme, operator: ApiClient) -> None:
    key = acme.key()
    listed = operator.get(f"{acme.path}/keys").body["keys"]
    before = use(operator.url, key["key"])

    revoked = operator.post(f"{acme.path}/keys/{key['id']}/revoke")
    again = operator.post(f"{acme.path}/keys/{key['id']}/revoke")

    assert (before, use(operator.url, key["key"])) == (200, 401)
    assert revoked.body["revoked_at"] is not None
    assert revoked.body == again.body
    assert [shown["id"] for shown in listed] == [key["id"]]
    assert key["key"] not in json.dumps([listed, revoked.body])
    assert operator.get(f"{acme.path}/keys").body["keys"] == []


def test_key_revoked_by_another_process_ends_within_a_second(
    acme: Acme, operator: ApiClient, installation: Installation
) -> None:
    key = acme.key()
    before = use(operator.url, key["key"])

    installation.command("keys", "revoke", key["id"])

    assert before == 200
    until(lambda: use(operator.url, key["key"]) == 401, within_s=1)


def test_rotated_key_counts_until_its_overlap_is_over(acme: Acme, operator: ApiClient) -> None:
    admin = acme.client("admin")
    old, other = acme.key(), acme.key()

    new = made(admin.post(f"{acme.path}/keys/{old['id']}/rotate", {"overlap_s": 1}))
    third = admin.post(f"{acme.path}/keys/{new['id']}/rotate", {})
    at_once = made(admin.post(f"{acme.path}/keys/{other['id']}/rotate", {"overlap_s": 0}))

    assert new["name"] == old["name"]
    assert (use(operator.url, old["key"]), use(operator.url, new["key"])) == (200, 200)
    assert (use(operator.url, other["key"]), use(operator.url, at_once["key"])) == (401, 200)
    assert third.status == 409
    until(lambda: use(operator.url, old["key"]) == 401, within_s=3)
    assert use(operator.url, new["key"]) == 200


def test_key_expires_by_itself(acme: Acme, operator: ApiClient) -> None:
    expires_at = datetime.now(UTC) + timedelta(seconds=1)
    key = acme.key(expires_at=expires_at.isoformat())

    before = use(operator.url, key["key"])

    assert before == 200
    until(lambda: use(operator.url, key["key"]) == 401, within_s=3)
    assert datetime.now(UTC) >= expires_at


def test_repeated_creation_of_a_key_makes_one_and_never_shows_it_again(
    acme: Acme, operator: ApiClient, installation: Installation
) -> None:
    path, wanted = f"{acme.path}/keys", {"name": "app"}

    with ThreadPoolExecutor(10) as pool:
        answers = list(pool.map(lambda _: operator.post(path, wanted, idempotency_key=path), range(10)))
    first = [answer for answer in answers if "idempotency-replayed" not in answer.headers]
    repeats = [answer for answer in answers if answer not in first]
    other = operator.post(path, {"name": "other"}, idempotency_key=path)

    assert len(first) == 1
    text = first[0].body["key"]
    assert {answer.status for answer in answers} == {201}
    assert [answer.body for answer in repeats] == [{**first[0].body, "key": None, "replayed": True}] * 9
    assert (other.status, other.body["code"]) == (422, "idempotency_mismatch")
    assert use(operator.url, text) == 200
    kept = b"".join(file.read_bytes() for file in installation.directory.rglob("*") if file.is_file())
    secret = text.rpartition("_")[2]
    assert first[0].body["id"].encode() in kept
    assert secret.encode() not in kept


def test_repeated_write_gets_the_first_answer_and_changes_nothing(acme: Acme, operator: ApiClient) -> None:
    name = f"acme-{next(_NAMES)}"
    key = acme.key()
    writes = (
        ("POST", TENANTS, {"name": name}),
        ("PATCH", acme.path, {"daily_spend_cap_micros": 5}),
        ("POST", f"{acme.path}/services", {"name": "shop"}),
        ("PATCH", acme.service, {"brand": "Shop"}),
        ("POST", f"{acme.path}/keys/{key['id']}/revoke", None),
        ("POST", f"{acme.path}/numbers/+919876543210/unlock", None),
    )
    for method, path, body in writes:
        first = ask(operator, method, path, body, idempotency_key="once")
        again = ask(operator, method, path, body, idempotency_key="once")

        assert first.status in (200, 201), first
        assert (again.status, again.body) == (first.status, first.body)
        assert again.headers["idempotency-replayed"] == "true"


def test_rotation_that_is_repeated_leaves_one_successor(acme: Acme, operator: ApiClient) -> None:
    old = acme.key()
    path = f"{acme.path}/keys/{old['id']}/rotate"

    first = made(operator.post(path, {}, idempotency_key="once"))
    again = made(operator.post(path, {}, idempotency_key="once"))

    assert again == {**first, "key": None, "replayed": True}
    assert {shown["id"] for shown in operator.get(f"{acme.path}/keys").body["keys"]} == {
        old["id"],
        first["id"],
    }


# How far a key reaches.


def test_test_key_never_reaches_a_carrier_and_live_key_never_a_virtual_phone(
    acme: Acme, carrier: Carrier, to: str
) -> None:
    live, test = acme.client(mode="live"), acme.client()

    made(test.start(to))
    simulated = test.next_text(to)
    made(live.start(to))
    # The carrier prints in order: had the test's text come to it, that would be the first.
    carried = carrier.next_text()

    assert carried["text"] != simulated["text"]
    assert f"+{str(carried['msisdn']).lstrip('+')}" == to
    assert test.get(f"/sim/phones/{to[1:]}/messages/next?timeout_s=0").status != 200


def test_team_key_reaches_the_numbers_its_service_lists(acme: Acme, carrier: Carrier, to: str) -> None:
    admin, team = acme.client("admin"), acme.client(mode="team")

    before = team.start(to)
    admin.patch(acme.service, {"team_numbers": [to]})
    listed = team.start(to)
    carried = carrier.next_text()
    other = team.start(f"+91{next(FRESH)}")

    assert [(answer.status, answer.body["reason"]) for answer in (before, other)] == [
        (403, "team_number_not_listed")
    ] * 2
    assert listed.status == 201
    assert f"+{str(carried['msisdn']).lstrip('+')}" == to


def test_live_key_without_a_carrier_has_no_route(dastak: DastakProcess, to: str) -> None:
    config = dastak.data_dir / "dastak.toml"
    command = [sys.executable, "-m", "dastak", "--config", str(config), "keys", "create", "--json"]
    done = subprocess.run(
        [*command, "--mode", "live", "--name", f"live-{next(_NAMES)}"],
        env=clean_environment({"DASTAK__STORE__URL": f"sqlite://{dastak.data_dir / 'dastak.db'}"}),
        cwd=dastak.data_dir,
        capture_output=True,
        check=True,
    )
    live = ApiClient(dastak.url, json.loads(done.stdout)["key"])
    until(lambda: live.get("/v1/verifications").status == 200, within_s=1)

    answer = live.start(to)

    assert (answer.status, answer.body["reason"]) == (403, "no_route")


# Numbers, and what is told of it all.


def test_locked_number_is_unlocked_for_its_tenant(acme: Acme, to: str) -> None:
    admin, api = acme.client("admin"), acme.client()
    unlock = f"{acme.path}/numbers/{to}/unlock"
    for _ in range(2):
        started = made(api.start(to))
        code = api.next_text(to)["code"]
        for _ in range(5):
            api.check(started["id"], f"{(int(code) + 1) % 10**6:06}")
    started = made(api.start(to))
    code = api.next_text(to)["code"]

    locked = api.check(started["id"], code)
    unlocked, again = admin.post(unlock), admin.post(unlock)
    check = api.check(started["id"], code)

    assert (locked.status, locked.body["reason"]) == (409, "locked")
    assert (unlocked.status, unlocked.body, again.body) == (200, {"unlocked": True}, {"unlocked": False})
    assert check.body["approved"] is True


def test_every_change_stands_in_the_audit_log_without_secrets(
    acme: Acme, operator: ApiClient, installation: Installation, to: str
) -> None:
    admin = acme.key("admin")
    client = ApiClient(operator.url, admin["key"])
    client.patch(acme.service, {"brand": "Acme Bank"})
    client.post(f"{acme.path}/numbers/{to}/unlock")
    client.post(f"{acme.path}/numbers/{to[1:]}/unlock")
    client.post(f"{TENANTS}/none/keys", {"name": "x"})
    new = made(client.post(f"{acme.path}/keys", {"name": "app"}, idempotency_key="once"))
    client.post(f"{acme.path}/keys", {"name": "app"}, idempotency_key="once")
    client.delete(f"/v1/stops/{to}")

    log = installation.program.log_file.read_text()
    lines = [json.loads(line) for line in log.splitlines()]
    told = [line for line in lines if line.get("actor") == admin["id"]]

    assert {line["logger"] for line in told} == {"dastak.audit"}
    assert [(line["action"], line["result"]) for line in told] == [
        ("change_service", "done"),
        ("unlock_number", "done"),
        ("unlock_number", "invalid_msisdn"),
        ("create_key", "not_found"),
        ("create_key", "done"),
        ("create_key", "replayed"),
        ("lift_stop", "not_found"),
    ]
    assert (told[0]["on"], told[0]["fields"], told[0]["actor_tenant"]) == (
        f"{acme.name}/default",
        "brand",
        acme.name,
    )
    assert to[1:] not in log
    for text in (admin["key"], new["key"]):
        assert text.rpartition("_")[2] not in log
