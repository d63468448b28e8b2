"""Where no link to a new password is made, whoever asks for it."""

import os
from typing import Any, cast

import pytest

from dastak.core.errors import Conflict, DastakError, NotFound
from dastak.core.login_settings import LoginSettings
from dastak.tenancy.password_links import make_password_link
from tests.support.samples import NOW

OURS = LoginSettings(service=1)
ELSEWHERE = LoginSettings(service=1, check_url="https://bank.example/check")


@pytest.mark.parametrize(
    ("settings", "tenant", "refusal"),
    [(None, "default", NotFound), (OURS, "operators", Conflict), (ELSEWHERE, "default", Conflict)],
    ids=["nobody signs in", "operators are invited anew", "passwords are known elsewhere"],
)
async def test_no_link_is_made_and_nobody_is_looked_for(
    settings: LoginSettings | None, tenant: str, refusal: type[DastakError]
) -> None:
    nobody = cast(Any, None)

    with pytest.raises(refusal):
        await make_password_link(nobody, settings, tenant, "asha", now=NOW, entropy=os.urandom)
