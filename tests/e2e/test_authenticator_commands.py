"""`dastak factors` as it is typed: a QR code in the terminal, a first code, a list on paper."""

import json
import subprocess
from pathlib import Path

import pyotp
import pytest
import segno

from tests.support.api_client import ApiClient
from tests.support.dastak_process import DastakProcess
from tests.support.fresh_numbers import FRESH
from tests.support.program import typed

# The upper and the lower half of a character, each light or dark.
HALVES = {"█": (0, 0), "▀": (0, 1), "▄": (1, 0), " ": (1, 1)}
SEED = "GEZDGNBVGY3TQOJQGEZDGNBVGY3TQOJQ"
# RFC 4226, appendix D, of this seed.
RFC_4226_CODES = ("755224", "287082", "359152")


@pytest.fixture
def to() -> str:
    return f"+91{next(FRESH)}"


class Typing:
    """A terminal that knows the server and the key."""

    def __init__(self, dastak: DastakProcess, directory: Path) -> None:
        self._environment = {"DASTAK_URL": dastak.url, "DASTAK_API_KEY": dastak.api_key}
        self._directory = directory

    def __call__(self, *arguments: str, given: str = "") -> subprocess.CompletedProcess[str]:
        return typed("factors", *arguments, cwd=self._directory, environment=self._environment, given=given)


@pytest.fixture
def factors(dastak: DastakProcess, tmp_path: Path) -> Typing:
    return Typing(dastak, tmp_path)


def dark_squares(lines: list[str]) -> list[list[int]]:
    """Read a drawing of half blocks; the light border of two squares is left out."""
    rows = [[HALVES[sign][half] for sign in line] for line in lines for half in (0, 1)]
    size = len(rows[0]) - 4
    return [row[2:-2] for row in rows[2 : 2 + size]]


def test_authenticator_is_scanned_from_the_terminal_and_proved(factors: Typing, to: str) -> None:
    made = factors("add", to, "--label", "my phone", "--account", "asha")
    factor, *lines = made.stdout.splitlines()
    *drawing, to_type, uri = lines
    theirs = pyotp.parse_uri(uri)
    assert isinstance(theirs, pyotp.TOTP)

    proved = factors("prove", factor, theirs.now())
    listed = factors("list", to)
    removed = factors("remove", factor)

    assert made.returncode == 0
    assert dark_squares(drawing) == [list(row) for row in segno.make(uri, error="m", micro=False).matrix]
    assert to_type.replace(" ", "").endswith(theirs.secret)
    assert f"Next: dastak factors prove {factor} CODE" in made.stderr
    assert (proved.returncode, proved.stdout) == (0, "approved\n")
    assert [factor, "totp", "active"] == listed.stdout.splitlines()[1].split()[:3]
    assert theirs.secret not in listed.stdout
    assert "removed" in removed.stdout
    assert factors("list", to).stdout.splitlines()[1:] == []


def test_token_of_ones_own_is_proved_and_brought_into_step(factors: Typing, to: str) -> None:
    made = json.loads(
        factors("add", to, "--kind", "hotp", "--secret-file", "-", "--json", given=SEED + "\n").stdout
    )

    wrong = factors("prove", made["id"], "000000")
    synced = factors("resync", made["id"], *RFC_4226_CODES[:2])
    right = factors("prove", made["id"], RFC_4226_CODES[2], "--json")

    assert made["secret"] == SEED
    assert (wrong.returncode, wrong.stdout) == (1, "pending: wrong_code\n")
    assert f"dastak factors resync {made['id']}" in wrong.stderr
    assert (synced.returncode, "active" in synced.stdout) == (0, True)
    assert json.loads(right.stdout)["approved"] is True


def test_list_is_printed_with_the_numbers_that_are_asked_for(
    factors: Typing, api: ApiClient, to: str
) -> None:
    made = factors("add", to, "--kind", "hash_chain", "--codes", "10")
    factor, *lines = made.stdout.splitlines()
    cells = [cell.strip().partition("  ") for line in lines for cell in line.split("   ") if cell.strip()]
    printed = {number: code for number, _, code in cells}
    asked = api.post("/v1/verifications", {"factor": factor}).body["challenge"].split()[1]

    proved = factors("prove", factor, printed[asked])

    assert len(lines) == 4
    assert list(printed) == [str(number) for number in range(9, -1, -1)]
    assert proved.returncode == 0
    assert factors("list", to).stdout.splitlines()[1].endswith("9")


def test_what_is_refused_ends_with_the_next_command(factors: Typing) -> None:
    mistyped = factors("list", "+9198")
    unknown = factors("remove", "fac_" + "0" * 32)

    assert (mistyped.returncode, mistyped.stdout) == (2, "")
    assert "Next: dastak explain invalid_msisdn" in mistyped.stderr
    assert unknown.returncode == 1
