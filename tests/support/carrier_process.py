"""A simulated carrier in a process of its own, as `dastak sim run` makes one."""

import json
import re
import threading
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from tests.support.patience import until
from tests.support.program import Program


class CarrierProcess:
    """One carrier. `with` starts it, gives its port, and stops it.

    Args:
        directory: Where its log goes.
        faults: What goes wrong, as the TOML of a script.
        port: Where it listens; 0 takes a free one.
        over_http: Let it take texts as HTTP vendors do as well.
        options: Further ones.

    Attributes:
        texts: What it brought to phones, and how calls to them stand.
    """

    def __init__(
        self,
        directory: Path,
        *,
        faults: str = "",
        port: int = 0,
        over_http: bool = False,
        options: Sequence[str] = (),
    ) -> None:
        directory.mkdir(exist_ok=True)
        self.texts: list[dict[str, Any]] = []
        self._reader = threading.Thread(target=self._read)
        script = directory / "faults.toml"
        script.write_text(faults)
        more = ("--http-listen", "127.0.0.1:0") if over_http else ()
        self.program = Program(
            *("sim", "run", str(script), "--json", "--listen", f"127.0.0.1:{port}", *more, *options),
            cwd=directory,
            log_file=directory / "log",
        )

    def __enter__(self) -> int:
        self.program.start()
        self._reader.start()
        until(self._port, within_s=30)
        return self._port()

    def __exit__(self, *_exception: object) -> None:
        self.program.stop()
        self._reader.join()

    @property
    def http_url(self) -> str:
        """Where it takes texts as HTTP vendors do, once it has started."""
        told = re.search(r"are taken at (\S+)", self.program.log())
        assert told is not None
        return told[1]

    @property
    def sip_port(self) -> int:
        """Where it takes calls, once it has started."""
        told = re.search(r"sip:NUMBER@127\.0\.0\.1:(\d+)", self.program.log())
        assert told is not None
        return int(told[1])

    def _read(self) -> None:
        """Take what it prints, so that it never waits for room in the pipe."""
        stdout = self.program.process.stdout
        assert stdout is not None
        with suppress(ValueError):  # it was closed because the carrier has ended
            for line in stdout:
                self.texts.append(json.loads(line))

    def _port(self) -> int:
        told = re.search(r"listens on [0-9.]+:(\d+);", self.program.log())
        return int(told[1]) if told else 0
