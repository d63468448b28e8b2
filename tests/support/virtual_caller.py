"""A virtual phone in the hands of a test: it answers, listens for recordings, and presses keys."""

import re
from typing import Any, Final
from urllib.request import urlopen

from dastak.voice.prompts import Pack, pack
from tests.support.api_client import ApiClient
from tests.support.patience import until

WAV_HEAD_OCTETS: Final = 58
ENGLISH: Final = pack("en")


# A code of six, as it is heard: twice.
CODES: Final = re.compile(r"([0-9]{6})\1")


def digits_in(heard: bytes, spoken: Pack = ENGLISH) -> str:
    """Return the digits of a code in what was heard, G.711 µ-law bit for bit."""
    found = []
    for digit in "0123456789":
        clip, at = spoken.clip(digit), -1
        while (at := heard.find(clip, at + 1)) >= 0:
            found.append((at, digit))
    return "".join(digit for _, digit in sorted(found))


def gate_in(heard: bytes, spoken: Pack = ENGLISH) -> str | None:
    """Return the digit that was asked for, once it was named."""
    return next((digit for digit in "0123456789" if spoken.clip(f"gate_{digit}") in heard), None)


class Handset:
    """One number's phone, and the call that rings it."""

    def __init__(self, api: ApiClient, msisdn: str, *, language: str = "en") -> None:
        self._api, self._msisdn = api, msisdn
        self._pack: Pack = pack(language)
        self.call: dict[str, Any] = {}

    def rings(self, *, within_s: float = 10.0) -> bool:
        """Wait for a call."""
        answer = self._api.get(f"/sim/phones/{self._msisdn}/calls/next?timeout_s={within_s}")
        self.call = answer.body if answer.status == 200 else {}
        return bool(self.call)

    def answer(self) -> None:
        self._act("answer")

    def hang_up(self) -> None:
        self._act("hang-up")

    def press(self, key: str) -> None:
        self._act("keys", {"key": key})

    def heard(self) -> bytes:
        """Return what was spoken so far."""
        with urlopen(f"{self._api.url}/sim/calls/{self.call['id']}/sound.wav", timeout=10) as answer:
            octets: bytes = answer.read()
        return octets[WAV_HEAD_OCTETS:]

    def hears(self, name: str) -> bool:
        """Say whether a recording was heard to its end."""
        return self._pack.clip(name) in self.heard()

    def gate(self) -> str:
        """Wait until a digit was asked for, and return it."""
        return until(lambda: gate_in(self.heard(), self._pack), within_s=20)

    def code(self) -> str:
        """Return the characters that were heard, of all readings together."""
        return digits_in(self.heard(), self._pack)

    @property
    def state(self) -> str:
        calls = self._api.get(f"/sim/phones/{self._msisdn}/calls").body
        return str(next(call["state"] for call in calls if call["id"] == self.call["id"]))

    def _act(self, what: str, body: dict[str, str] | None = None) -> None:
        assert self._api.post(f"/sim/calls/{self.call['id']}/{what}", body).status == 200
