"""The form of a landing page's webhook, whose secret is shown once."""

from typing import Final

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import InvalidRequest
from dastak.web.landing.console_room import HOME, ONE, Author, ConsoleRoom
from dastak.web.page_answers import read_form, see_other

_UNPROCESSABLE: Final = 422


class PageWebhook:
    """The route of the webhook.

    Args:
        room: What all pages of the page builder share.
    """

    def __init__(self, room: ConsoleRoom) -> None:
        self._room = room

    def routes(self) -> list[Route]:
        """Return the routes."""
        return [self._room.route(f"{ONE}/webhook", self.act, "POST")]

    async def act(self, request: Request, author: Author) -> Response:
        """POST a button."""
        form = await read_form(request)
        self._room.check(request, author, form)
        found, design = await self._room.page(request, author)
        webhook, verb = self._room.webhook, form.get("do")
        if verb == "again":
            await webhook.again(found.n)
            return see_other(f"{HOME}/{found.n}/leads?done=again")
        if verb == "remove":
            await webhook.remove(found.n)
            self._room.tell(author, "lead_webhook_removed", found)
        if verb not in ("set", "rotate"):
            return see_other(f"{HOME}/{found.n}/publish")
        secret, complaint = "", ""
        try:
            if verb == "rotate":
                secret = await webhook.rotate(found.n)
            else:
                secret = await webhook.set(found.n, form.get("url", "").strip())
            self._room.tell(author, "lead_webhook_rotated" if verb == "rotate" else "lead_webhook_set", found)
        except InvalidRequest as error:
            complaint = error.detail
        values = {
            "title": f"{design.brand or found.slug} · Publish",
            "tab": "publish",
            "page": found,
            "design": design,
            "secret": secret,
            "complaint": complaint,
            "typed": form.get("url", ""),
            "hook": await webhook.of(found.n),
        }
        return self._room.show("page_webhook.html", author, values, _UNPROCESSABLE if complaint else 200)
