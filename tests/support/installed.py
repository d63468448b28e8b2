"""An installation as `dastak init` makes it, with nothing wrong but what a test does to it."""

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from dastak.carriers.carrier_book import Act, CarrierBook, Wish
from dastak.commands.database import remember_backup
from dastak.commands.doctor import Finding, examine
from dastak.commands.init import make_default, make_installation
from dastak.config_read import load
from dastak.config_secrets import read_keys
from dastak.core.carrier import CarrierKind, CarrierState
from dastak.core.ids import VerificationId
from dastak.core.message import Message, MessageKey
from dastak.core.policy import Channel, Policy
from dastak.core.ports import Change, Opening
from dastak.core.tenant import Mode
from dastak.core.verification import Particulars, Verification
from dastak.store.seal import AesGcmSealer
from dastak.store.sqlite import SqliteStore

AIRTEL = (
    '\n[carriers.airtel]\nhost = "127.0.0.1"\nport = {port}\nsystem_id = "ACME"\npassword = "{password}"\n'
)


class Installation:
    """Its files, and what the doctor says of it."""

    def __init__(self, folder: Path) -> None:
        self.file = make_installation(folder, {})
        self.database = folder / "dastak.db"
        self.secrets = folder / "secrets.json"
        asyncio.run(make_default(f"sqlite://{self.database}", "IN"))
        remember_backup(self.database, self.file, datetime.now(UTC))

    def add(self, text: str) -> None:
        self.file.write_text(self.file.read_text() + text)

    def act(self, act: Callable[[SqliteStore], Any]) -> None:
        async def acted() -> None:
            async with SqliteStore(self.database) as store:
                await act(store)

        asyncio.run(acted())

    def add_stored(
        self,
        name: str = "airtel",
        *,
        port: int = 1,
        password: str = "s3cret-7",
        state: CarrierState = CarrierState.ACTIVE,
        **more: Any,
    ) -> None:
        """Add a carrier to the database, as `dastak carrier add` does."""
        settings = {"host": "127.0.0.1", "port": port, "system_id": "ACME", "password": password, **more}
        act = Act(who="cli", why="added", at=datetime.now(UTC))
        sealer = AesGcmSealer(read_keys(load(self.file, {}).settings))
        wish = Wish(settings=settings, state=state)
        self.act(lambda store: CarrierBook(store, sealer).add(name, CarrierKind.SMPP, wish, act))

    def add_trunk(self, name: str = "voice", *, lane: dict[str, Any] | None = None, **settings: Any) -> None:
        """Add a SIP trunk to the database that nobody is at."""
        # By TCP a door that is shut is found at once, by UDP after seconds.
        given = {"host": "127.0.0.1", "port": 1, "transport": "tcp", "caller": "+911600123456", **settings}
        act = Act(who="cli", why="added", at=datetime.now(UTC))
        sealer = AesGcmSealer(read_keys(load(self.file, {}).settings))
        wish = Wish(settings=given, lane=lane)
        self.act(lambda store: CarrierBook(store, sealer).add(name, CarrierKind.SIP, wish, act))

    def set_recordings(self, folder: Path) -> None:
        text = self.file.read_text()
        self.file.write_text(text.replace('#recordings = ""', f'recordings = "{folder}"'))

    def set_public_url(self, url: str) -> None:
        text = self.file.read_text()
        self.file.write_text(text.replace('#public_url = ""', f'public_url = "{url}"'))

    def show_phones(self, listen: str) -> None:
        text = self.file.read_text().replace('#listen = "127.0.0.1:8080"', f'listen = "{listen}"')
        settings, simulator, rest = text.partition("[simulator]")
        self.file.write_text(settings + simulator + rest.replace("#enabled = false", "enabled = true"))

    def examine(self, environment: dict[str, str] | None = None, *, fix: bool = False) -> dict[str, Finding]:
        found = examine(self.file, environment or {}, fix=fix)
        return {finding.check: finding for finding in found}


def unsent(at: datetime) -> Opening[None]:
    """Return a message that is due at once."""
    verification = Verification(
        id=VerificationId(b"0123456789abcdef"),
        tenant=1,
        service=1,
        mode=Mode.TEST,
        msisdn="+919876543210",
        policy=Policy(),
        particulars=Particulars(),
        key_id=1,
        created_at=at,
        expires_at=at + timedelta(minutes=5),
        last_sent_at=at,
    )
    message = Message(
        key=MessageKey(verification.id, 0), channel=Channel.SMS, generation=0, segments=1, due_at=at
    )
    return Opening(
        answer=None,
        verification=verification,
        message=message,
        events=(),
        trace=(),
        supersede=lambda _: Change(answer=None),
    )
