"""/console/voice: operators upload what their calls say, listen to it, and take it away."""

import logging
from collections.abc import Mapping, Sequence
from typing import Any, Final, NamedTuple

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from dastak.core.errors import DastakError, InvalidRequest, NotFound, Overloaded
from dastak.core.tenant import Tenant
from dastak.core.voice_store import PackKey, VoiceStore
from dastak.tenancy.console_service import CONSOLE_TENANT
from dastak.voice.own_voice import Clips, add, recorded, take_away
from dastak.voice.prompt_words import CLIPS, all_words
from dastak.voice.recordings import BRANDS, listened_to
from dastak.voice.telephone_process import made_apart
from dastak.web.browser_session import check_form, form_token
from dastak.web.login.sign_in_desk import Operator, SignInDesk
from dastak.web.page_answers import refuse_foreign, see_other
from dastak.web.page_house import PageHouse
from dastak.web.page_words import words_of
from dastak.web.upload_form import UploadForm, read_upload

HOME: Final = "/console/voice"
FORM: Final = "voice"
# All clips of a language at 16 kHz, or two dozen at 48 kHz.
UPLOAD_OCTETS_MAX: Final = 4_000_000
FILES_MAX: Final = 120
_UNPROCESSABLE: Final = 422
_SUFFIX: Final = ".wav"
_LANGUAGES: Final = {**{tag: words.name for tag, words in all_words().items()}, BRANDS: "Names of brands"}

log = logging.getLogger("dastak.audit")


class _Seen(NamedTuple):
    """Whose browser it is: an operator, and what its forms are signed with."""

    operator: Operator
    secret: str


class _Told(NamedTuple):
    """What became of an upload: the files that were taken, and the others with what is wrong."""

    taken: Sequence[str] = ()
    faults: Sequence[str] = ()


class VoicePages:
    """The one page, what its forms do, and the sounds to listen to."""

    def __init__(self, house: PageHouse, desk: SignInDesk, store: VoiceStore) -> None:
        self._house, self._desk, self._store = house, desk, store

    def routes(self) -> list[Route]:
        """Return the page and the sounds."""
        sound = HOME + "/{tenant}/{language}/{name}" + _SUFFIX
        return [
            Route(HOME, self._house.for_people(self.answer), methods=["GET", "POST"]),
            Route(sound, self._house.for_people(self.sound)),
        ]

    async def answer(self, request: Request) -> Response:
        """Show what was recorded, and do what a form says."""
        seen = await self._seen(request)
        if seen is None:
            return see_other(self._desk.console_address(HOME))
        if request.method == "GET":
            return await self._show(seen)
        refuse_foreign(request, self._house.origin_of(request))
        try:
            form = await read_upload(
                request, many="recordings", octets_max=UPLOAD_OCTETS_MAX, smaller="fewer recordings at once"
            )
        except InvalidRequest as error:
            return await self._show(seen, error=error.detail)
        check_form(seen.secret, FORM, form.fields.get("form"))
        try:
            return await self._act(seen, form)
        except Overloaded:
            raise
        except DastakError as error:
            return await self._show(seen, error=error.detail, typed=form.fields)

    async def sound(self, request: Request) -> Response:
        """Return a recording as a person may listen to it, and as calls say it."""
        seen = await self._seen(request)
        if seen is None:
            return see_other(self._desk.console_address(HOME))
        place = request.path_params
        tenant = self._tenant(seen.operator, place["tenant"])
        clip = (await recorded(self._store, tenant.n)).get(place["language"], {}).get(place["name"])
        if clip is None:
            raise NotFound("There is no such recording.")
        return Response(listened_to(clip), media_type="audio/wav")

    async def _act(self, seen: _Seen, form: UploadForm) -> Response:
        fields = form.fields
        tenant = self._tenant(seen.operator, fields.get("tenant", ""))
        key = PackKey(tenant.n, fields.get("language", ""))
        if name := fields.get("remove"):
            await take_away(self._store, key, name)
            _tell(seen.operator, "recording_removed", tenant, f"{key.language}/{name}")
            return see_other(HOME)
        told = await self._take(key, form.many)
        if told.taken:
            _tell(seen.operator, "recordings_uploaded", tenant, key.language)
        return await self._show(seen, told=told, typed=fields)

    async def _take(self, key: PackKey, files: Sequence[tuple[str, bytes]]) -> _Told:
        if not files:
            raise InvalidRequest("Choose at least one recording.")
        if len(files) > FILES_MAX:
            raise InvalidRequest(f"Choose at most {FILES_MAX} recordings at once.")
        named = [(_stem(file), octets) for file, octets in files]
        made = await made_apart([octets for _, octets in named])
        clips: dict[str, bytes] = {}
        faults = []
        for (name, _), (frames, fault) in zip(named, made, strict=True):
            if key.language != BRANDS and name not in CLIPS:
                faults.append(f"{name}: no call says it; a recording is named as what it says")
            elif fault:
                faults.append(f"{name}: {fault}")
            else:
                clips[name] = frames
        await add(self._store, key, clips)
        return _Told(tuple(clips), faults)

    async def _seen(self, request: Request) -> _Seen | None:
        operator = await self._desk.operator_of(request)
        if operator is None:
            return None
        secret = self._desk.cookies(operator.signed_in.session.service).read(request)
        return None if secret is None else _Seen(operator, secret)

    def _tenants(self, operator: Operator) -> Sequence[Tenant]:
        seen = (one for one in self._house.directory.tenancy.tenants if one.name != CONSOLE_TENANT)
        return [one for one in seen if operator.tenant in (None, one.n)]

    def _tenant(self, operator: Operator, name: str) -> Tenant:
        """Return a tenant that an operator works for. Raises: NotFound."""
        for tenant in self._tenants(operator):
            if tenant.name == name:
                return tenant
        raise NotFound("There is no such tenant.")

    async def _show(
        self,
        seen: _Seen,
        *,
        error: str = "",
        typed: Mapping[str, str] | None = None,
        told: _Told | None = None,
    ) -> Response:
        known = [
            {"tenant": one.name, "packs": _listed(await recorded(self._store, one.n))}
            for one in self._tenants(seen.operator)
        ]
        values: dict[str, Any] = {
            "form": form_token(seen.secret, FORM),
            "here": HOME,
            "error": error,
            "told": told,
            "known": known,
            "typed": {"tenant": "", "language": "", **(typed or {})},
            "languages": _LANGUAGES,
            "clips": CLIPS,
        }
        status = _UNPROCESSABLE if error else 200
        return self._house.show("console_voice.html", words_of("en"), values, status)


def _listed(packs: Mapping[str, Clips]) -> Mapping[str, Sequence[str]]:
    """Return the names of each language, in the order of a call."""
    place = {name: n for n, name in enumerate(CLIPS)}
    return {
        language: sorted(clips, key=lambda name: (place.get(name, len(place)), name))
        for language, clips in packs.items()
        if clips
    }


def _stem(file: str) -> str:
    """Return a file's name without folder and ending, as the browser of any system may send it."""
    name = file.replace("\\", "/").rpartition("/")[2].replace("%22", '"')
    return name[: -len(_SUFFIX)] if name.lower().endswith(_SUFFIX) else name


def _tell(operator: Operator, action: str, tenant: Tenant, what: str) -> None:
    log.info(
        "%s: done", action, extra={"action": action, "actor": operator.name, "on": f"{tenant.name} {what}"}
    )
