"""Numbers whose texts the simulated carrier takes without a word: they stay queued."""

from typing import Any, Final

from tests.support.api_client import ApiClient

# The last digits: three numbers of ten.
ENDS: Final = ("1", "3", "5")
FAULTS: Final[tuple[dict[str, Any], ...]] = tuple({"number": f"*{end}", "silent": 1.0} for end in ENDS)


def is_followed(api: ApiClient, verification: str) -> bool:
    """Say whether something else, as a call, went out for a text that was not answered in time."""
    return any(event["type"] in {"refused", "fallback"} for event in api.timeline(verification))
