"""Make the page of the carriers that call over HTTP: what each wants, says, and means, from its profile."""

from dastak.http_voice.call_markup import Markup
from dastak.http_voice.call_profile import CallProfile, CallProof
from dastak.http_voice.call_settings import CALL_PROFILES
from dastak.voice.prompt_words import all_words
from tools.markdown import code, join, table

_MARKUPS = {Markup.TWIML: "TwiML", Markup.NCCO: "NCCO", Markup.PLIVO: "Plivo XML"}
_PROOFS = {
    CallProof.PATH: "none; the secrets in its address",
    CallProof.TWILIO: "`X-Twilio-Signature`",
    CallProof.PLIVO_V3: "`X-Plivo-Signature-V3`",
    CallProof.VONAGE_JWT: "a JWT in `Authorization`, HS256",
}


def call_carriers() -> str:
    """Make the page."""
    profiles = {name: CALL_PROFILES.shipped(name) for name in CALL_PROFILES.names()}
    every = [
        (
            f"[{profile.title}](#{name})",
            code(name),
            "yes" if profile.gated else "**no**",
            _script(profile),
            "yes" if profile.cancel else "no",
        )
        for name, profile in profiles.items()
    ]
    return join(
        "# Carriers that call over HTTP",
        "How to use one: [Add an HTTP voice carrier](../how-to/add-an-http-voice-carrier.md). "
        "Nobody tried these profiles with a live account; what is not known for sure stands with each.",
        table(("carrier", "profile", "digit before the code", "what it says", "a call can be ended"), every),
        *(part for name, profile in profiles.items() for part in _of(name, profile)),
    )


def _script(profile: CallProfile) -> str:
    if profile.markup is not None:
        return f"fetched turn by turn as {_MARKUPS[profile.markup]}"
    return "a text that it fetches" if profile.fetches_text else "a text in the request"


def _of(name: str, profile: CallProfile) -> list[str]:
    wants = [
        *(
            (code(setting), getattr(profile, setting))
            for setting in ("account", "secret", "proof_secret")
            if getattr(profile, setting)
        ),
        *(
            (code(f"options.{option}"), told.about + (f"; else {code(told.default)}" if told.default else ""))
            for option, told in profile.options.items()
        ),
    ]
    words = all_words()
    spoken = ", ".join(words[language].name for language in profile.voices) or "none that is told"
    others = [one.name for language, one in words.items() if language not in profile.voices]
    recorded = f" Our recordings: {', '.join(others)}." if profile.gated else ""
    means = [(code(word), code(outcome)) for word, outcome in profile.status.outcomes.items()]
    return [
        f"## {name}",
        f"{profile.title}. Source: {profile.source}.",
        table(("setting", "what it is"), wants),
        f"Proof of its webhooks: {_PROOFS[profile.proof]}. Its own voices: {spoken}.{recorded}",
        "Not verified:",
        "\n".join(f"- {line}" for line in profile.not_verified),
        table(("it says", "it means"), means),
    ]
