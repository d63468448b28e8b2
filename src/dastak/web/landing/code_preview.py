"""The page that asks for a code, as the editor shows it: of a verification that is written down nowhere."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any, Final

from dastak.core.ids import VerificationId
from dastak.core.landing import LandingPage
from dastak.core.msisdn import Msisdn
from dastak.core.verification import Particulars, Verification
from dastak.web.code.code_view import CodeSight, Said, values_of
from dastak.web.code.delivery_line import Way
from dastak.web.page_house import PageHouse
from dastak.web.page_words import Words

# Only its last two digits are shown, as to a visitor.
_NUMBER: Final = Msisdn("+919876543210")


def code_lines(house: PageHouse, page: LandingPage, words: Words) -> Mapping[str, Any]:
    """Return what the code page of a landing page shows right after the text was sent; nothing is sent.

    Raises:
        NotFound: The page's service is gone.
    """
    service, now = house.directory.service_of(page.service), house.ports.clock.now()
    shown = Verification(
        id=VerificationId(bytes(16)),
        tenant=page.tenant,
        service=page.service,
        mode=page.mode,
        msisdn=_NUMBER,
        policy=service.policy,
        particulars=Particulars(locale=words.language, purpose="signup"),
        key_id=0,
        created_at=now,
        expires_at=now + timedelta(seconds=service.policy.ttl_s),
        last_sent_at=now,
    )
    seen = CodeSight(verification=shown, brand=service.brand, now=now, way=Way.SENT)
    values = values_of(seen, words, Said(), may_change_number=True, masked=_NUMBER)
    # No script looks for news of a message that nobody sent.
    return {**values, "still": True}
