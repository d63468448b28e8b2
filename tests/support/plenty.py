"""Settings for tests that ask for more codes a second than one customer may."""

from collections.abc import Mapping
from typing import Final

# The limits on numbers and client addresses stay as they are.
PLENTY: Final[Mapping[str, str]] = {
    f"DASTAK__LIMITS__{mode}__{limit}__{field}": value
    for mode in ("LIVE", "TEST")
    for limit in ("KEY", "SERVICE", "TENANT")
    for field, value in (("COUNT", "100000"), ("PER_S", "1"), ("BURST", "100000"))
}
