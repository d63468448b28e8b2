"""A virtual phone in the hands of a test: it answers, listens for recordings, and presses keys."""

from typing import Any
from urllib.request import urlopen

from dastak.voice.prompts import Pack, pack

from tests.support.api_client import ApiClient
from tests.support.patience import until

WAV_HEAD_OCTETS = 58


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
        return until(lambda: next((str(n) for n in range(10) if self.hears(f"gate_{n}")), None), within_s=20)

    def code(self) -> str:
        """Return the characters that were heard, of all readings together."""
        heard, found = self.heard(), list[tuple[int, str]]()
        for digit in "0123456789":
            clip, at = self._pack.clip(digit), -1
            while (at := heard.find(clip, at + 1)) >= 0:
                found.append((at, digit))
        return "".join(digit for _, digit in sorted(found))

    @property
    def state(self) -> str:
        calls = self._api.get(f"/sim/phones/{self._msisdn}/calls").body
        return str(next(call["state"] for call in calls if call["id"] == self.call["id"]))

    def _act(self, what: str, body: dict[str, str] | None = None) -> None:
        assert self._api.post(f"/sim/calls/{self.call['id']}/{what}", body).status == 200
