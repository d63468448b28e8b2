"""Render pages for people from our own templates, in the reader's language.

1. Every value is escaped; what a customer writes is never a template.
2. A template that names what it was not given fails in the tests, and never shows a hole.
3. No page has a script or a style of its own, so that the policy can be strict. The one style sheet of all
   pages stands in each of them, for a file would be one more way there and back before anything is seen; the
   policy names its digest.
"""

from base64 import b64encode
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from dastak.web.page_files import PageFiles
from dastak.web.page_words import DIRECTIONS, LANGUAGES, Words

LAYOUT: Final = "layout.html"
SHEET: Final = "people.css"


class PageTemplates:
    """All templates of this package; each is compiled at its first use and kept.

    Args:
        files: Gives the addresses of style sheets and scripts.

    Attributes:
        style_source: What the policy says of the style sheet that stands in the pages.
    """

    def __init__(self, files: PageFiles) -> None:
        self._environment = Environment(
            loader=PackageLoader("dastak.web", "templates"),
            autoescape=True,
            undefined=StrictUndefined,
            auto_reload=False,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        sheet = files.octets(SHEET)
        self.style_source: Final = f"'sha256-{b64encode(sha256(sheet).digest()).decode()}'"
        own = Markup(sheet.decode())  # noqa: S704 - a file of ours, with nobody else's words in it
        self._environment.globals.update(
            asset=files.address, layout=LAYOUT, languages=LANGUAGES, sheet_of_people=own
        )

    def render(self, template: str, words: Words, values: Mapping[str, Any]) -> str:
        """Fill a template.

        Args:
            template: Its name, such as `code_page.html`.
            words: The reader's language; the template says `t("code_label")`.
            values: What else it names.
        """
        found = self._environment.get_template(template)
        tag = words.language
        return found.render(t=words.say, language=tag, direction=DIRECTIONS.get(tag, "ltr"), **values)
