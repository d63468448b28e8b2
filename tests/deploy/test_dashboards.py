"""The dashboards are such as Grafana provisions: found by name, from the source that is set up, and whole."""

import json
import re
from itertools import combinations
from pathlib import Path
from typing import Any

import pytest
import yaml

from dastak.telemetry import metrics
from tests.support.deployed import DEPLOY, METRIC, dashboards, panel_queries, queries, run
from tests.support.needed import program

PROVISIONING = DEPLOY / "grafana" / "provisioning"
BOARDS = [pytest.param(path, board, id=path.stem) for path, board in dashboards().items()]
COLUMNS_MAX = 24


def test_there_is_a_board_for_each_subject() -> None:
    subjects = ("cycle", "carriers", "calls", "store", "fraud")

    assert {path.stem for path in dashboards()} == {f"dastak-{subject}" for subject in subjects}


@pytest.mark.parametrize(("path", "board"), BOARDS)
def test_board_can_be_found_and_says_what_it_shows(path: Path, board: dict[str, Any]) -> None:
    ids = [panel["id"] for panel in board["panels"]]

    assert board["uid"] == path.stem
    assert "id" not in board, "Grafana gives that"
    assert board["title"].startswith("Dastak: ")
    assert board["tags"] == ["dastak"]
    assert len(set(ids)) == len(ids)
    for panel in board["panels"]:
        assert panel["title"]
        assert panel["description"].endswith(".")
        assert panel["fieldConfig"]["defaults"]["unit"]
        assert panel["targets"]


@pytest.mark.parametrize(("path", "board"), BOARDS)
def test_board_reads_from_the_source_that_is_set_up(path: Path, board: dict[str, Any]) -> None:
    [source] = yaml.safe_load((PROVISIONING / "datasources" / "prometheus.yaml").read_text())["datasources"]
    wanted = {"type": source["type"], "uid": source["uid"]}

    named = [panel["datasource"] for panel in board["panels"]]
    named += [target["datasource"] for panel in board["panels"] for target in panel["targets"]]

    assert [one for one in named if one != wanted] == []


@pytest.mark.parametrize(("path", "board"), BOARDS)
def test_panels_do_not_lie_on_one_another(path: Path, board: dict[str, Any]) -> None:
    def cells(panel: dict[str, Any]) -> set[tuple[int, int]]:
        at = panel["gridPos"]
        return {(at["x"] + right, at["y"] + down) for right in range(at["w"]) for down in range(at["h"])}

    for one, other in combinations(board["panels"], 2):
        assert cells(one).isdisjoint(cells(other)), (one["title"], other["title"])
    assert max(x for panel in board["panels"] for x, _ in cells(panel)) < COLUMNS_MAX


@pytest.mark.parametrize(("path", "board"), BOARDS)
def test_queries_are_such_as_prometheus_reads(path: Path, board: dict[str, Any], tmp_path: Path) -> None:
    """Promtool reads them as recording rules, with the interval that Grafana would put in."""
    queries = [query.replace("$__rate_interval", "1m") for query in panel_queries(board)]
    rules = [{"record": f"query{number}", "expr": query} for number, query in enumerate(queries)]
    file = tmp_path / "rules.json"
    file.write_text(json.dumps({"groups": [{"name": "board", "rules": rules}]}))

    done = run(program("promtool"), "check", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize(("path", "board"), BOARDS)
def test_board_knows_no_machine(path: Path, board: dict[str, Any]) -> None:
    assert re.findall(r"https?://|/home/|/tmp/|localhost|127\.0\.0\.1", path.read_text()) == []


def test_boards_lie_where_grafana_is_told_to_look() -> None:
    [provider] = yaml.safe_load((PROVISIONING / "dashboards" / "dastak.yaml").read_text())["providers"]
    grafana = yaml.safe_load((DEPLOY / "compose.cluster.yaml").read_text())["services"]["grafana"]
    mounted = dict(volume.split(":")[:2] for volume in grafana["volumes"] if volume.startswith("./"))

    assert mounted["./grafana/dashboards"] == provider["options"]["path"]
    assert mounted["./grafana/provisioning"] == "/etc/grafana/provisioning"


def test_every_figure_of_dastak_is_looked_at_somewhere() -> None:
    names = {f"{name}_total" for name in (*metrics.COUNTERS, *metrics.TOTALS)} | set(metrics.GAUGES)
    asked = {name for found in queries().values() for query in found for name in METRIC.findall(query)}

    assert names - asked == set()
