"""Render pages for people from our own templates, in the reader's language.

1. Every value is escaped; what a customer writes is never a template.
2. A template that names what it was not given fails in the tests, and never shows a hole.
3. No page has a script or a style of its own: both are files, so that the policy can be strict.
"""

from collections.abc import Mapping
from typing import Any, Final

from jinja2 import Environment, PackageLoader, StrictUndefined

from dastak.web.page_files import PageFiles
from dastak.web.page_words import DIRECTIONS, LANGUAGES, Words

LAYOUT: Final = "layout.html"


class PageTemplates:
    """All templates of this package; each is compiled at its first use and kept.

    Args:
        files: Gives the addresses of style sheets and scripts.
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
        self._environment.globals.update(asset=files.address, layout=LAYOUT, languages=LANGUAGES)

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
