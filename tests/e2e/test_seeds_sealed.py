"""What must never be found on the disk: the seeds of authenticators, and passwords a breach made known."""

import base64
from collections.abc import Iterator
from pathlib import Path

import pytest

from dastak.core import ids
from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.login_client import ACCOUNT, BEHIND_PROXY, LOGIN, LoginClient, some_name, some_number

BREACHED = "correct horse battery staple"
AS_SHOWN = 'class="secret" dir="ltr">'


@pytest.fixture(scope="module")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    home = tmp_path_factory.mktemp("sealed")
    breached = home / "breached.txt"
    breached.write_text(f"hunter2hunter2\n{BREACHED.title()}\n")
    # What it writes is looked through as well, so it shall write all it can.
    environment = {
        **BEHIND_PROXY,
        "DASTAK__LOGIN__BREACHED_PASSWORDS": str(breached),
        "DASTAK__LOG__LEVEL": "debug",
    }
    with DastakProcess(home / "data", environment=environment) as process:
        yield process


def seed_of(secret: str) -> bytes:
    bare = "".join(secret.split())
    return base64.b32decode(bare + "=" * (-len(bare) % 8))


def guises(seed: bytes) -> set[bytes]:
    """Return a seed as octets and in every spelling that programs give one."""
    base32, hexed = base64.b32encode(seed).rstrip(b"="), seed.hex().encode()
    spaced = b" ".join(base32[at : at + 4] for at in range(0, len(base32), 4))
    found = {seed, seed[::-1], base32, base32.lower(), spaced, hexed, hexed.upper()}
    for before in range(3):  # whatever stands before it, one of three alignments is its own
        coded = base64.b64encode(b"\0" * before + seed + b"\0")
        whole = coded[(0, 2, 3)[before] : len(coded) - 4]
        found |= {whole, whole.translate(bytes.maketrans(b"+/", b"-_"))}
    return found


def written(dastak: DastakProcess) -> dict[str, bytes]:
    """Return every file of a program: its database with what is not folded in yet, its keys, its logs."""
    files = (*dastak.data_dir.rglob("*"), dastak.log_file)
    return {one.name: one.read_bytes() for one in files if one.is_file()}


def where(needles: set[bytes], haystack: dict[str, bytes]) -> list[str]:
    return [name for name, octets in haystack.items() if any(one in octets for one in needles)]


def enrolled_by_api(dastak: DastakProcess) -> tuple[list[bytes], list[bytes], list[str]]:
    """Return the seeds, the ids and the printed codes of factors that a program made for a person."""
    api, number = ApiClient(dastak.url, dastak.api_key), some_number()
    own = base64.b32encode(b"a seed that we brought").decode().rstrip("=")
    seeds: list[bytes] = []
    marks: list[bytes] = []
    printed: list[str] = []
    for body in ({"kind": "totp"}, {"kind": "hotp"}, {"kind": "totp", "secret": own}, {"kind": "hash_chain"}):
        fields = {"to": number, **body}
        made = api.post("/v1/factors", fields, idempotency_key=f"{number[1:]}-{len(marks)}")
        again = api.post("/v1/factors", fields, idempotency_key=f"{number[1:]}-{len(marks)}")
        assert (made.status, again.status) == (201, 201), (made, again)
        marks.append(ids.read_factor(made.body["id"]))
        if made.body.get("secret"):
            seeds.append(seed_of(made.body["secret"]))
        printed += made.body.get("printed") or ()
    return seeds, marks, printed


def enrolled_by_pages(dastak: DastakProcess) -> list[bytes]:
    api = ApiClient(dastak.url, dastak.api_key)
    seeds: list[bytes] = []
    with LoginClient(dastak.url) as browser:
        browser.sign_up(some_name())
        browser.add_number(api, some_number())
        for kind in ("totp", "hotp"):
            browser.send(ACCOUNT, {"do": f"add-{kind}"})
            page = browser.get(f"{ACCOUNT}/code").text
            seeds.append(seed_of(page.partition(AS_SHOWN)[2].partition("<")[0]))
            browser.send(f"{ACCOUNT}/code", {"do": "check", "code": "000000"})
    return seeds


def test_seeds_are_nowhere_on_the_disk_in_any_spelling(dastak: DastakProcess) -> None:
    seeds, marks, printed = enrolled_by_api(dastak)
    seeds += enrolled_by_pages(dastak)
    disk = written(dastak)

    assert len({*seeds}) == 5
    assert [mark for mark in marks if not where({mark}, disk)] == [], "the factors themselves stand there"
    assert {name for name in disk if name.endswith("-wal")}, "and what is not folded in was looked through"
    assert {seed: found for seed in seeds if (found := where(guises(seed), disk))} == {}
    assert len(printed) > 10
    assert {code: found for code in printed if (found := where({code.encode()}, disk))} == {}


def test_seed_in_a_file_would_be_found(tmp_path: Path) -> None:
    seed = bytes(range(100, 120))
    for n, one in enumerate(guises(seed)):
        (tmp_path / str(n)).write_bytes(b"row " + one + b" end")
    (tmp_path / "coded").write_bytes(base64.b64encode(b"before " + seed + b" after"))
    disk = {one.name: one.read_bytes() for one in tmp_path.iterdir()}

    assert sorted(where(guises(seed), disk)) == sorted(disk)


def test_password_of_the_breached_list_is_refused_at_sign_up_and_at_a_change(dastak: DastakProcess) -> None:
    name, first = some_name(), "seven lemons on a bridge"
    with LoginClient(dastak.url) as browser:
        refused = browser.sign_up(name, BREACHED)
        other_case = browser.sign_up(name, BREACHED.upper())
        taken = browser.sign_up(name, first)
        changed = browser.send(ACCOUNT, {"do": "password", "old": first, "new": BREACHED})
        browser.send(ACCOUNT, {"do": "out"})
        old = browser.pass_password(name, BREACHED)
        entered = browser.pass_password(name, first)

    assert [refused.status_code, other_case.status_code] == [422, 422]
    assert "everybody would try it first" in refused.text
    assert taken.status_code == 303
    assert changed.status_code == 422
    assert "everybody would try it first" in changed.text
    assert old.status_code == 422
    assert entered.headers["location"] != LOGIN
    assert entered.status_code == 303
