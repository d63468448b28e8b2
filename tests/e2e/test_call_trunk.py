"""The call over a real SIP trunk: the program serves, a softphone that nobody here wrote answers and records."""

import audioop
import asyncio
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from pathlib import Path
from random import Random
from typing import Any

import pytest

from dastak.simulator.faults import Fault, FaultScript
from dastak.simulator.smsc import Account, Smsc
from dastak.voice.prompts import pack
from tests.support.api_client import ApiClient
from tests.support.baresip_phone import BaresipPhone, baresip
from tests.support.patience import until
from tests.support.plenty import PLENTY
from tests.support.serve_installation import Installation, free_port

NUMBER = "+919876543210"
CARRIERS = "/v1/admin/carriers"
ACCOUNT = Account(system_id="sim_1", password="s3cret-9")


def as_heard(clip: bytes) -> bytes:
    """Return a recording as 16-bit samples, as a phone writes it down."""
    return audioop.ulaw2lin(clip, 2)
