"""The chart is rendered by Helm itself, and what it makes is what Kubernetes, the image and Dastak take."""

import json
import re
import sys
from pathlib import Path
from typing import Any, Final

import kubernetes_validate
import pytest
import yaml

from dastak import __version__
from tests.support import helm_library
from tests.support.deployed import DEPLOY, run
from tests.support.kube_api import KubeApi
from tests.support.program import clean_environment

CHART: Final = DEPLOY / "helm" / "dastak"
CLUSTER: Final[dict[str, Any]] = {
    "replicas": 3,
    "image": {"repository": "registry.example.in/dastak", "digest": f"sha256:{'0' * 64}"},
    "database": {"existingSecret": "dastak-database"},
    "ingress": {"enabled": True, "className": "haproxy", "tlsSecret": "otp-tls", "annotations": {"a": "b"}},
    "serviceMonitor": {"enabled": True, "labels": {"release": "prometheus"}},
    "nodeSelector": {"zone": "a"},
    "tolerations": [{"key": "otp", "operator": "Exists"}],
}
WISHES: Final = {"one-node": {}, "cluster": CLUSTER}
ALWAYS: Final = ("ConfigMap", "NetworkPolicy", "Service", "Service")
# The oldest that the chart allows, and one of now.
KUBERNETES: Final = ("1.27", "1.34")


def installed(values: dict[str, Any], tmp_path: Path) -> dict[str, dict[str, Any]]:
    """Return what Helm sends to the cluster, by kind and name."""
    with KubeApi() as api:
        refusal = helm_library.install(CHART, api.kubeconfig(tmp_path / "kubeconfig"), values)
    assert refusal is None
    return {f"{one['kind']}/{one['metadata']['name']}": one for one in api.kept.values()}


def pod_of(objects: dict[str, dict[str, Any]]) -> dict[str, Any]:
    [workload] = [one for name, one in objects.items() if name in ("StatefulSet/otp", "Deployment/otp")]
    return dict(workload["spec"]["template"]["spec"])


def test_helm_lint_finds_no_fault() -> None:
    found = helm_library.lint(CHART)

    # One is "information": that the chart has no icon.
    assert [message for message in found["Messages"] if message["Severity"] > 1] == []
    assert found["Errors"] is None


@pytest.mark.parametrize(
    ("values", "kinds"),
    [
        ({}, [*ALWAYS, "StatefulSet"]),
        (
            CLUSTER,
            [*ALWAYS, "Deployment", "Ingress", "PodDisruptionBudget", "ServiceMonitor"],
        ),
    ],
    ids=WISHES,
)  # fmt: skip
def test_chart_makes_what_is_wished(values: dict[str, Any], kinds: list[str], tmp_path: Path) -> None:
    objects = installed(values, tmp_path)

    assert sorted(one["kind"] for one in objects.values()) == sorted(kinds)


@pytest.mark.parametrize("version", KUBERNETES)
@pytest.mark.parametrize("values", WISHES.values(), ids=WISHES)
def test_objects_are_by_the_schemas_of_kubernetes(
    values: dict[str, Any], version: str, tmp_path: Path
) -> None:
    for one in installed(values, tmp_path).values():
        if one["kind"] != "ServiceMonitor":  # not of Kubernetes itself
            kubernetes_validate.validate(one, version, strict=True)


@pytest.mark.parametrize(
    ("values", "words"),
    [
        ({"replicas": 2}, "more than one replica needs database.existingSecret"),
        ({"publicUrl": "http://otp.example.in"}, "publicUrl"),
        ({"replica": 2}, "replica"),
        ({"image": {"repository": "dastak", "digest": "latest"}}, "digest"),
    ],
)
def test_what_cannot_work_is_refused(values: dict[str, Any], words: str, tmp_path: Path) -> None:
    with KubeApi() as api:
        refusal = helm_library.install(CHART, api.kubeconfig(tmp_path / "kubeconfig"), values)

    assert refusal is not None
    assert words in refusal
    assert api.kept == {}


@pytest.mark.parametrize("values", WISHES.values(), ids=WISHES)
def test_pod_is_shut_and_is_the_user_of_the_image(values: dict[str, Any], tmp_path: Path) -> None:
    user = re.search(r"^USER (\d+):(\d+)$", (DEPLOY / "Dockerfile").read_text(), re.MULTILINE)
    assert user

    pod = pod_of(installed(values, tmp_path))

    assert pod["automountServiceAccountToken"] is False
    # A service named dastak would put variables of its own beside ours.
    assert pod["enableServiceLinks"] is False
    wanted = {"runAsNonRoot": True, "runAsUser": int(user[1]), "runAsGroup": int(user[2])}
    assert wanted.items() <= pod["securityContext"].items()
    for container in (*pod.get("initContainers", ()), *pod["containers"]):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }
        assert container["resources"]["limits"]["memory"]


@pytest.mark.parametrize("values", WISHES.values(), ids=WISHES)
def test_services_find_the_pods_and_their_ports(values: dict[str, Any], tmp_path: Path) -> None:
    objects = installed(values, tmp_path)
    [workload] = [one for name, one in objects.items() if name in ("StatefulSet/otp", "Deployment/otp")]
    labels = workload["spec"]["template"]["metadata"]["labels"]
    ports = {port["name"] for port in pod_of(objects)["containers"][0]["ports"]}

    for name in ("Service/otp", "Service/otp-ops"):
        spec = objects[name]["spec"]
        assert spec["selector"].items() <= labels.items()
        assert {port["targetPort"] for port in spec["ports"]} <= ports
    assert workload["spec"]["selector"]["matchLabels"] == labels


@pytest.mark.parametrize("values", WISHES.values(), ids=WISHES)
def test_node_whose_database_or_carriers_are_away_stays_in_the_service(
    values: dict[str, Any], tmp_path: Path
) -> None:
    """All would leave it together, and nobody would be there to answer 503 with Retry-After."""
    [asked] = re.findall(r"uri (/\S+)", (DEPLOY / "haproxy" / "haproxy.cfg").read_text())

    [container] = pod_of(installed(values, tmp_path))["containers"]

    assert container["readinessProbe"]["httpGet"] == {"path": asked, "port": "http"}
    assert asked == "/healthz"


def test_settings_and_arguments_are_such_as_dastak_takes(tmp_path: Path) -> None:
    objects = installed({}, tmp_path)
    [container] = pod_of(objects)["containers"]
    file = tmp_path / "dastak.toml"
    file.write_text(objects["ConfigMap/otp"]["data"]["dastak.toml"])
    given = {one["name"]: one["value"] for one in container["env"]}

    shown = run(
        sys.executable, "-m", "dastak", "config", "show", "--json",
        cwd=tmp_path, env=clean_environment({**given, "DASTAK_CONFIG": str(file)}),
    )  # fmt: skip

    assert shown.returncode == 0, shown.stderr
    assert "sqlite:///var/lib/dastak/dastak.db" in json.dumps(json.loads(shown.stdout))
    for one, arguments in ((container, ["serve"]), (pod_of(objects)["initContainers"][0], ["migrate"])):
        assert one["args"] == arguments
        help_of = run(sys.executable, "-m", "dastak", *arguments, "--help", env=clean_environment())
        assert help_of.returncode == 0


def test_database_of_a_cluster_is_named_by_a_secret_alone(tmp_path: Path) -> None:
    objects = installed(CLUSTER, tmp_path)
    pod = pod_of(objects)
    [container] = pod["containers"]
    given = {one["name"]: one for one in container["env"]}

    # Not within the time of the startup probe: an index over many rows takes longer.
    [migrates] = pod["initContainers"]
    assert (migrates["args"], migrates["env"]) == (["migrate"], container["env"])
    secret = {"name": "dastak-database", "key": "url"}
    assert given["DASTAK_DATABASE_URL"]["valueFrom"] == {"secretKeyRef": secret}
    assert "DASTAK__STORE__URL" not in given
    assert objects["ServiceMonitor/otp"]["metadata"]["labels"]["release"] == "prometheus"
    assert container["image"] == f"registry.example.in/dastak@sha256:{'0' * 64}"


def test_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())

    assert chart["appVersion"] == __version__
