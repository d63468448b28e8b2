"""What another process is told of where recordings are."""

from pathlib import Path

from dastak.voice.prompt_words import Known
from dastak.voice.speech import NOTHING_OWN, Speaking


def test_places_bring_back_what_speaks() -> None:
    spoken = Speaking(Path("/own"), Path("/brands"), least=Known.HEARD)

    assert spoken.places == ("/own", "/brands", "heard")
    assert Speaking.at(*spoken.places).places == spoken.places
    assert Speaking.at(*NOTHING_OWN).places == Speaking().places == NOTHING_OWN
