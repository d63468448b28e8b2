"""The image's steps work when they are replayed, and the container files are what their linters take."""

import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any, Final, NamedTuple

import compose_spec
import pytest
import yaml

from bench.processes import free_port
from dastak import __version__
from tests.support.deployed import DEPLOY, PROMETHEUS, ROOT, run
from tests.support.patience import until
from tests.support.program import STOP_S_MAX, clean_environment
from tests.support.serve_installation import START_S_MAX

DOCKERFILE: Final = DEPLOY / "Dockerfile"
COMPOSE: Final = (DEPLOY / "compose.yaml", DEPLOY / "compose.cluster.yaml")


class Step(NamedTuple):
    """One instruction of a Dockerfile, its lines joined."""

    word: str
    rest: str


def stages() -> list[list[Step]]:
    """Return the steps of the image, a list for each FROM."""
    lines = [line for line in DOCKERFILE.read_text().splitlines() if not line.startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(lines))
    found: list[list[Step]] = []
    for line in filter(None, joined.splitlines()):
        word, _, rest = line.strip().partition(" ")
        if word == "FROM":
            found.append([])
        if found:
            found[-1].append(Step(word, rest))
    return found


def of_final(word: str) -> list[str]:
    return [step.rest for step in stages()[-1] if step.word == word]


def let_in() -> list[str]:
    """Return what the ignore file lets to the engine."""
    lines = DOCKERFILE.with_name("Dockerfile.dockerignore").read_text().splitlines()
    return [line.removeprefix("!") for line in lines if line.startswith("!")]


class Image:
    """The build stage, replayed into a folder; /opt/dastak and /src are folders in it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.opt, self.src = folder / "opt" / "dastak", folder / "src"
        self.src.mkdir(parents=True)
        self.opt.parent.mkdir()
        for step in stages()[0]:
            if step.word == "COPY":
                self._copy(step.rest)
            if step.word == "RUN":
                self._run(step.rest)

    @property
    def command(self) -> Path:
        """What ENTRYPOINT starts."""
        [entry] = of_final("ENTRYPOINT")
        [name] = yaml.safe_load(entry)
        return self.opt / "bin" / name

    def _copy(self, rest: str) -> None:
        *sources, target = rest.split()
        for source in sources:
            assert source in let_in(), f"the ignore file keeps {source} out"
            to = self.src / target if len(sources) == 1 else self.src / target / source
            to.parent.mkdir(parents=True, exist_ok=True)
            if (ROOT / source).is_dir():
                shutil.copytree(ROOT / source, to, ignore=shutil.ignore_patterns("__pycache__"))
            else:
                shutil.copy(ROOT / source, to)

    def _run(self, line: str) -> None:
        here = line.replace("/opt/dastak", str(self.opt)).replace("--no-cache-dir ", "")
        here = re.sub(r"(^|&& )python ", rf"\1{shlex.quote(sys.executable)} ", here)
        done = run("sh", "-ec", here, cwd=self.src)
        assert done.returncode == 0, f"{here}\n{done.stdout[-1500:]}{done.stderr[-3000:]}"


@pytest.fixture(scope="module")
def image(tmp_path_factory: pytest.TempPathFactory) -> Image:
    return Image(tmp_path_factory.mktemp("image"))


def container_environment(image: Image, ports: dict[str, int], folder: Path) -> dict[str, str]:
    """Return what ENV sets, at ports and folders of ours."""
    [line] = of_final("ENV")
    settings = dict(word.split("=", 1) for word in shlex.split(line))
    settings = {name: value for name, value in settings.items() if name.startswith("DASTAK_")}
    assert settings["DASTAK_CONFIG"] == "/etc/dastak/dastak.toml"
    settings["DASTAK_CONFIG"] = str(folder / "etc" / "dastak.toml")
    for name, port in ports.items():
        host, _, _ = settings[name].partition(":")
        settings[name] = f"{host}:{port}"
    return {**clean_environment(settings), "PATH": f"{image.opt / 'bin'}:{os.environ['PATH']}"}


def test_what_is_built_is_this_version_and_brings_no_builder(image: Image) -> None:
    version = run(image.command, "--version")
    builders = run(image.opt / "bin" / "python", "-c", "import hatchling")
    installer = run(image.opt / "bin" / "python", "-m", "pip", "--version")

    assert version.stdout == f"dastak {__version__}\n", version.stderr
    assert "No module named" in builders.stderr
    assert "No module named" in installer.stderr


def test_container_starts_is_found_healthy_and_stops_at_sigterm(image: Image, tmp_path: Path) -> None:
    ports = {"DASTAK__SERVER__LISTEN": free_port(), "DASTAK__SERVER__OPS_LISTEN": free_port()}
    environment = container_environment(image, ports, tmp_path)
    data = tmp_path / "data"
    data.mkdir()
    where = ("--directory", tmp_path / "etc", "--database", data / "dastak.db")
    made = run(image.command, "init", "--yes", *where, env=environment, cwd=data)
    assert made.returncode == 0, made.stderr
    [health] = of_final("HEALTHCHECK")
    asked = yaml.safe_load(health.partition("CMD ")[2])
    asked = [word.replace(":8080", f":{ports['DASTAK__SERVER__LISTEN']}") for word in asked]
    before = run(*asked, env=environment, cwd=data)

    # CMD, as the engine starts it: nobody but these two folders is written to.
    arguments = yaml.safe_load(of_final("CMD")[0])
    with (tmp_path / "log").open("wb") as log:
        process = subprocess.Popen([image.command, *arguments], cwd=data, env=environment, stderr=log)
    try:
        until(lambda: run(*asked, env=environment, cwd=data).returncode == 0, within_s=START_S_MAX)
    finally:
        process.send_signal(getattr(signal, of_final("STOPSIGNAL")[0]))
        status = process.wait(STOP_S_MAX + 5)

    assert before.returncode == 4
    assert status == 0, (tmp_path / "log").read_text()[-2000:]


def test_image_runs_as_nobody_in_particular_and_names_its_base() -> None:
    text = DOCKERFILE.read_text()
    [user] = of_final("USER")

    assert user.split(":") == ["10001", "10001"]
    assert re.findall(r"^ARG PYTHON_IMAGE=python:3\.11\.\d+-slim-\w+$", text, re.MULTILINE)
    assert "curl" not in text
    assert "node" not in text


def test_image_brings_what_is_run_and_tested_in_the_same_versions() -> None:
    version = re.compile(r"^([a-z0-9_.-]+==[^ \\\n]+)", re.MULTILINE)
    run_list, image_list, tested = (
        set(version.findall((ROOT / "requirements" / name).read_text()))
        for name in ("run.txt", "postgres.txt", "dev.txt")
    )

    assert run_list < image_list <= tested
    added = {name.partition("==")[0] for name in image_list - run_list}
    # The last one is for the first one, before Python 3.11.3.
    assert added == {"redis", "psycopg", "psycopg-binary", "async-timeout"}


def test_hadolint_finds_no_fault() -> None:
    done = run(Path(sys.executable).with_name("hadolint"), DOCKERFILE)

    assert (done.returncode, done.stdout) == (0, "")


def interpolated(path: Path) -> str:
    """Return a compose file as compose reads it where no variable is set."""
    return re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", path.read_text())


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_compose_file_is_by_the_specification(path: Path) -> None:
    options = compose_spec.PyOptions(apply_merge=True)

    composed = options.from_yaml(interpolated(path))

    composed.validate()
    assert composed.service_names()


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_services_of_ours_are_shut(path: Path) -> None:
    services = services_of(path)
    ours = {name: service for name, service in services.items() if service["image"].startswith("dastak:")}

    assert ours
    for service in ours.values():
        assert service["read_only"] is True
        assert service["cap_drop"] == ["ALL"]
        assert service["security_opt"] == ["no-new-privileges:true"]
    # The port of monitoring is published nowhere, and no image is "the latest".
    assert not re.search(r"8081[\"']?$", "\n".join(map(str, ports_of(services))))
    assert [image for image in (service["image"] for service in services.values()) if is_loose(image)] == []


@pytest.mark.parametrize("path", COMPOSE, ids=lambda path: path.name)
def test_files_that_compose_mounts_are_there(path: Path) -> None:
    mounted = [
        DEPLOY / volume.partition(":")[0]
        for service in services_of(path).values()
        for volume in service.get("volumes", ())
        if volume.startswith("./")
    ]

    assert [str(file) for file in mounted if not file.exists()] == []


def test_settings_in_compose_are_settings(tmp_path: Path) -> None:
    for path in COMPOSE:
        for name, service in services_of(path).items():
            given = {key: str(value) for key, value in service.get("environment", {}).items() if "__" in key}
            given = {key: value for key, value in given.items() if key.startswith("DASTAK__")}
            done = run(
                sys.executable, "-m", "dastak", "config", "show", cwd=tmp_path, env=clean_environment(given)
            )
            assert done.returncode == 0, (name, done.stderr)


def test_database_of_the_cluster_is_of_the_version_that_is_tested() -> None:
    told = (ROOT / "docs" / "how-to" / "grow-to-many-machines.md").read_text()
    tested = re.search(r"this is tested on (\d+)\.", told)
    assert tested

    image = services_of(COMPOSE[1])["postgres"]["image"]

    assert re.fullmatch(rf"postgres:{tested[1]}\.\d+-bookworm", image)


def test_nodes_of_the_cluster_are_those_that_haproxy_and_prometheus_name() -> None:
    services = services_of(COMPOSE[1])
    scraped = yaml.safe_load((PROMETHEUS / "prometheus.cluster.yml").read_text())["scrape_configs"]
    nodes = {name for name in services if re.fullmatch(r"dastak\d", name)}
    environment = services["haproxy"]["environment"]

    assert {environment[f"DASTAK_NODE{number}"] for number in (1, 2)} == {f"{node}:8080" for node in nodes}
    for name in nodes:
        called = services[name]["environment"]["DASTAK__SERVER__NODE"]
        assert environment[f"DASTAK_{called.upper()}"] == f"{name}:8080"
    assert set(scraped[0]["static_configs"][0]["targets"]) == {f"{node}:8081" for node in nodes}
    assert scraped[1]["static_configs"][0]["targets"] == [f"haproxy{environment['DASTAK_PROXY_OPS']}"]


def services_of(path: Path) -> dict[str, dict[str, Any]]:
    return {name: service or {} for name, service in yaml.safe_load(interpolated(path))["services"].items()}


def ports_of(services: dict[str, dict[str, Any]]) -> list[str]:
    return [port for service in services.values() for port in service.get("ports", ())]


def is_loose(image: str) -> bool:
    return not image.startswith("dastak:") and not re.search(r":v?\d+\.\d+", image)
