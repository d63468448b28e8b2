"""Make the page of the languages that a call speaks: how well, in which voice, and which clips there are."""

from collections.abc import Mapping
from typing import Final

from dastak.voice.prompt_words import DIGITS, GATES, LETTERS, PHRASES, Known, all_words, written
from dastak.voice.prompts import LEAST, pack
from tools.markdown import code, join, table

MEANINGS: Final[Mapping[str, str]] = {
    Known.HEARD: "a native speaker has read the words and listened to the voice",
    Known.MEASURED: "a recogniser tells the ten digits apart, seven of ten or better; nobody listened",
    Known.READ: "the phonemes of the ten digits were read and are right; nobody listened",
    Known.UNJUDGED: "the voice misreads the language in places, and nobody listened",
    Known.UNFIT: "a listener found it useless",
}
assert set(MEANINGS) == set(Known)


def voices() -> str:
    """Make the page of the languages, voices and clips of a call."""
    words = all_words()
    known = [
        (
            one.name,
            code(language),
            f"{one.voice.engine} {one.voice.name}",
            code(one.known),
            "yes" if pack(language).language == language else f"no: {code(pack(language).language)} instead",
            one.judged,
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
        table(("language", "tag", "voice", "known", "spoken", "what is known"), known),
        "## How much is known",
        table(("`known`", "meaning"), list(MEANINGS.items())),
        f"With `voice.least` an operator says how much must be known; it is `{LEAST}` if they do not. A "
        "language of whose voice less is known is spoken by the nearest one of which enough is known, and by "
        "English at last. The person is told so first, such as *this call is in Bengali*, in that language, "
        "and the timeline has the step `other_language`. A complete set of recordings of your own is always "
        "spoken. `dastak voice list` shows what an installation speaks.",
        f"So by default `{LEAST}` counts as acceptable: that the digits are right is known, that the voice "
        "is pleasant is not. `DASTAK__VOICE__LEAST=measured` leaves the five in which a recogniser told the "
        "digits apart. Urdu is spoken in Urdu words by the Hindi voice, as none of the free voices knows "
        "the vowels that Urdu does not write; the person is told so in the greeting.",
        "How it was judged: Whisper listened to digits after the telephone's band and mu-law. For the "
        "languages it does not know well it cannot tell a good voice from a bad one, so it says nothing of "
        "them; there the phonemes were read, which finds wrong words but not an ugly sound.",
        "Letters of an alphanumeric code are spelled in English in every language, by the English voice, as "
        "Latin letters are spelled in India. Numeric codes are easier to follow in a call.",
        "## Whose voices they are",
        "Kokoro-82M (af_heart) is under Apache-2.0. espeak-ng is under GPL-3.0-or-later; only sound that it "
        "made is shipped, neither the program nor its data. `LICENSES.md` beside the recordings in "
        "`dastak/voice/packs` has the whole story, and comes with every installation.",
        "## The clips of a language",
        table(("clip", "in English"), clips),
        "Silence after each character: 350 ms, 700 ms between the two halves of a code of more than four "
        "characters, both rounded up to frames of 20 ms.",
    )
