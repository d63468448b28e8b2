"""Do the sum of a landing page as a browser would, with ALTCHA's own library."""

import json
from base64 import b64decode

import altcha


def solve(carried: str) -> str:
    """Return the answer to what the hidden field `altcha` carries."""
    asked = json.loads(b64decode(carried))
    found = altcha.solve_challenge_v1(
        asked["challenge"], asked["salt"], asked["algorithm"], asked["maxnumber"]
    )
    assert found is not None
    payload = altcha.PayloadV1(
        asked["algorithm"], asked["challenge"], found.number, asked["salt"], asked["signature"]
    )
    return payload.to_base64()
