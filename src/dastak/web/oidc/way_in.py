"""One browser on its way from a site's request to the answer: what was asked, who is here, and since when.

The way begins at an instant that its address proves, so that an older login can be told from a fresh one.
"""

import hmac
import re
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Final
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request

from dastak.core.codes import KeyRing
from dastak.core.errors import InvalidRequest
from dastak.core.oidc import Client, Login, LoginWay, Visit
from dastak.core.oidc_request import FIELDS_MAX, Asked, Fields, fields_of, fingerprint
from dastak.web.browser_session import BrowserSessions, check_form, form_token
from dastak.web.page_words import LANGUAGES, Words, choose_language, words_of

AUTHORIZE: Final = "/authorize"
# Long enough for a late text and a cup of tea; then the site's own state is old as well.
WAY: Final = timedelta(minutes=30)
_MARK: Final = re.compile(r"([0-9a-f]{11,12})-([0-9a-f]{32})")
# A reader's choice of language stands behind the site's request, and is no part of it.
_CHOSEN: Final = re.compile(r"(.*)&lang=([a-z]{2})", re.DOTALL)
_DOMAIN: Final = b"dastak/oidc-way/1\x00"


class Here(msgspec.Struct, frozen=True):
    """A browser as we see it: the secret it carries, if any, and its visit, if that goes on."""

    sessions: BrowserSessions
    secret: str | None
    visit: Visit | None

    @property
    def login(self) -> Login | None:
        """Who logged in here."""
        return None if self.visit is None else self.visit.login


class WayIn(msgspec.Struct, frozen=True, kw_only=True):
    """One request of a browser on the way.

    Attributes:
        query: The site's request, as it stands in the address.
        login: How people log in on it.
        path: Where this page is, with the reader's language.
        began_at: When the way began; a fresh login is one since then.
    """

    request: Request
    asked: Asked
    login: LoginWay
    here: Here
    query: str
    path: str
    began_at: datetime
    words: Words

    @property
    def client(self) -> Client:
        """The site."""
        return self.asked.client

    @property
    def name(self) -> str:
        """A short name of the site's request."""
        return fingerprint(self.query)

    def path_in(self, language: str) -> str:
        """Return where this page is in another language.

        Raises:
            InvalidRequest: It has no words in that one.
        """
        if language not in LANGUAGES:
            raise InvalidRequest("There is no such language.")
        return f"{self.request.url.path}?{self.query}&lang={language}"

    def form(self, secret: str) -> str:
        """Return the hidden field of this way's forms."""
        return form_token(secret, self.name)

    def check_form(self, form: Mapping[str, str]) -> None:
        """Refuse a form that this browser was not shown on this way. Raises: Forbidden."""
        check_form(self.here.secret, self.name, form.get("form"))


def split_query(query: str) -> tuple[str, str | None]:
    """Return a site's request, and the language that its reader chose."""
    chosen = _CHOSEN.fullmatch(query)
    return (query, None) if chosen is None else (chosen[1], chosen[2])


def read_query(query: str) -> Fields:
    """Read a site's request. Raises: InvalidRequest (it is none that a browser sends)."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=FIELDS_MAX)
    except ValueError as error:
        raise InvalidRequest("This is no request that a browser sends.") from error
    return fields_of(pairs)


def words_for(request: Request, chosen: str | None, asked: Asked, locale: str) -> Words:
    """Return the reader's language: as chosen, else the site's wish, the browser's, the service's own."""
    wanted = next((tag for tag in (chosen, *asked.languages) if tag in LANGUAGES), None)
    accepted = request.headers.get("accept-language")
    fallback = locale if locale in LANGUAGES else "en"
    return words_of(choose_language(wanted, accepted, fallback=fallback))


def mark_of(keys: KeyRing, query: str, now: datetime) -> str:
    """Return what stands in the address of a way that begins now."""
    ms = int(now.timestamp() * 1000)
    return f"{ms:x}-{_proof(keys.keys[keys.current], query, ms)}"


def began_at(keys: KeyRing, mark: str, query: str, *, now: datetime) -> datetime | None:
    """Return when a way began; None if the mark is none of ours, another request's, or too old."""
    shaped = _MARK.fullmatch(mark)
    if shaped is None:
        return None
    ms = int(shaped[1], 16)
    if not any(hmac.compare_digest(_proof(key, query, ms), shaped[2]) for key in keys.keys.values()):
        return None
    began = datetime.fromtimestamp(ms / 1000, UTC)
    return began if now - WAY < began <= now else None


def _proof(key: bytes, query: str, ms: int) -> str:
    said = _DOMAIN + ms.to_bytes(8) + query.encode("utf-8", "surrogatepass")
    return hmac.digest(key, said, "sha256").hex()[:32]
