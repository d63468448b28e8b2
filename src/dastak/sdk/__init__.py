"""The Python client that customers install; it needs nothing but Python, so the folder can be copied."""

from .answers import Checked, CodePage, Factor, NewFactor, PageOutcome, Started, Verification
from .client import Dastak
from .refusals import (
    Conflict,
    DastakError,
    InvalidRequest,
    NotFound,
    RateLimited,
    Refused,
    Unauthenticated,
    Unavailable,
)
from .start_options import StartOptions

__all__ = [
    "Checked",
    "CodePage",
    "Conflict",
    "Dastak",
    "DastakError",
    "Factor",
    "InvalidRequest",
    "NewFactor",
    "NotFound",
    "PageOutcome",
    "RateLimited",
    "Refused",
    "StartOptions",
    "Started",
    "Unauthenticated",
    "Unavailable",
    "Verification",
]
