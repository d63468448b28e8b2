"""The files of deploy/, read as the programs that take them read them."""

import json
import re
import subprocess
from pathlib import Path
from typing import Any, Final

import yaml

ROOT: Final = Path(__file__).resolve().parents[2]
DEPLOY: Final = ROOT / "deploy"
PROMETHEUS: Final = DEPLOY / "prometheus"
ALERTS: Final = PROMETHEUS / "alerts.yml"
RUNBOOKS: Final = ROOT / "docs" / "runbooks"
# What any of these programs may take on a loaded machine.
RUN_S_MAX: Final = 300
# What any of these programs may take on a loaded machine.
RUN_S_MAX: Final = 300
# A metric of ours in a query, but no figure that a rule of ours records.
METRIC: Final = re.compile(r"(?<![\w:])dastak_\w+")
RECORDED: Final = re.compile(r"(?<![\w:])dastak:[\w:]+")


def alert_rules() -> dict[str, dict[str, Any]]:
    """Return every alert by its name."""
    groups = yaml.safe_load(ALERTS.read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def recording_rules() -> dict[str, str]:
    """Return the query of every recorded figure by its name."""
    groups = yaml.safe_load((PROMETHEUS / "rules.yml").read_text())["groups"]
    return {rule["record"]: rule["expr"] for group in groups for rule in group["rules"]}


def runbook_of(alert: str) -> str:
    """Return where an alert's page is: its name in small letters with hyphens."""
    name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", alert).lower()
    return f"docs/runbooks/{name}.md"


def queries() -> dict[str, list[str]]:
    """Return every query of the rules, alerts and dashboards, by where it stands."""
    found = {f"rule {name}": [query] for name, query in recording_rules().items()}
    found |= {f"alert {name}": [rule["expr"]] for name, rule in alert_rules().items()}
    found |= {f"dashboard {path.stem}": panel_queries(board) for path, board in dashboards().items()}
    return found


def dashboards() -> dict[Path, dict[str, Any]]:
    """Return every dashboard of Grafana by its file."""
    return {
        path: json.loads(path.read_text())
        for path in sorted((DEPLOY / "grafana" / "dashboards").glob("*.json"))
    }


def panel_queries(board: dict[str, Any]) -> list[str]:
    """Return every query of a dashboard's panels."""
    return [target["expr"] for panel in board["panels"] for target in panel.get("targets", ())]


def run(*command: str | Path, **more: Any) -> "subprocess.CompletedProcess[str]":
    """Run a program to its end, however it ends, and return what it said."""
    return subprocess.run(command, check=False, capture_output=True, text=True, timeout=RUN_S_MAX, **more)
