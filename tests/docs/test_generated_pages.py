"""The generated pages are what the code would have them."""

from tools.generate_docs import behind


def test_generated_pages_are_in_step() -> None:
    assert sorted(behind()) == [], "run `make docs`"
