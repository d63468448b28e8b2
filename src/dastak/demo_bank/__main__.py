"""The bank's program: it serves on a socket it was given, and ends when whoever started it is gone.

1. How to reach Dastak comes as one line of JSON on standard input, for arguments can be read by everybody.
2. Standard input then stays open as long as the bank shall run. When it closes, be it in order or because
   the other end was killed, the bank ends. Signals to stop are the other program's business alone.
"""

import contextlib
import json
import signal
import socket
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import uvicorn

from dastak.demo_bank import authenticator_pages, bank_accounts, code_pages, people_pages
from dastak.demo_bank.counter import Bank, Handler, bank_app
from dastak.demo_bank.ledger import Ledger
from dastak.sdk import Dastak

PAGES: Final[Mapping[str, Mapping[str, Handler]]] = {
    "/": {"GET": bank_accounts.home},
    "/sign-up": {"GET": people_pages.show_sign_up, "POST": people_pages.sign_up},
    "/login": {"GET": people_pages.show_login, "POST": people_pages.login},
    "/logout": {"POST": people_pages.log_out},
    "/two-factor": {"GET": people_pages.show_two_factor, "POST": people_pages.two_factor},
    "/code": {"GET": code_pages.show_code, "POST": code_pages.code},
    "/code/back": {"GET": code_pages.come_back},
    "/code/help": {"GET": code_pages.show_help},
    "/authenticator": {
        "GET": authenticator_pages.show_authenticator,
        "POST": authenticator_pages.authenticator,
    },
    "/account": {"GET": bank_accounts.show_account},
    "/pay": {"GET": bank_accounts.show_pay, "POST": bank_accounts.pay},
}


def main() -> None:
    """Run until standard input ends."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    listener = socket.socket(fileno=int(sys.argv[1]))
    line = sys.stdin.readline()
    if not line:
        return
    told = json.loads(line)
    bank = Bank(
        ledger=Ledger(Path(told["file"])),
        dastak=Dastak(told["dastak_url"], told["key"], service=told["service"]),
        url=told["url"],
        code_pages=told["code_pages"],
        phones_url=told["phones_url"],
    )
    config = uvicorn.Config(
        bank_app(bank, PAGES),
        ws="none",
        lifespan="off",
        log_level="warning",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        timeout_graceful_shutdown=1,
    )
    server = _Server(config)
    threading.Thread(target=_stop_at_end, args=(server,), daemon=True).start()
    server.run(sockets=[listener])


class _Server(uvicorn.Server):
    """uvicorn without any care for signals."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave them to whoever started us."""
        yield


def _stop_at_end(server: uvicorn.Server) -> None:
    sys.stdin.read()
    server.should_exit = True


if __name__ == "__main__":
    main()
