"""India's DLT register of a tenant over HTTP: read it, replace or import it, and hold texts against it."""

from typing import Annotated, Final

import msgspec
from msgspec import Meta

from dastak.api.admin_endpoints import audited, tenant_of
from dastak.api.endpoints import Api, Call, Endpoint
from dastak.api.exchange import Response, answer
from dastak.core.dlt_store import DltRecord
from dastak.core.ports import Once, Replayed
from dastak.core.template import TEMPLATE_CHARACTERS_MAX
from dastak.core.tenant import Scope
from dastak.dlt.csv_import import Fault, import_csv
from dastak.dlt.lint import LINT_TEXTS_MAX, Finding, lint_text
from dastak.dlt.register import HEADER_CHARACTERS_MAX, Register
from dastak.dlt.registers import Kept, put_register
from dastak.sms.segments import parts_of

_Text = Annotated[str, Meta(min_length=1, max_length=TEMPLATE_CHARACTERS_MAX)]


class RegisterBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Replace a register. `revision` is the one that was read; 0 where there is none yet."""

    register: Register
    revision: Annotated[int, Meta(ge=0)] = 0


class RegisterView(msgspec.Struct, frozen=True, kw_only=True):
    """A register as it stands."""

    tenant: str
    revision: int
    register: Register


class ImportBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Take the templates of a portal's CSV export into a register; what it does not name stays."""

    csv: Annotated[
        str,
        Meta(
            min_length=1,
            description="Rows of the export below its row of names. An export of more than 16 KiB comes in "
            "several requests, each with the row of names.",
            examples=["Template ID,Header,Template Content\n1107161234567890123,ACMEOT,{#numeric#} is it."],
        ),
    ]
    pe_id: Annotated[str | None, Meta(description="The entity of rows that do not name theirs.")] = None
    dry_run: Annotated[bool, Meta(description="Say what would be taken, and write nothing.")] = False


class ImportView(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the rows, and the revision the register has now."""

    added: int
    replaced: int
    faults: Annotated[tuple[Fault, ...], Meta(description="Rows that were not taken, with the line of each.")]
    revision: int


class LintBody(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Texts to hold against the register, whole, as they would be sent."""

    header: Annotated[str, Meta(min_length=1, max_length=HEADER_CHARACTERS_MAX, examples=["ACMEOT"])]
    texts: Annotated[tuple[_Text, ...], Meta(min_length=1, max_length=LINT_TEXTS_MAX)]


class LintView(msgspec.Struct, frozen=True, kw_only=True):
    """What the register says of each text, in their order."""

    findings: tuple[Finding, ...]


async def show_register(api: Api, call: Call) -> Response:
    """GET /v1/admin/tenants/{tenant}/dlt."""
    tenant = await tenant_of(api, call)
    return answer(200, _view(tenant.name, api.registers.of(tenant.n)))


@audited
async def replace_register(api: Api, call: Call) -> Response:
    """PUT /v1/admin/tenants/{tenant}/dlt."""
    body: RegisterBody = call.body
    tenant = await tenant_of(api, call)
    return await api.once(
        call,
        act=lambda once: put_register(
            api.dlt_store, tenant.n, body.register, revision=body.revision, once=once
        ),
        show=lambda written: answer(200, _view(tenant.name, Kept(body.register, written.revision))),
    )


@audited
async def import_register(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/dlt/import."""
    body: ImportBody = call.body
    tenant = await tenant_of(api, call)
    await api.registers.refresh(api.dlt_store)
    kept = api.registers.known(tenant.n)
    imported = import_csv(kept.register, body.csv.encode(), pe_id=body.pe_id)

    async def take(once: Once | None) -> DltRecord | Replayed:
        # A register of nothing would refuse every text to India.
        if body.dry_run or not imported.taken:
            return DltRecord(b"", kept.revision)
        return await put_register(
            api.dlt_store, tenant.n, imported.register, revision=kept.revision, once=once
        )

    def show(written: DltRecord) -> Response:
        view = ImportView(
            added=imported.added,
            replaced=imported.replaced,
            faults=imported.faults,
            revision=written.revision,
        )
        return answer(200, view)

    return await api.once(call, act=take, show=show)


async def lint_texts(api: Api, call: Call) -> Response:
    """POST /v1/admin/tenants/{tenant}/dlt/lint."""
    body: LintBody = call.body
    tenant = await tenant_of(api, call)
    register, now = api.registers.of(tenant.n).register, api.ports.clock.now()

    async def hold(_once: Once | None) -> LintView:
        # Nothing is written, so a repeat is simply held against the register as it is then.
        return LintView(
            findings=tuple(
                lint_text(register, header=body.header, text=text, now=now, parts=parts_of)
                for text in body.texts
            )
        )

    return await api.once(call, act=hold, show=lambda view: answer(200, view))


def _view(tenant: str, kept: Kept) -> RegisterView:
    return RegisterView(tenant=tenant, revision=kept.revision, register=kept.register)


_DLT: Final = "/v1/admin/tenants/{tenant}/dlt"

ENDPOINTS: Final = (
    Endpoint(
        method="GET",
        path=_DLT,
        scope=Scope.ADMIN,
        handler=show_register,
        summary="Read what a tenant registered with India's DLT platforms",
        gives=RegisterView,
    ),
    Endpoint(
        method="PUT",
        path=_DLT,
        scope=Scope.ADMIN,
        handler=replace_register,
        summary="Replace a tenant's DLT register; one of more than 16 KiB by imports, or by `dastak dlt put`",
        takes=RegisterBody,
        gives=RegisterView,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_DLT}/import",
        scope=Scope.ADMIN,
        handler=import_register,
        summary="Take the templates of a portal's CSV export into a tenant's DLT register",
        takes=ImportBody,
        gives=ImportView,
        refusals=(409,),
    ),
    Endpoint(
        method="POST",
        path=f"{_DLT}/lint",
        scope=Scope.ADMIN,
        handler=lint_texts,
        summary="Hold texts against a tenant's DLT register, and read where they differ",
        takes=LintBody,
        gives=LintView,
    ),
)
