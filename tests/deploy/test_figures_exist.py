"""Every figure that alerts, dashboards and runbooks ask for is shown by a running Dastak, labels and all."""

import re
import urllib.request
from pathlib import Path
from typing import Final

import pytest

from dastak.api.endpoint_table import ENDPOINTS
from dastak.core.tenant import Mode
from dastak.telemetry import metrics
from tests.support.dastak_process import DastakProcess
from tests.support.deployed import (
    DEPLOY,
    METRIC,
    RECORDED,
    ROOT,
    RUNBOOKS,
    alert_rules,
    queries,
    recording_rules,
)
from tests.support.front_proxy import NOBODY, Proxy
from tests.support.needed import missing

# What Prometheus adds to each figure, and what stands for the buckets of a histogram.
ADDED: Final = {"instance", "job", "le"}
LABELS: Final = {
    **{f"{name}_total": labels for name, (_, labels) in (metrics.COUNTERS | metrics.TOTALS).items()},
    **{name: labels for name, (_, labels) in metrics.GAUGES.items()},
    **{f"dastak_submit_seconds_{kind}": ("route",) for kind in ("bucket", "count", "sum")},
}
SELECTION: Final = re.compile(r"(dastak_\w+)\{([^}]*)\}")
MATCHER: Final = re.compile(r'(\w+)\s*(=~|!=|!~|=)\s*"([^"]*)"')
EVENTS: Final = {
    f"{name}_total": {what for counted, what in metrics._COUNTED.values() if counted == name}
    for name in ("dastak_verifications", "dastak_messages")
}
# The figures of those who keep the database, and where they are made.
PATRONI = re.compile(r"\bpatroni_\w+")
HAPROXY = re.compile(r"\b(haproxy_backend_\w+){")
PATRONI_SHOWS = Path("/usr/lib/python3/dist-packages/patroni/api.py")


@pytest.fixture(scope="module")
def shown(dastak: DastakProcess) -> set[str]:
    """Return the names of all samples that a running program can show."""
    with urllib.request.urlopen(f"{dastak.url}/metrics") as answer:
        kinds = dict(re.findall(r"^# TYPE (\w+) (\w+)", answer.read().decode(), re.MULTILINE))
    names = set()
    for name, kind in kinds.items():
        names |= {f"{name}_{part}" for part in ("bucket", "count", "sum")} if kind == "histogram" else {name}
    return names


@pytest.mark.parametrize("place", sorted(queries()))
def test_figure_asked_for_is_shown(place: str, shown: set[str]) -> None:
    for query in queries()[place]:
        assert set(METRIC.findall(query)) - shown == set(), query
        assert set(RECORDED.findall(query)) - set(recording_rules()) == set(), query


def test_every_label_asked_for_is_there() -> None:
    for query in (query for found in queries().values() for query in found):
        for name, inside in SELECTION.findall(query):
            for label, how, value in MATCHER.findall(inside):
                assert label in {*LABELS[name], *ADDED}, query
                for word in value.split("|") if how in ("=", "=~") else ():
                    assert is_possible(name, label, word), f"{word} in {query}"
        # What is summed by a label that nobody has gives one line without a name.
        for labels in re.findall(r"(?:by|on) ?\(([^)]*)\)", query):
            if PATRONI.search(query) or HAPROXY.search(query):
                continue  # its labels are its own
            known = {label for name in METRIC.findall(query) for label in LABELS.get(name, ())}
            assert {label.strip() for label in labels.split(",")} <= {*known, *ADDED, "route"}, query


def is_possible(name: str, label: str, word: str) -> bool:
    if word.startswith("$"):
        return True
    if label == "event":
        return word in EVENTS[name]
    if label == "mode":
        return word in set(Mode)
    if label == "endpoint":
        # None of them is a path that does not exist.
        return word in {"", metrics.ANY_ENDPOINT, *(endpoint.path for endpoint in ENDPOINTS)}
    return True


def test_every_recorded_figure_is_used() -> None:
    used = {name for found in queries().values() for query in found for name in RECORDED.findall(query)}

    assert set(recording_rules()) - used == set()


@pytest.mark.parametrize("page", sorted(RUNBOOKS.glob("*.md")), ids=lambda page: page.stem)
def test_runbook_names_figures_that_are_shown(page: Path, shown: set[str]) -> None:
    text = page.read_text()
    # A page may name the beginning of several, as grep takes it.
    named = {name.rstrip("_") for name in METRIC.findall(text)}

    assert [name for name in named if not any(one.startswith(name) for one in shown)] == []
    assert set(RECORDED.findall(text)) - set(recording_rules()) == set()


def test_alerts_are_of_our_own_figures() -> None:
    told = [page.read_text() for folder in (ROOT / "docs" / "how-to", DEPLOY) for page in folder.rglob("*.*")]
    jobs = {job for text in told for job in re.findall(r"^  - job_name: (\w+)$", text, re.MULTILINE)}
    for name, rule in alert_rules().items():
        ours = METRIC.search(rule["expr"]) or RECORDED.search(rule["expr"])
        # Whether figures come at all is Prometheus's own to tell, of the jobs that we say how to have.
        of_jobs = set(re.findall(r'up\{job="(\w+)"\}', rule["expr"]))
        assert ours or PATRONI.search(rule["expr"]) or HAPROXY.search(rule["expr"]) or of_jobs, name
        assert of_jobs <= jobs


def test_figures_of_haproxy_are_those_that_it_shows(tmp_path: Path) -> None:
    asked = {name for found in queries().values() for query in found for name in HAPROXY.findall(query)}

    with Proxy(NOBODY, tmp_path / "log") as proxy:
        shown = {name: proxy.figure(name) for name in asked}

    assert shown.keys() == {"haproxy_backend_connection_errors_total", "haproxy_backend_active_servers"}


def test_figures_of_patroni_are_those_that_it_shows() -> None:
    if not PATRONI_SHOWS.exists():
        missing("needs Patroni, which is not installed")
    asked = {name for found in queries().values() for query in found for name in PATRONI.findall(query)}

    shown = set(PATRONI.findall(PATRONI_SHOWS.read_text()))

    assert asked
    assert asked - shown == set()
