"""What a start may say beside the number."""

from collections.abc import Mapping
from typing import Any, Literal, TypedDict


class StartOptions(TypedDict, total=False):
    """All of them may be left out.

    Attributes:
        factor: The id of an authenticator or a printed list to ask for; then the number may be left out.
        channel: How; else as the service's policy says.
        service: One of your services.
        locale: Language of text and call, `hi-IN`.
        purpose: What the text says the code is for.
        amount: With `payee`: the text names both, and the code is good for nothing else. `"5000.00"`.
        currency: Of the amount; INR.
        payee: Who gets it.
        domain: Your page's host; the last line of the text binds the code to it.
        app_hash: Of your Android app, for SMS Retriever.
        match: Call, and have `match_number` typed into the phone; no code is spoken.
        code: Your own; else one is made.
        client_ip: The person's address, for the limits.
        client_reference: Yours; given back.
        policy: What shall be stricter than the service's policy.
    """

    factor: str | None
    channel: Literal["auto", "sms", "voice", "totp", "hotp", "hash_chain"]
    service: str | None
    locale: str | None
    purpose: Literal["login", "signup", "payment", "reset", "generic"] | None
    amount: str | None
    currency: str | None
    payee: str | None
    domain: str | None
    app_hash: str | None
    match: bool | None
    code: str | None
    client_ip: str | None
    client_reference: str | None
    policy: Mapping[str, Any] | None
