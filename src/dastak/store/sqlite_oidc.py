"""Clients of OpenID Connect in the SQLite database, with visits, grants, their tokens, and signing keys."""

import sqlite3
from collections.abc import Callable
from datetime import datetime
from functools import partial
from typing import Any, Final

import msgspec

from dastak.core.errors import Conflict, NotFound
from dastak.core.lockout import CLEAN, Tally
from dastak.core.msisdn import Msisdn
from dastak.core.oidc import Client, Exchange, Grant, HeldToken, Token, TokenKind, Visit
from dastak.core.oidc_keys import SigningKey
from dastak.core.oidc_store import Keys
from dastak.core.ports import Once
from dastak.store import rows
from dastak.store.group_commit import GroupCommit
from dastak.store.sqlite_file import READING
from dastak.store.statements import load

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


class SqliteOidc:
    """The port `OidcStore`, on the connections of one store."""

    def __init__(
        self,
        group: GroupCommit,
        *,
        once: Callable[[Once | None, Callable[[], Any]], Any],
        writer: sqlite3.Connection,
        reader: sqlite3.Connection,
    ) -> None:
        self._group, self._once = group, once
        self._writer, self._reader, self._sql = writer, reader, load("oidc.sql")

    async def clients(self, tenant: int) -> tuple[Client, ...]:
        """See `OidcStore.clients`."""
        with READING:
            found = self._reader.execute(self._sql["clients_of"], (tenant,)).fetchall()
        return tuple(map(_client_of, found))

    async def client(self, client_id: str) -> Client | None:
        """See `OidcStore.client`."""
        row = self._one("client_by_id", client_id)
        return None if row is None else _client_of(row)

    async def client_numbered(self, n: int) -> Client | None:
        """See `OidcStore.client_numbered`."""
        row = self._one("client_by_n", n)
        return None if row is None else _client_of(row)

    async def put_client(self, client: Client, *, once: Once | None = None) -> Client:
        """See `OidcStore.put_client`."""
        kept: Client = await self._group.run(partial(self._once, once, partial(self._put_client, client)))
        return kept

    async def remove_client(self, client: Client, *, once: Once | None = None) -> Client:
        """See `OidcStore.remove_client`."""
        gone: Client = await self._group.run(partial(self._once, once, partial(self._remove_client, client)))
        return gone

    async def visit(self, digest: bytes) -> Visit | None:
        """See `OidcStore.visit`."""
        row = self._one("visit", digest)
        return None if row is None else _VISIT.decode(row[0])

    async def put_visit(self, visit: Visit, *, instead_of: bytes | None = None) -> None:
        """See `OidcStore.put_visit`."""

        def put() -> None:
            if instead_of is not None:
                self._writer.execute(self._sql["delete_visit"], (instead_of,))
            row = (visit.digest, rows.to_ms(visit.ends_at), rows.text(visit))
            self._writer.execute(self._sql["put_visit"], row)
            self._sweep("sweep_visits", visit.seen_at)

        await self._group.run(put)

    async def end_visit(self, digest: bytes, *, now: datetime) -> None:
        """See `OidcStore.end_visit`."""

        def end() -> None:
            self._writer.execute(self._sql["delete_visit"], (digest,))
            self._writer.execute(self._sql["revoke_grants_in_visit"], (digest, rows.to_ms(now)))

        await self._group.run(end)

    async def open_grant(self, grant: Grant, code: Token) -> None:
        """See `OidcStore.open_grant`."""
        await self._group.run(partial(self._open_grant, grant, code))

    async def token(self, digest: bytes) -> HeldToken | None:
        """See `OidcStore.token`."""
        row = self._one("token", digest)
        return None if row is None else _held_of(row)[1]

    async def exchange(
        self, digest: bytes, rule: Callable[[HeldToken], Exchange], *, now: datetime
    ) -> tuple[HeldToken, Exchange] | None:
        """See `OidcStore.exchange`."""
        return await self._group.run(partial(self._exchange, digest, rule, rows.to_ms(now)))

    async def tally(self, tenant: int, msisdn: Msisdn) -> Tally:
        """See `OidcStore.tally`."""
        with READING:
            row = self._reader.execute(self._sql["tally"], (tenant, int(msisdn))).fetchone()
        return CLEAN if row is None else _TALLY.decode(row[0])

    async def consented(self, client: int, subject: str) -> frozenset[str]:
        """See `OidcStore.consented`."""
        with READING:
            row = self._reader.execute(self._sql["consent"], (client, subject)).fetchone()
        return frozenset() if row is None else frozenset(row[0].split())

    async def keep_consent(self, client: int, subject: str, scopes: frozenset[str], *, now: datetime) -> None:
        """See `OidcStore.keep_consent`."""
        row = (client, subject, " ".join(sorted(scopes)), rows.to_ms(now))
        await self._group.run(partial(self._writer.execute, self._sql["put_consent"], row))

    async def signing_keys(self) -> Keys:
        """See `OidcStore.signing_keys`."""
        with READING:
            return self._signing_keys(self._reader)

    async def move_signing_keys(self, rule: Callable[[Keys], Keys], *, once: Once | None = None) -> Keys:
        """See `OidcStore.move_signing_keys`."""

        def move() -> Keys:
            moved = rule(self._signing_keys(self._writer))
            self._writer.execute(self._sql["delete_signing_keys"])
            self._writer.executemany(
                self._sql["insert_signing_key"],
                [(rows.text(msgspec.structs.replace(key, sealed=b"")), key.sealed) for key in moved],
            )
            return moved

        moved: Keys = await self._group.run(partial(self._once, once, move))
        return moved

    async def subject_seed(self, fresh: bytes) -> bytes:
        """See `OidcStore.subject_seed`."""

        def seed() -> bytes:
            row = self._writer.execute(self._sql["subject_seed"]).fetchone()
            if row is None:
                self._writer.execute(self._sql["insert_subject_seed"], (fresh,))
                return fresh
            return bytes(row[0])

        return await self._group.run(seed)

    def _one(self, query: str, asked: object) -> rows.Row | None:
        with READING:
            row: rows.Row | None = self._reader.execute(self._sql[query], (asked,)).fetchone()
        return row

    def _put_client(self, client: Client) -> Client:
        if client.n:
            if self._writer.execute(self._sql["update_client"], (client.n, rows.text(client))).rowcount == 0:
                raise NotFound("There is no such client.")
            return client
        known = self._writer.execute(self._sql["clients_of"], (client.tenant,)).fetchall()
        if len(known) >= CLIENTS_PER_TENANT_MAX:
            raise Conflict(f"A tenant has at most {CLIENTS_PER_TENANT_MAX} clients; remove what nobody uses.")
        row = (client.id, client.tenant, rows.text(client))
        (n,) = self._writer.execute(self._sql["insert_client"], row).fetchone()
        return msgspec.structs.replace(client, n=n)

    def _remove_client(self, client: Client) -> Client:
        if self._writer.execute(self._sql["delete_client"], (client.n,)).rowcount == 0:
            raise NotFound("There is no such client.")
        for belonging in ("delete_tokens_of_client", "delete_grants_of_client", "delete_consents_of_client"):
            self._writer.execute(self._sql[belonging], (client.n,))
        return client

    def _open_grant(self, grant: Grant, code: Token) -> None:
        created = grant.created_at
        row = (grant.id, grant.client, grant.visit, rows.to_ms(grant.ends_at), rows.text(grant))
        (n,) = self._writer.execute(self._sql["insert_grant"], row).fetchone()
        self._put_token(n, code)
        self._sweep("sweep_access_tokens", created)
        over = self._writer.execute(self._sql["grants_over"], (rows.to_ms(created), SWEPT_MAX)).fetchall()
        for belonging in ("delete_tokens_of_grant", "delete_grant"):
            self._writer.executemany(self._sql[belonging], over)

    def _exchange(
        self, digest: bytes, rule: Callable[[HeldToken], Exchange], now_ms: int
    ) -> tuple[HeldToken, Exchange] | None:
        row = self._writer.execute(self._sql["token"], (digest,)).fetchone()
        if row is None:
            return None
        n, held = _held_of(row)
        decided = rule(held)
        if decided.spend and self._writer.execute(self._sql["spend_token"], (digest, now_ms)).rowcount != 1:
            raise Conflict("This token was used a moment ago.")
        if decided.revoke:
            self._writer.execute(self._sql["revoke_grant"], (n, now_ms))
        for token in decided.fresh:
            self._put_token(n, token)
        return held, decided

    def _put_token(self, grant: int, token: Token) -> None:
        row = (token.digest, grant, _KINDS.index(token.kind), rows.to_ms(token.ends_at))
        self._writer.execute(self._sql["insert_token"], row)

    def _sweep(self, statement: str, now: datetime) -> None:
        self._writer.execute(self._sql[statement], (rows.to_ms(now), SWEPT_MAX))

    def _signing_keys(self, connection: sqlite3.Connection) -> Keys:
        found = connection.execute(self._sql["signing_keys"]).fetchall()
        return tuple(
            msgspec.structs.replace(_KEY.decode(record), sealed=bytes(sealed)) for record, sealed in found
        )


def _client_of(row: rows.Row) -> Client:
    n, record = row
    return msgspec.structs.replace(_CLIENT.decode(record), n=n)


def _held_of(row: rows.Row) -> tuple[int, HeldToken]:
    """Read a row of `token`: the grant's number, and what a rule sees."""
    digest, kind, ends_at, used_at, n, revoked_at, record = row
    token = Token(
        digest=digest,
        kind=_KINDS[kind],
        ends_at=rows.from_ms(ends_at),
        used_at=None if used_at is None else rows.from_ms(used_at),
    )
    revoked = None if revoked_at is None else rows.from_ms(revoked_at)
    return n, HeldToken(token, msgspec.structs.replace(_GRANT.decode(record), revoked_at=revoked))
