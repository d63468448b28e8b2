"""Clients of OpenID Connect in the database, with visits, grants, their tokens, and signing keys."""

from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Final

import msgspec

from dastak.core.errors import Conflict, NotFound
from dastak.core.lockout import CLEAN, Tally
from dastak.core.msisdn import Msisdn
from dastak.core.oidc import Client, Exchange, Grant, HeldToken, Token, TokenKind, Visit
from dastak.core.oidc_keys import SigningKey
from dastak.core.oidc_store import Keys
from dastak.core.ports import Once
from dastak.core.tenant import Mode
from dastak.store import rows
from dastak.store.desk import Desk, Execute

CLIENTS_PER_TENANT_MAX: Final = 200
# What a write deletes of what is over, so that no table grows for ever and no write takes long.
SWEPT_MAX: Final = 20

# These numbers are in databases: never change one, only add.
_KINDS: Final = (TokenKind.CODE, TokenKind.ACCESS, TokenKind.REFRESH)
assert set(_KINDS) == set(TokenKind)

_CLIENT: Final = msgspec.json.Decoder(Client)
_VISIT: Final = msgspec.json.Decoder(Visit)
_GRANT: Final = msgspec.json.Decoder(Grant)
_TALLY: Final = msgspec.json.Decoder(Tally)
_KEY: Final = msgspec.json.Decoder(SigningKey)


class OidcTables:
    """The port `OidcStore`."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk

    async def clients(self, tenant: int) -> tuple[Client, ...]:
        """See `OidcStore.clients`."""
        found = await self._desk.read(lambda execute: execute("clients_of", (tenant,)).fetchall())
        return tuple(map(_client_of, found))

    async def client(self, client_id: str) -> Client | None:
        """See `OidcStore.client`."""
        row = await self._one("client_by_id", client_id)
        return None if row is None else _client_of(row)

    async def client_numbered(self, n: int) -> Client | None:
        """See `OidcStore.client_numbered`."""
        row = await self._one("client_by_n", n)
        return None if row is None else _client_of(row)

    async def put_client(self, client: Client, *, once: Once | None = None) -> Client:
        """See `OidcStore.put_client`."""
        return await self._desk.write(partial(_put_client, client), once=once)

    async def remove_client(self, client: Client, *, once: Once | None = None) -> Client:
        """See `OidcStore.remove_client`."""
        return await self._desk.write(partial(_remove_client, client), once=once)

    async def visit(self, digest: bytes) -> Visit | None:
        """See `OidcStore.visit`."""
        row = await self._one("oidc_visit", digest)
        return None if row is None else _VISIT.decode(row[0])

    async def put_visit(self, visit: Visit, *, instead_of: bytes | None = None) -> None:
        """See `OidcStore.put_visit`."""

        def put(execute: Execute) -> None:
            if instead_of is not None:
                execute("delete_oidc_visit", (instead_of,))
            execute("put_oidc_visit", (visit.digest, rows.to_ms(visit.ends_at), rows.text(visit)))
            execute("sweep_oidc_visits", (rows.to_ms(visit.seen_at), SWEPT_MAX))

        await self._desk.write(put)

    async def end_visit(self, digest: bytes, *, now: datetime) -> None:
        """See `OidcStore.end_visit`."""

        def end(execute: Execute) -> None:
            execute("delete_oidc_visit", (digest,))
            execute("revoke_grants_in_visit", (digest, rows.to_ms(now)))

        await self._desk.write(end)

    async def open_grant(self, grant: Grant, code: Token) -> None:
        """See `OidcStore.open_grant`."""
        await self._desk.write(partial(_open_grant, grant, code))

    async def token(self, digest: bytes) -> HeldToken | None:
        """See `OidcStore.token`."""
        row = await self._one("oidc_token", digest)
        return None if row is None else _held_of(row)[1]

    async def exchange(
        self, digest: bytes, rule: Callable[[HeldToken], Exchange], *, now: datetime
    ) -> tuple[HeldToken, Exchange] | None:
        """See `OidcStore.exchange`."""
        return await self._desk.write(partial(_exchange, digest, rule, rows.to_ms(now)))

    async def tally(self, tenant: int, mode: Mode, msisdn: Msisdn) -> Tally:
        """See `OidcStore.tally`."""
        row = await self._one("tally_of_number", *rows.counted(tenant, mode, msisdn))
        return CLEAN if row is None else _TALLY.decode(row[0])

    async def consented(self, client: int, subject: str) -> frozenset[str]:
        """See `OidcStore.consented`."""
        row = await self._one("oidc_consent", client, subject)
        return frozenset() if row is None else frozenset(row[0].split())

    async def keep_consent(self, client: int, subject: str, scopes: frozenset[str], *, now: datetime) -> None:
        """See `OidcStore.keep_consent`."""
        row = (client, subject, " ".join(sorted(scopes)), rows.to_ms(now))
        await self._desk.write(lambda execute: execute("put_consent", row).rowcount)

    async def signing_keys(self) -> Keys:
        """See `OidcStore.signing_keys`."""
        return await self._desk.read(_signing_keys)

    async def move_signing_keys(self, rule: Callable[[Keys], Keys], *, once: Once | None = None) -> Keys:
        """See `OidcStore.move_signing_keys`."""

        def move(execute: Execute) -> Keys:
            moved = rule(_signing_keys(execute))
            execute("delete_signing_keys")
            for key in moved:
                record = rows.text(msgspec.structs.replace(key, sealed=b""))
                execute("insert_signing_key", (record, key.sealed))
            return moved

        return await self._desk.write(move, once=once)

    async def subject_seed(self, fresh: bytes) -> bytes:
        """See `OidcStore.subject_seed`."""

        def seed(execute: Execute) -> bytes:
            row = execute("subject_seed").fetchone()
            if row is None:
                execute("insert_subject_seed", (fresh,))
                return fresh
            return bytes(row[0])

        return await self._desk.write(seed)

    async def _one(self, statement: str, *asked: object) -> rows.Row | None:
        row: rows.Row | None = await self._desk.read(lambda execute: execute(statement, asked).fetchone())
        return row


def _put_client(client: Client, execute: Execute) -> Client:
    if client.n:
        if execute("update_client", (client.n, rows.text(client))).rowcount == 0:
            raise NotFound("There is no such client.")
        return client
    if len(execute("clients_of", (client.tenant,)).fetchall()) >= CLIENTS_PER_TENANT_MAX:
        raise Conflict(f"A tenant has at most {CLIENTS_PER_TENANT_MAX} clients; remove what nobody uses.")
    (n,) = execute("insert_client", (client.id, client.tenant, rows.text(client))).fetchone()
    return msgspec.structs.replace(client, n=n)


def _remove_client(client: Client, execute: Execute) -> Client:
    if execute("delete_client", (client.n,)).rowcount == 0:
        raise NotFound("There is no such client.")
    for belonging in ("delete_tokens_of_client", "delete_grants_of_client", "delete_consents_of_client"):
        execute(belonging, (client.n,))
    return client


def _open_grant(grant: Grant, code: Token, execute: Execute) -> None:
    created = rows.to_ms(grant.created_at)
    ends, account = rows.to_ms(grant.ends_at), grant.login.account
    row = (grant.id, grant.client, grant.visit, ends, rows.text(grant), account)
    (n,) = execute("insert_grant", row).fetchone()
    _put_token(execute, n, code)
    execute("sweep_access_tokens", (created, SWEPT_MAX))
    for over in execute("grants_over", (created, SWEPT_MAX)).fetchall():
        execute("delete_tokens_of_grant", over)
        execute("delete_grant", over)


def _exchange(
    digest: bytes, rule: Callable[[HeldToken], Exchange], now_ms: int, execute: Execute
) -> tuple[HeldToken, Exchange] | None:
    row = execute("oidc_token", (digest,)).fetchone()
    if row is None:
        return None
    n, held = _held_of(row)
    decided = rule(held)
    if decided.spend and execute("spend_token", (digest, now_ms)).rowcount != 1:
        raise Conflict("This token was used a moment ago.")
    if decided.revoke:
        execute("revoke_grant", (n, now_ms))
    for token in decided.fresh:
        _put_token(execute, n, token)
    return held, decided


def _put_token(execute: Execute, grant: int, token: Token) -> None:
    row = (token.digest, grant, _KINDS.index(token.kind), rows.to_ms(token.ends_at))
    execute("insert_token", row)


def _signing_keys(execute: Execute) -> Keys:
    found = execute("signing_keys").fetchall()
    return tuple(
        msgspec.structs.replace(_KEY.decode(record), sealed=bytes(sealed)) for record, sealed in found
    )


def _client_of(row: rows.Row) -> Client:
    n, record = row
    return msgspec.structs.replace(_CLIENT.decode(record), n=n)


def _held_of(row: rows.Row) -> tuple[int, HeldToken]:
    """Read a row of `oidc_token`: the grant's number, and what a rule sees."""
    digest, kind, ends_at, used_at, n, revoked_at, record = row
    token = Token(
        digest=digest,
        kind=_KINDS[kind],
        ends_at=rows.from_ms(ends_at),
        used_at=None if used_at is None else rows.from_ms(used_at),
    )
    revoked = None if revoked_at is None else rows.from_ms(revoked_at)
    return n, HeldToken(token, msgspec.structs.replace(_GRANT.decode(record), revoked_at=revoked))
