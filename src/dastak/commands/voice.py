"""Show what calls speak, look whether recordings can be used, and hear a call without making one."""

import logging
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Final

import click
import msgspec

from dastak.cli import Exit
from dastak.commands import voice_own
from dastak.commands.checks.diagnosis import Scene
from dastak.commands.checks.voice_checks import calling
from dastak.commands.doctor import look_at
from dastak.commands.printing import json_option, print_json, print_table, progress
from dastak.config import ConfigError
from dastak.config_read import load
from dastak.config_voice import sources_of
from dastak.voice.ivr import Ivr, Speech
from dastak.voice.prompt_words import CLIPS, all_words
from dastak.voice.recordings import RecordingsFolder, listened_to, remarks
from dastak.voice.sound.g711 import SAMPLES_PER_S
from dastak.voice.speech import Speaking

# Whoever hears a file of this should not think that it opens something.
MADE_UP: Final = "481516"
GATE: Final = "4"


class Spoken(msgspec.Struct, frozen=True):
    """How a language is spoken.

    Attributes:
        known: How much is known of the voice of the pack.
        heard: The language that is heard.
        recorded: How many of the clips are the operator's own.
    """

    language: str
    name: str
    voice: str
    known: str
    heard: str
    recorded: int


class Named(msgspec.Struct, frozen=True):
    """How the brand of services is spoken: `recorded`, `rendered` or `not spoken`."""

    brand: str
    spoken: str


@click.group()
def voice() -> None:
    """Show what calls speak, check your recordings, and hear a call."""
    # What cannot be used is told to the log as well; here the commands do.
    logging.getLogger("dastak").addHandler(logging.NullHandler())


for command in (voice_own.upload, voice_own.own, voice_own.forget):
    voice.add_command(command)


@voice.command(name="list")
@json_option
@click.pass_context
def list_(context: click.Context, *, as_json: bool) -> None:
    """List the languages: whose voice, how much is known of it, what is heard; and the brands of services."""
    scene, speaking = _look(context)
    languages = [_spoken(speaking, language) for language in all_words()]
    brands = _named(scene, speaking)
    if as_json:
        print_json({"languages": languages, "brands": brands, "faults": speaking.own.faults})
        return
    rows = [(one.language, one.name, one.voice, one.known, _heard(one), _own(one)) for one in languages]
    print_table(("tag", "language", "voice", "known", "heard", "recordings of your own"), rows)
    if brands:
        click.echo()
        print_table(("brand", "in calls"), [(one.brand, one.spoken) for one in brands])
    _tell(speaking.own.faults)


@voice.command()
@click.argument("folder", required=False, type=click.Path(path_type=Path, file_okay=False))
@json_option
@click.pass_context
def check(context: click.Context, *, folder: Path | None, as_json: bool) -> int:
    """Look whether recordings can be used, and what could be better; exit 1 when one cannot.

    FOLDER is that of the setting voice.recordings if it is not named.
    """
    folder = folder or load(context.obj, os.environ).settings.voice.recordings
    if folder is None:
        raise ConfigError(
            "There are no recordings. Next: dastak voice check FOLDER, or set voice.recordings."
        )
    own = RecordingsFolder(folder).read()
    notes = list(_notes(folder))
    if as_json:
        count = {language: len(clips) for language, clips in own.clips.items()}
        print_json({"recordings": count, "brands": sorted(own.brands), "faults": own.faults, "notes": notes})
    else:
        for language, clips in own.clips.items():
            lacking = [name for name in CLIPS if name not in clips]
            rest = f"; from the pack: {_few(lacking)}" if lacking else ", all of them"
            click.echo(f"{all_words()[language].name}: {len(clips)} recordings{rest}")
        if own.brands:
            click.echo(f"brands: {_few(sorted(own.brands))}")
        for note in notes:
            click.echo(f"note  {note}")
        _tell(own.faults)
    return Exit.NO if own.faults else Exit.OK


@voice.command()
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@click.option("--language", default="en", show_default=True, help="The tag of the language asked for.")
@click.option("--brand", default="", help="On whose behalf it calls.")
@click.option("--match", is_flag=True, help="The call that asks for the number of a page.")
@click.pass_context
def sample(context: click.Context, *, file: Path, language: str, brand: str, match: bool) -> None:
    """Write a whole call as a WAV file, with a made-up code, to listen to."""
    speaking = Speaking(sources_of(load(context.obj, os.environ).settings))
    speaking.refresh()
    speech = speaking.speech_of(language)
    sound = b"".join(_call(speech, brand, match=match))
    file.write_bytes(listened_to(sound))
    click.echo(file)
    progress(f"{len(sound) / SAMPLES_PER_S:.0f} s in {all_words()[speech.language].name}")
    if brand and not speech.brand(brand):
        progress("the brand is not spoken: it was neither recorded nor rendered yet")
    _tell(speaking.own.faults)


def _look(context: click.Context) -> tuple[Scene, Speaking]:
    scene = look_at(load(context.obj, os.environ))
    speaking = Speaking(sources_of(scene.settings))
    speaking.refresh()
    return scene, speaking


def _spoken(speaking: Speaking, language: str) -> Spoken:
    words, own = all_words()[language], speaking.own.clips.get(language, {})
    return Spoken(
        language,
        words.name,
        f"{words.voice.engine} {words.voice.name}",
        words.known,
        speaking.speech_of(language).language,
        len(own),
    )


def _named(scene: Scene, speaking: Speaking) -> list[Named]:
    """Return the brands of all services that may call; none while the database cannot be read."""
    if scene.tenancy is None:
        return []
    own = speaking.own
    return [
        Named(
            brand,
            "recorded" if brand in own.brands else "rendered" if speaking.brand(own, brand) else "not spoken",
        )
        for brand in sorted({one.brand for one in calling(scene)})
    ]


def _heard(one: Spoken) -> str:
    return "yes" if one.heard == one.language else f"{one.heard} instead"


def _own(one: Spoken) -> str:
    return f"{one.recorded} of {len(CLIPS)}" if one.recorded else "none"


def _notes(folder: Path) -> Iterator[str]:
    for file in sorted(folder.glob("*/*.wav")):
        for remark in remarks(file):
            yield f"{file}: {remark}"


def _call(speech: Speech, brand: str, *, match: bool) -> Iterator[bytes]:
    """Return the sound of a call in which a person does what they are asked to."""
    gate = speech.clip(f"gate_{GATE}")
    tail = len(gate)
    said = bytearray()
    ivr = Ivr(
        speech,
        gate=GATE,
        code="" if match else MADE_UP,
        typed=3 if match else 0,
        brand=brand,
    )
    while (frame := ivr.frame()) is not None:
        yield frame
        said += frame
        if said[-tail:] == gate:
            ivr.key(GATE)
        if match and said.endswith(speech.clip("unasked")):
            for digit in MADE_UP[:3]:
                ivr.key(digit)


def _few(names: Iterable[str], most: int = 8) -> str:
    listed = list(names)
    more = len(listed) - most
    return ", ".join(listed[:most]) + (f" and {more} more" if more > 0 else "")


def _tell(faults: Iterable[str]) -> None:
    for fault in faults:
        click.secho(f"not used: {fault}", err=True, fg="red" if sys.stderr.isatty() else None)
