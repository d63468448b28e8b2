"""What a profile file says of one vendor's calls over HTTP, read and checked as a whole.

A profile with a `markup` is gated: the vendor fetches our script turn by turn, so that the code is said only
after the right digit, and stands in no request of ours. One without hands the vendor a text that it says to
whoever answers; its operator must want that.
"""

import tomllib
from collections.abc import Iterator
from enum import StrEnum
from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.core.outcome import Outcome
from dastak.http_carriers.http_profile import (
    PROFILE_OCTETS_MAX,
    AnswerForm,
    Auth,
    Option,
    RequestForm,
    texts_in,
)
from dastak.http_carriers.placeholders import check_template, names_in
from dastak.http_voice.call_markup import Markup, check_voice
from dastak.http_voice.call_words import Voice

# What a request may say of a call; a profile's own options come on top.
FIELDS: Final = (
    "msisdn",
    "country",
    "caller",
    "ring_s",
    "script_url",
    "status_url",
    "call",  # our word for this call, which may be seen by whoever sees the request
    "own_id",
    "text",
    "language",
    "voice",
    "account",
    "secret",
    "jwt",  # signed with the secret, which is a private key then
)
# Of a call that is to be ended.
END_FIELDS: Final = ("ref", "account", "secret", "jwt")


class _Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What all parts of a profile have: frozen, and no key that is not named here."""


class CallProof(StrEnum):
    """What proves that a webhook is the vendor's, beside the secrets in its address."""

    PATH = "path"  # nothing else
    TWILIO = "twilio"
    PLIVO_V3 = "plivo_v3"
    VONAGE_JWT = "vonage_jwt"


class StatusForm(_Part, frozen=True, kw_only=True):
    """How the vendor tells what becomes of a call; form, query and JSON are told apart by themselves.

    Attributes:
        each: Where the events stand, if not the body is one.
        ref: Where the vendor's id of the call stands, and so on below.
        code: Where the reason of a failure stands.
        machine: Where it says whether a human answered: a hint, and no more.
        ringing: Words that say that the phone rings.
        answered: That somebody or something answered.
        ended: That an answered call is over.
        outcomes: What any other last word means; `failed:404` is a word with its reason.
    """

    each: str = ""
    ref: str
    status: str
    code: tuple[str, ...] = ()
    machine: str = ""
    ringing: tuple[str, ...] = ()
    answered: tuple[str, ...] = ()
    ended: tuple[str, ...] = ()
    outcomes: dict[str, Outcome]


class CallProfile(_Part, frozen=True, kw_only=True):
    """One vendor.

    Attributes:
        title: Its name, as it writes it.
        source: Where the facts are from.
        not_verified: What nobody tried against the real service, in plain words.
        account: What `account` is there; empty where it has none.
        secret: What `secret` is there.
        proof_secret: What signs its webhooks, where that is not the secret.
        rate_per_s: How many calls it begins for one account, where it says so.
        markup: In which language it wants its script; without one there is no digit before the code.
        fetches_text: Whether it fetches the text that it says, where it has no script.
        proof: What proves its webhooks.
        keys: Where the pressed keys stand in a webhook; the first that is there counts.
        voices: Its voice for each of our languages; the others are spoken by our recordings.
        create: The request that begins a call.
        cancel: The one that ends it while it rings; none where there is none.
        hang_up: The one that ends it once it was answered; none is the same.
        sample: Values of the options, for the test that every profile gets.
    """

    title: str
    source: str
    not_verified: Annotated[tuple[str, ...], Meta(min_length=1)]
    account: str = ""
    secret: str = ""
    proof_secret: str = ""
    rate_per_s: Annotated[float, Meta(gt=0)] | None = None
    markup: Markup | None = None
    fetches_text: bool = False
    proof: CallProof = CallProof.PATH
    keys: tuple[str, ...] = ()
    options: dict[str, Option] = {}
    voices: dict[str, Voice] = {}
    create: RequestForm
    cancel: RequestForm | None = None
    hang_up: RequestForm | None = None
    auth: Auth
    answer: AnswerForm
    status: StatusForm
    sample: dict[str, str] = {}

    @property
    def gated(self) -> bool:
        """Whether nothing secret is said before the right digit."""
        return self.markup is not None

    def __post_init__(self) -> None:
        """Refuse what can be seen to be wrong without a call. Raises: ValueError."""
        used: set[str] = set()
        for where, template in self._texts_of("create", self.create):
            check_template(where, template, (*FIELDS, *self.options))
            used.update(names_in(template))
        for part in ("cancel", "hang_up"):
            form = getattr(self, part)
            if form is not None:
                for where, template in self._texts_of(part, form):
                    check_template(where, template, (*END_FIELDS, *self.options))
        if self.gated and "text" in used:
            raise ValueError("create: a code is never in a request; a script takes no `{text}`")
        if self.gated and ("script_url" not in used or not self.keys):
            raise ValueError("create: a script needs `{script_url}`, and `keys` where its keys stand")
        if not self.gated and ("text" in used) is self.fetches_text:
            raise ValueError("create: without a markup it takes `{text}`, or fetches_text = true")
        for voice in self.voices.values():
            check_voice(self.markup, voice)
        if "msisdn" not in used:
            raise ValueError("create: nothing takes `{msisdn}`")
        if not self.answer.ref:
            raise ValueError("answer: write where the id stands (`ref`)")

    def _texts_of(self, part: str, form: RequestForm) -> Iterator[tuple[str, str]]:
        yield f"{part}.url", form.url
        for where in ("query", "headers", "fields"):
            yield from texts_in(f"{part}.{where}", getattr(form, where))
        yield "auth.user", self.auth.user
        yield "auth.value", self.auth.value


def read_call_profile(octets: bytes) -> CallProfile:
    """Read a profile file.

    Raises:
        ValueError: It is too long, no TOML, or says something that cannot be meant; told in words.
    """
    if len(octets) > PROFILE_OCTETS_MAX:
        raise ValueError(f"a profile has at most {PROFILE_OCTETS_MAX} octets")
    return msgspec.convert(tomllib.loads(octets.decode()), CallProfile)
