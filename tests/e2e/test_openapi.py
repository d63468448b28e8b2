"""The API against its own OpenAPI document: every answer is a promised one, whatever is asked."""

import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import count
from typing import NamedTuple

import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, given, settings
from schemathesis import Case, GenerationMode
from schemathesis.checks import negative_data_rejection, positive_data_acceptance

from dastak.api.endpoint_table import ENDPOINTS
from dastak.api.openapi import document
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.program import clean_environment

DOCUMENT = msgspec.json.decode(msgspec.json.encode(document(ENDPOINTS)))
# What it is given it changes.
SCHEMA = schemathesis.openapi.from_dict(document(ENDPOINTS))
# A bad request may be too large as well; which refusals an endpoint promises is looked at by another check.
SCHEMA.config.checks.negative_data_rejection.expected_statuses = ["4xx", "5xx"]
# The cases that the schema itself suggests come besides these.
EXAMPLES = settings(max_examples=8, suppress_health_check=list(HealthCheck))
METHODS = {"get", "post", "put", "patch", "delete"}
_NUMBERS = count(7_070_000_000)


class Asked(NamedTuple):
    """A running program, with a key for each half of its API."""

    url: str
    shop: ApiClient
    operator: ApiClient

    def headers(self, case: Case) -> dict[str, str]:
        client = self.operator if "/admin/" in case.path else self.shop
        return {"Authorization": f"Bearer {client.key}"}

    def real(self, names: set[str]) -> dict[str, str]:
        """Return names of things that exist; a verification and a key are new ones."""
        n = next(_NUMBERS)
        real = {"tenant": "shop", "service": "web", "msisdn": f"+91{n}"}
        if "id" in names:
            real["id"] = self.shop.start(f"+91{n}").body["id"]
        if "carrier" in names:
            real["carrier"] = f"c{n}"
            settings = {"host": "127.0.0.1", "port": 1, "system_id": "a", "password": "b"}
            made = self.operator.post("/v1/admin/carriers", {"name": f"c{n}", "settings": settings})
            # There may be so many and no more; then one of them serves.
            if made.status != 201:
                real["carrier"] = self.operator.get("/v1/admin/carriers").body["carriers"][0]["name"]
        if "client" in names:
            clients = f"/v1/admin/tenants/{real['tenant']}/clients"
            made = self.operator.post(
                clients, {"name": "Shop", "redirect_uris": ["https://shop.example/"], "service": "web"}
            )
            # As above.
            ids = [made.body] if made.status == 201 else self.operator.get(clients).body["clients"]
            real["client"] = ids[0]["client_id"]
        if "key" in names:
            # One of its own: a tenant has only so many.
            real |= {"tenant": f"shop-{n}", "key": self.make_tenant(f"shop-{n}")}
        return {name: real[name] for name in names}

    def make_tenant(self, name: str) -> str:
        """Make a tenant with a service and a key; return the key's id."""
        tenants = "/v1/admin/tenants"
        self.operator.post(tenants, {"name": name})
        self.operator.post(f"{tenants}/{name}/services", {"name": "web", "countries": ["IN"]})
        made = self.operator.post(f"{tenants}/{name}/keys", {"name": "till", "service": "web"})
        key: str = made.body["id"]
        return key


def operator_key(process: DastakProcess) -> str:
    """Make a key as an operator does, on the command line."""
    command = [sys.executable, "-m", "dastak", "--config", process.data_dir / "dastak.toml", "keys", "create"]
    wanted = ["--name", "operator", "--scope", "operator", "--scope", "admin", "--json"]
    made = subprocess.run([*command, *wanted], env=clean_environment(), capture_output=True, check=True)
    key: str = msgspec.json.decode(made.stdout)["key"]
    return key


@pytest.fixture(scope="module")
def asked(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Asked]:
    with DastakProcess(tmp_path_factory.mktemp("openapi") / "data", environment=PLENTY) as process:
        operator = ApiClient(process.url, operator_key(process))
        # The running program sees a new key within a second.
        until(lambda: operator.get("/v1/admin/tenants").status == 200)
        running = Asked(process.url, ApiClient(process.url, process.api_key), operator)
        running.make_tenant("shop")
        yield running


@SCHEMA.parametrize()
@EXAMPLES
def test_every_answer_is_a_promised_one(case: Case, asked: Asked) -> None:
    case.call_and_validate(
        base_url=asked.url,
        headers=asked.headers(case),
        # Rules that no schema can tell refuse well-formed requests too: a closed country, a word for an id.
        excluded_checks=[positive_data_acceptance],
    )


@SCHEMA.parametrize()
@EXAMPLES
def test_every_answer_about_what_exists_is_a_promised_one(case: Case, asked: Asked) -> None:
    case.path_parameters = asked.real(set(re.findall(r"\{(\w+)\}", case.path)))

    case.call_and_validate(
        base_url=asked.url,
        headers=asked.headers(case),
        # What was wrong with a case may have been the name in its path.
        excluded_checks=[positive_data_acceptance, negative_data_rejection],
    )


@given(
    case=SCHEMA["/v1/admin/tenants/{tenant}/dlt"]["PUT"].as_strategy(generation_mode=GenerationMode.NEGATIVE)
)
@settings(EXAMPLES, max_examples=3)
def test_bad_request_that_is_also_too_large_counts_as_refused(case: Case, asked: Asked) -> None:
    case.body = {"register": "x" * 20_000}

    answer = case.call(base_url=asked.url, headers=asked.headers(case))

    assert answer.status_code == 413
    case.validate_response(answer)


def test_document_is_valid_and_served_as_it_is(asked: Asked) -> None:
    SCHEMA.validate()

    assert DOCUMENT["openapi"].startswith("3.1.")
    assert ApiClient(asked.url, None).get("/openapi.json").body == DOCUMENT


def test_document_has_every_endpoint_once_and_every_reference_leads_somewhere() -> None:
    documented = [
        (method, path, operation)
        for path, item in DOCUMENT["paths"].items()
        for method, operation in item.items()
        if method in METHODS
    ]
    references = set(
        re.findall(r'"\$ref": ?"#/components/schemas/(\w+)"', msgspec.json.encode(DOCUMENT).decode())
    )

    assert {(method, path) for method, path, _ in documented} == {
        (endpoint.method.lower(), endpoint.path) for endpoint in ENDPOINTS
    }
    assert len(documented) == len(ENDPOINTS)
    assert len({operation["operationId"] for _, _, operation in documented}) == len(ENDPOINTS)
    assert references == set(DOCUMENT["components"]["schemas"])
