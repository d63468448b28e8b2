"""Helm as a shared library: a chart is checked, or installed into whatever answers as a cluster.

Run as a program of its own, because the library brings Go's runtime with it and keeps it for good:
`python -m tests.support.helm_library lint CHART`, or `install CHART KUBECONFIG RELEASE VALUES`.
"""

import ctypes
import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from tests.support.deployed import ROOT, run
from tests.support.needed import missing

INSTALL_S_MAX: Final = 60


def library() -> Path:
    """Return where `make test` has put it; without it a test is skipped, but never in the gate."""
    found = sorted((ROOT / ".helm-venv").glob("lib/python*/site-packages/helm_sdkpy/_lib/linux-amd64/*.so"))
    return found[0] if found else missing("needs Helm's library: make .helm-venv/.installed")


def lint(chart: Path) -> dict[str, Any]:
    """Return what `helm lint` finds in a chart."""
    done = run(sys.executable, "-m", __name__, library(), "lint", chart, cwd=ROOT)
    assert done.returncode == 0, done.stderr
    return dict(json.loads(done.stdout))


def install(chart: Path, kubeconfig: Path, values: dict[str, Any]) -> str | None:
    """Install a chart as release `otp`; return what Helm says against it, or None."""
    arguments = ("install", chart, kubeconfig, "otp", json.dumps(values))
    # What Helm itself notes of a release stays in its memory, not in the cluster.
    environment = {**os.environ, "HELM_DRIVER": "memory"}
    done = run(sys.executable, "-m", __name__, library(), *arguments, cwd=ROOT, env=environment)
    return None if done.returncode == 0 else done.stderr


class _Helm:
    def __init__(self, file: str, kubeconfig: str | None) -> None:
        self._library = ctypes.CDLL(file)
        self._library.helm_sdkpy_last_error.restype = ctypes.c_char_p
        self._handle = ctypes.c_ulonglong()
        place = None if kubeconfig is None else kubeconfig.encode()
        self._call("config_create", b"default", place, None, b"{}", ctypes.byref(self._handle))

    def lint(self, chart: str) -> str:
        told = ctypes.c_char_p()
        self._call("lint", self._handle, chart.encode(), ctypes.byref(told))
        return (told.value or b"").decode()

    def install(self, chart: str, release: str, values: str) -> None:
        told = ctypes.c_char_p()
        options = json.dumps({"wait": False, "timeout_seconds": INSTALL_S_MAX, "server_side_apply": "false",
                              "disable_openapi_validation": True})  # fmt: skip
        named = (release.encode(), chart.encode(), values.encode(), b"", options.encode())
        self._call("install", self._handle, *named, ctypes.byref(told))

    def _call(self, name: str, *arguments: Any) -> None:
        if getattr(self._library, f"helm_sdkpy_{name}")(*arguments) != 0:
            sys.exit((self._library.helm_sdkpy_last_error() or b"it does not say why").decode())


def main() -> None:
    """Do what the command line says."""
    file, act, chart, *rest = sys.argv[1:]
    if act == "lint":
        print(_Helm(file, None).lint(chart))
        return
    kubeconfig, release, values = rest
    _Helm(file, kubeconfig).install(chart, release, values)


if __name__ == "__main__":
    main()
