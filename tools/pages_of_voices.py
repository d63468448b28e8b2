"""Make the page of the languages that a call speaks: how well, in which voice, and which clips there are."""

from dastak.voice.prompt_words import DIGITS, GATES, LETTERS, PHRASES, all_words, written
from tools.markdown import code, join, table


def voices() -> str:
    """Make the page of the languages, voices and clips of a call."""
    words = all_words()
    known = [
        (
            one.name,
            code(language),
            f"{one.voice.engine} {one.voice.name}",
            "yes" if one.acceptable else f"no: {', '.join(map(code, one.nearest))} instead",
            one.judged,
            "yes" if one.native_speaker else "no",
        )
        for language, one in words.items()
    ]
    english = written(words["en"])
    clips = [(code(name), english[name]) for name in (*DIGITS, *LETTERS, *GATES, *PHRASES)]
    return join(
        "# The voices of a call",
        "A call speaks the thirteen languages of the texts, from recordings that are part of the program. "
        "Only English sounds like a person. The other voices are formant synthesis by espeak-ng, "
        "understandable but tiring, and **no native speaker has yet heard any of them or read their words**. "
        "Before you call people in such a language, have somebody listen, or "
        "[record it yourself](../how-to/record-your-own-voice.md).",
        table(("language", "tag", "voice", "used", "what is known", "heard by a native speaker"), known),
        "How it was judged: Whisper listened to digits after the telephone's band and mu-law. For the "
        "languages it does not know well it cannot tell a good voice from a bad one, so it says nothing of "
        "them; there the phonemes were read, which finds wrong words but not an ugly sound.",
        "Letters of an alphanumeric code are spelled in English in every language, by the English voice, as "
        "Latin letters are spelled in India. Numeric codes are easier to follow in a call.",
        "A language whose voice is marked as not acceptable is replaced by the next one that is, and the "
        f"call tells which language it spoke. Marked so: {', '.join(_unacceptable()) or 'none'}.",
        "## Whose voices they are",
        "Kokoro-82M (af_heart) is under Apache-2.0. espeak-ng is under GPL-3.0-or-later; only sound that it "
        "made is shipped, neither the program nor its data. `LICENSES.md` beside the recordings in "
        "`dastak/voice/packs` has the whole story, and comes with every installation.",
        "## The clips of a language",
        table(("clip", "in English"), clips),
        "Silence after each character: 350 ms, 700 ms between the two halves of a code of more than four "
        "characters, both rounded up to frames of 20 ms.",
    )


def _unacceptable() -> list[str]:
    return [words.name for words in all_words().values() if not words.acceptable]
