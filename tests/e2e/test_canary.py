"""After thousands of codes none of them is found anywhere but on the phones they were sent to."""

import random
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import count

import pytest

from tests.support.api_client import Answer, ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.patience import until
from tests.support.plenty import PLENTY

# Ten characters of thirty-one: none of them is found by chance in some megabytes.
CHARACTERS = 10
POLICY = {"length": CHARACTERS, "alphabet": "alphanumeric", "resend_waits_s": [0], "resend_code": "new"}
SYMBOLS = "23456789ABCDEFGHJKMNPQRSTUVWXYZ"
VERIFICATIONS = 2_000
CALLERS = 4
NUMBERS = count(7_080_000_000)
# Any of them in full.
NUMBER = re.compile(rb"9170800[0-9]{5}")
# What it writes must be looked through as well, so it shall write all it can.
ENVIRONMENT = {**PLENTY, "DASTAK__LOG__LEVEL": "debug", "DASTAK__LOG__FORMAT": "json"}


@dataclass
class Seen:
    """What came out: the codes on the phones, and everything that must not hold them.

    Attributes:
        answers: The bodies and headers of all answers of the API.
    """

    codes: set[str] = field(default_factory=set)
    answers: list[str] = field(default_factory=list)

    def keep(self, answer: Answer) -> Answer:
        self.answers.append(f"{answer.body} {answer.headers}")
        return answer


@pytest.fixture(scope="module")
def process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    with DastakProcess(tmp_path_factory.mktemp("canary") / "data", environment=ENVIRONMENT) as process:
        yield process


def make_service(process: DastakProcess) -> None:
    admin = ApiClient(process.url, process.api_key)
    wanted = {"name": "canary", "countries": ["IN"], "policy": POLICY}
    assert admin.post("/v1/admin/tenants/default/services", wanted).status == 201
    until(lambda: admin.start("+917080999999", service="canary").status == 201)


def live(process: DastakProcess, how_many: int) -> Seen:
    """Let one customer's program do everything that can be done with a code, right and wrong."""
    seen, chance = Seen(), random.Random()
    with ApiClient(process.url, process.api_key, kept=True) as api:
        for _ in range(how_many):
            number = f"+91{next(NUMBERS)}"
            one_life(api, seen, number, chance)
    return seen


def one_life(api: ApiClient, seen: Seen, number: str, chance: random.Random) -> None:
    fields = {"service": "canary", "client_reference": "order-7"}
    if chance.random() < 0.2:
        fields["code"] = "7" + "".join(chance.choices(SYMBOLS, k=9))
    start = seen.keep(api.start(number, **fields))
    assert start.status == 201, start
    text = api.next_text(number)
    seen.codes.add(text["code"])
    path = f"/v1/verifications/{start.body['id']}"
    mishap = chance.randrange(6)
    if mishap == 0:
        # A wrong code may be somebody else's right one.
        seen.keep(api.post(f"{path}/check", {"code": text["code"][::-1]}))
    elif mishap == 1:
        seen.keep(api.post(f"{path}/resend", {}))
        text = api.next_text(number)
        seen.codes.add(text["code"])
    elif mishap == 2:
        seen.keep(api.post(f"{path}/cancel"))
    elif mishap == 3:
        errors(api, seen, path, text["code"], number)
    seen.keep(api.post(f"{path}/check", {"code": chance.choice((text["code"], text["text"]))}))
    seen.keep(api.post(f"{path}/check", {"code": text["code"]}, idempotency_key=text["code"]))
    seen.keep(api.get(f"{path}/timeline"))
    seen.keep(api.get(path))


def errors(api: ApiClient, seen: Seen, path: str, code: str, number: str) -> None:
    """Put a code wherever it does not belong."""
    for answer in (
        api.post(f"{path}/check", {"code": [code]}),
        api.post(f"{path}/check", {"code": code, code: 1}),
        api.post(f"{path}/check", f'{{"code":"{code}"'.encode()),
        api.post(f"{path}/check", {"code": code, "amount": code}),
        api.post(f"{path}/{code}", {}),
        api.get(f"/v1/verifications/{code}"),
        api.get(f"/v1/verifications?to={code}"),
        api.get(f"/v1/verifications?state={code}"),
        api.get(f"/v1/verifications?{code}=1"),
        api.get("/v1/verifications", authorization=f"Bearer {code}"),
        api.start(code),
        api.start(number, service=code),
        api.start(number, purpose=code),
        api.start(number, client_ip=code),
        api.start(number, domain=code),
        api.post("/v1/verifications", {"to": number, "code": code + "!"}),
    ):
        seen.keep(answer)


def found(needles: set[str], octets: bytes) -> set[str]:
    """Return the codes that are in some octets, though other letters may stand around them."""
    wanted = {needle.encode() for needle in needles}
    words = set(re.findall(rb"[0-9A-Z]{10,}", octets))
    return {
        word[n : n + CHARACTERS].decode()
        for word in words
        for n in range(len(word) - CHARACTERS + 1)
        if word[n : n + CHARACTERS] in wanted
    }


def test_no_code_is_found_anywhere_after_thousands_of_verifications(process: DastakProcess) -> None:
    make_service(process)
    with ThreadPoolExecutor(CALLERS) as pool:
        lives = list(pool.map(live, [process] * CALLERS, [VERIFICATIONS // CALLERS] * CALLERS))
    codes = set().union(*(seen.codes for seen in lives))
    answers = "\n".join(answer for seen in lives for answer in seen.answers).encode()
    api = ApiClient(process.url, process.api_key)
    pages = {path: str(api.get(path)).encode() for path in ("/metrics", "/readyz", "/openapi.json")}
    files = {path.name: path.read_bytes() for path in process.data_dir.rglob("*") if path.is_file()}
    log = process.log_file.read_bytes()

    assert len(codes) > VERIFICATIONS
    assert b'"level": "debug"' in log or b'"level": "info"' in log
    assert {"dastak.db", "dastak.db-wal", "dastak.db-shm"} <= set(files)
    told = {**pages, "answers": answers, "log": log}
    assert {name for name, octets in {**files, **told}.items() if found(codes, octets)} == set()
    assert {name for name, octets in told.items() if NUMBER.search(octets)} == set()
