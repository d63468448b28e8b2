"""As much of a Kubernetes API server as Helm needs to install a chart; it keeps what it is sent."""

import json
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Final, Self

# What a chart of ours may be made of: group and version, kind, and its name in a path.
KINDS: Final = (
    ("v1", "ConfigMap", "configmaps"),
    ("v1", "Secret", "secrets"),
    ("v1", "Service", "services"),
    ("apps/v1", "Deployment", "deployments"),
    ("apps/v1", "StatefulSet", "statefulsets"),
    ("networking.k8s.io/v1", "Ingress", "ingresses"),
    ("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"),
    ("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"),
    ("monitoring.coreos.com/v1", "ServiceMonitor", "servicemonitors"),
)
VERSION: Final = {"major": "1", "minor": "31", "gitVersion": "v1.31.0"}


class KubeApi:
    """It listens on a free port while `with` lasts.

    Attributes:
        kept: What was installed, by its path.
    """

    def __init__(self) -> None:
        self.kept: dict[str, dict[str, Any]] = {}
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self.kept))
        self._thread = threading.Thread(target=self._server.serve_forever)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_exception: object) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def kubeconfig(self, file: Path) -> Path:
        """Write what leads Helm here."""
        server = f"http://127.0.0.1:{self._server.server_port}"
        file.write_text(json.dumps({
            "apiVersion": "v1", "kind": "Config", "current-context": "here",
            "clusters": [{"name": "here", "cluster": {"server": server}}],
            "users": [{"name": "nobody", "user": {}}],
            "contexts": [{"name": "here", "context": {"cluster": "here", "user": "nobody"}}],
        }))  # fmt: skip
        return file


def discovery(path: str) -> dict[str, Any] | None:
    """Return what says which kinds there are; None for a path of another sort."""
    versions = {version for version, _, _ in KINDS}
    if path == "/version":
        return dict(VERSION)
    if path == "/api":
        return {"kind": "APIVersions", "versions": ["v1"]}
    if path == "/apis":
        groups = [_group(version) for version in sorted(versions) if "/" in version]
        return {"kind": "APIGroupList", "apiVersion": "v1", "groups": groups}
    for version in versions:
        if path == (f"/apis/{version}" if "/" in version else f"/api/{version}"):
            kinds = [
                {"name": plural, "singularName": kind.lower(), "namespaced": True, "kind": kind,
                 "verbs": ["create", "get", "list", "update", "patch", "delete"]}
                for of, kind, plural in KINDS if of == version
            ]  # fmt: skip
            return {"kind": "APIResourceList", "groupVersion": version, "resources": kinds}
    return None


def _group(version: str) -> dict[str, Any]:
    known = {"groupVersion": version, "version": version.partition("/")[2]}
    return {"name": version.partition("/")[0], "versions": [known], "preferredVersion": known}


def _handler(kept: dict[str, dict[str, Any]]) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            path = self.path.partition("?")[0].rstrip("/")
            found = discovery(path) or kept.get(path)
            self._say(200 if found else 404, found)

        def do_POST(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kept[f"{self.path.partition('?')[0]}/{sent['metadata']['name']}"] = sent
            self._say(201, sent)

        def do_PUT(self) -> None:
            sent = json.loads(self.rfile.read(int(self.headers["content-length"])))
            kept[self.path.partition("?")[0]] = sent
            self._say(200, sent)

        def log_message(self, *_words: object) -> None:
            """Say nothing."""

        def _say(self, status: int, body: dict[str, Any] | None) -> None:
            refusal = {"kind": "Status", "apiVersion": "v1", "reason": "NotFound", "code": 404}
            octets = json.dumps(body or refusal).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(octets)))
            self.end_headers()
            self.wfile.write(octets)

    return Handler
