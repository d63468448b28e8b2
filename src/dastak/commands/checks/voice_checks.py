"""Whether calls speak as their owners think they do."""

from pathlib import Path
from typing import Final

from dastak.commands.checks.diagnosis import Check, Fault, Scene
from dastak.config_voice import sources_of
from dastak.core.carrier import CarrierKind
from dastak.core.policy import Channel
from dastak.core.tenant import Service
from dastak.voice.prompt_words import all_words
from dastak.voice.recordings import BRANDS
from dastak.voice.speech import Speaking

# How many are named in one finding.
NAMED_MAX: Final = 3


def recordings(scene: Scene) -> Fault | None:
    """Find recordings that cannot be used."""
    speaking = Speaking(sources_of(scene.settings))
    speaking.refresh()
    faults = speaking.own.faults
    if not faults:
        return None
    return Fault(f"{len(faults)} cannot be used; {faults[0]}", "dastak voice check", warning=True)


def brands(scene: Scene) -> Fault | None:
    """Find brands that calls do not name."""
    speaking = Speaking(sources_of(scene.settings))
    speaking.refresh()
    silent = sorted({one.brand for one in calling(scene) if not speaking.brand(speaking.own, one.brand)})
    if not silent:
        return None
    folder = scene.settings.voice.recordings or Path("RECORDINGS")
    what = f"calls do not name {_some(silent)}; the greeting says nothing of who calls"
    return Fault(what, f"apt-get install espeak-ng, or record {folder / BRANDS}/NAME.wav", warning=True)


def languages(scene: Scene) -> Fault | None:
    """Find services that are spoken in another language than theirs."""
    speaking = Speaking(sources_of(scene.settings))
    speaking.refresh()
    asked = sorted({one.locale for one in calling(scene)})
    heard = {locale: speaking.speech_of(locale).language for locale in asked}
    other = [
        f"{all_words()[locale].name} by {all_words()[language].name}"
        for locale, language in heard.items()
        if locale != language
    ]
    if not other:
        return None
    what = f"too little is known of a voice, so that another language is spoken: {_some(other)}"
    return Fault(what, "dastak voice list", warning=True)


def calls(scene: Scene) -> bool:
    """Apply where a carrier of calls is used."""
    speaking = any(carrier.kind is CarrierKind.SIP for carrier in scene.stored)
    return scene.tenancy is not None and speaking


def calling(scene: Scene) -> list[Service]:
    """Return the services that may call."""
    assert scene.tenancy is not None
    return [one for one in scene.tenancy.services if Channel.VOICE in one.policy.channels]


def _some(names: list[str]) -> str:
    more = len(names) - NAMED_MAX
    return ", ".join(names[:NAMED_MAX]) + (f" and {more} more" if more > 0 else "")


CHECKS: Final = (
    Check(
        "voice.recordings",
        "your own recordings can be used",
        "the shipped prompts are heard instead, in another voice",
        recordings,
        applies=lambda scene: scene.settings.voice.recordings is not None,
    ),
    Check(
        "voice.brands",
        "calls name the brand of each service",
        "people hang up on a call that does not say who calls",
        brands,
        applies=calls,
    ),
    Check(
        "voice.languages",
        "calls speak the language of each service",
        "people are told that the call is in another language, and may not understand it",
        languages,
        applies=calls,
    ),
)
