"""Every alert rings in the trouble it is for and is silent beside it, as Prometheus's own promtool finds."""

import json
import re
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import yaml

from tests.support.deployed import ALERTS, PROMETHEUS, alert_rules, run, runbook_of
from tests.support.needed import program

ANSWERS = 'dastak_http_answers_total{endpoint="/v1/verifications",status="%s",instance="a"}'
VERIFICATIONS = 'dastak_verifications_total{event="%s",mode="live",instance="a"}'
MESSAGES = 'dastak_messages_total{event="%s",mode="live",instance="a"}'
SUBMITS = 'dastak_submit_seconds_bucket{route="north",instance="a",le="%s"}'
SUBMITTED = 'dastak_submit_seconds_count{route="north",instance="a"}'
REFUSED = 'dastak_refusals_total{route="north",status="ESME_RSYSERR",instance="a"}'
PROXY = 'haproxy_backend_%s{proxy="api",instance="a"}'
NORTH = 'route="north",instance="a"'
DAY_M = 1440


class Case(NamedTuple):
    """Series in which an alert rings, what it says then, and series in which it must not.

    Attributes:
        every: How far apart the values of the series are, and the looks at all rules.
    """

    alert: str
    at: str
    rings: dict[str, str]
    labels: dict[str, str]
    summary: str
    silent: dict[str, str]
    every: str = "1m"


CASES = [
    Case(
        "DastakDown",
        "3m",
        {'up{job="dastak",instance="a"}': "0x10"},
        {"job": "dastak", "instance": "a"},
        "No figures come from Dastak at a",
        {'up{job="dastak",instance="a"}': "1x10"},
    ),
    Case(
        "DastakApiFails",
        "2h",
        {ANSWERS % 201: "0+97x120", ANSWERS % 500: "0+3x120"},
        {},
        "3% of requests get a fault of ours for an answer",
        # One in a thousand is what the year allows; a burst that is over does not ring any more.
        {ANSWERS % 201: "0+999x120", ANSWERS % 500: "0+1x120"},
    ),
    Case(
        "DastakApiFailsSlowly",
        "74h",
        {ANSWERS % 201: "0+3992x1125", ANSWERS % 500: "0+8x1125"},
        {},
        "At this rate the month ends with less than 99.9 % good answers",
        {ANSWERS % 201: "0+39996x1125", ANSWERS % 500: "0+4x1125"},
        # Three days by the minute would take a minute; a figure that a rule recorded is found for five.
        every="4m",
    ),
    Case(
        "DastakRefusesWork",
        "20m",
        {ANSWERS % 503: "0+30x30", ANSWERS % 201: "0+60x30"},
        {"instance": "a"},
        "a turns requests away with 503",
        {ANSWERS % 503: "0+1x30", ANSWERS % 201: "0+60x30"},
    ),
    Case(
        "DastakShedsWork",
        "8m",
        {'dastak_requests_shed_total{kind="start",instance="a"}': "0+60x10"},
        {"instance": "a"},
        "a is asked more than it can do, and sends starts or checks away",
        # Who looks at lists can wait.
        {'dastak_requests_shed_total{kind="look",instance="a"}': "0+60x10"},
    ),
    Case(
        "DastakProxyShedsWork",
        "8m",
        {PROXY % "connection_errors_total": "0+60x10", PROXY % "active_servers": "1x10"},
        {"instance": "a"},
        "HAProxy at a refuses requests: no node of Dastak has a place free",
        # Where no node is there, that is the trouble.
        {PROXY % "connection_errors_total": "0+60x10", PROXY % "active_servers": "0x10"},
    ),
    Case(
        "DastakProxyDown",
        "3m",
        {'up{job="haproxy",instance="a"}': "1 0x10", 'up{job="haproxy",instance="b"}': "1x10"},
        {"job": "haproxy", "instance": "a"},
        "No figures come from HAProxy at a",
        # One that was restarted. Who has no HAProxy hears nothing.
        {'up{job="haproxy",instance="a"}': "1 0 1x10", 'up{job="dastak",instance="a"}': "1x10"},
    ),
    Case(
        "DastakClockWrong",
        "5m",
        {'dastak_clock_offset_seconds{instance="a"}': "-0.9x10"},
        {"instance": "a"},
        "The clock of a stepped by 900ms",
        {'dastak_clock_offset_seconds{instance="a"}': "0.1x10"},
    ),
    Case(
        "DastakDatabaseAway",
        "3m",
        {'dastak_store_writes{instance="a"}': "1 0x10"},
        {"instance": "a"},
        "a cannot write to its database",
        # A failover that a scrape has seen by chance.
        {'dastak_store_writes{instance="a"}': "1 0 1x10"},
    ),
    Case(
        "DastakDatabaseUnsteady",
        "20m",
        {'dastak_database_connects_total{instance="a"}': "7+2x30"},
        {"instance": "a"},
        "a lost its database again and again: 30 new connections",
        # A start, and a primary that changed.
        {'dastak_database_connects_total{instance="a"}': "0 7 7 7 14x26"},
    ),
    Case(
        "DastakDatabaseClockWrong",
        "7m",
        {'dastak_database_clock_offset_seconds{instance="a"}': "0.9x10"},
        {"instance": "a"},
        "The clocks of a and of its database are 900ms apart",
        {'dastak_database_clock_offset_seconds{instance="a"}': "-0.2x10"},
    ),
    Case(
        "DastakDatabaseStandbyLags",
        "5m",
        {
            'patroni_xlog_location{scope="dastak",instance="db1"}': "0+33554432x10",
            'patroni_xlog_location{scope="dastak",instance="db3"}': "0x10",
            'patroni_xlog_received_location{scope="dastak",instance="db1"}': "0x10",
            'patroni_xlog_received_location{scope="dastak",instance="db3"}': "0x10",
            'patroni_replica{scope="dastak",instance="db1"}': "0x10",
            'patroni_replica{scope="dastak",instance="db3"}': "1x10",
        },
        {"scope": "dastak", "instance": "db3"},
        "The standby at db3 is 160MiB behind the primary of dastak",
        # Who is the primary has received nothing, and a standby that is a moment behind is none that lags.
        {
            'patroni_xlog_location{scope="dastak",instance="db1"}': "50331648+33554432x10",
            'patroni_xlog_location{scope="dastak",instance="db3"}': "0x10",
            'patroni_xlog_received_location{scope="dastak",instance="db1"}': "0x10",
            'patroni_xlog_received_location{scope="dastak",instance="db3"}': "50331000+33554432x10",
            'patroni_replica{scope="dastak",instance="db1"}': "0x10",
            'patroni_replica{scope="dastak",instance="db3"}': "1x10",
        },
    ),
    Case(
        "DastakDatabaseMachineDown",
        "5m",
        {'up{job="patroni",instance="db1"}': "1x10", 'up{job="patroni",instance="db3"}': "1 0x10"},
        {"job": "patroni", "instance": "db3"},
        "No figures come from the machine of the database at db3",
        {'up{job="patroni",instance="db3"}': "1 0 1x10", 'up{job="dastak",instance="a"}': "1x10"},
    ),
    Case(
        "DastakNoCarrierBound",
        "3m",
        {
            'dastak_bound{route="north",instance="a"}': "0x10",
            'dastak_bound{route="south",instance="a"}': "0x10",
        },
        {"instance": "a"},
        "a has no way out: no text or call leaves it",
        {
            'dastak_bound{route="north",instance="a"}': "0x10",
            'dastak_bound{route="south",instance="a"}': "1x10",
        },
    ),
    Case(
        "DastakCarrierUnbound",
        "10m",
        {f"dastak_bound{{{NORTH}}}": "0x20", 'dastak_bound{route="south",instance="a"}': "1x20"},
        {"route": "north"},
        "north is not connected",
        # Of several nodes one may hold the link.
        {f"dastak_bound{{{NORTH}}}": "0x20", 'dastak_bound{route="north",instance="b"}': "1x20"},
    ),
    Case(
        "DastakCarrierSlow",
        "15m",
        {SUBMITS % "1.0": "0+0x30", SUBMITS % "2.0": "0+60x30", SUBMITS % "+Inf": "0+60x30"},
        {"route": "north"},
        "north takes 1.95s to accept a text (p95)",
        {SUBMITS % "1.0": "0+60x30", SUBMITS % "2.0": "0+60x30", SUBMITS % "+Inf": "0+60x30"},
    ),
    Case(
        "DastakCarrierRefuses",
        "15m",
        {REFUSED: "0+30x30", SUBMITTED: "0+30x30"},
        {"route": "north"},
        "north refuses 50% of what it is given",
        {REFUSED: "0+6x30", SUBMITTED: "0+60x30"},
    ),
    Case(
        "DastakRouteTripped",
        "10m",
        {f"dastak_route_trips{{{NORTH}}}": "1x20"},
        {"route": "north"},
        "north failed so often that it is asked only when there is no other",
        {f"dastak_route_trips{{{NORTH}}}": "0x20"},
    ),
    Case(
        "DastakReceiptsNotBelieved",
        "15m",
        {f"dastak_route_believed{{{NORTH}}}": "0x30"},
        {"route": "north"},
        "north reports texts as delivered that nobody could have had yet",
        {f"dastak_route_believed{{{NORTH}}}": "1x30"},
    ),
    Case(
        "DastakCarrierCodesUnknown",
        "30m",
        {f"dastak_unmapped_codes_total{{{NORTH}}}": "0x10 1x30"},
        {"route": "north"},
        "north answers with codes that its profile does not know",
        {f"dastak_unmapped_codes_total{{{NORTH}}}": "7x40"},
    ),
    Case(
        "DastakMessagesWait",
        "5m",
        {'dastak_messages_waiting{instance="a"}': "250x10"},
        {"instance": "a"},
        "250 texts wait in a for a carrier with room",
        {'dastak_messages_waiting{instance="a"}': "20x10"},
    ),
    Case(
        "DastakTextsDoNotArrive",
        "40m",
        {MESSAGES % "delivered": "0+6x60", MESSAGES % "undelivered": "0+4x60"},
        {},
        "40% of texts and calls do not arrive, carriers say",
        {MESSAGES % "delivered": "0+9x60", MESSAGES % "undelivered": "0+1x60"},
    ),
    Case(
        "DastakCodesNotTyped",
        "26h",
        {
            VERIFICATIONS % "started": f"0+100x{2 * DAY_M}",
            VERIFICATIONS % "approved": f"0+80x{DAY_M} {80 * DAY_M}+20x{DAY_M}",
        },
        {},
        "Only 20% of codes are typed; yesterday it was much more",
        {
            VERIFICATIONS % "started": f"0+100x{2 * DAY_M}",
            VERIFICATIONS % "approved": f"0+80x{DAY_M} {80 * DAY_M}+70x{DAY_M}",
        },
    ),
    Case(
        "DastakVoiceProcessDies",
        "15m",
        {'dastak_voice_process_restarts_total{instance="a"}': "0+1x20"},
        {"instance": "a"},
        "The process that speaks calls died 15 times in a quarter of an hour",
        {'dastak_voice_process_restarts_total{instance="a"}': "0x10 1x10"},
    ),
    Case(
        "DastakSipScanned",
        "25m",
        {'dastak_sip_junk_total{route="north",reason="malformed",instance="a"}': "0+1200x40"},
        {"route": "north"},
        "Somebody sends 20 messages a second to the SIP port of north",
        {'dastak_sip_junk_total{route="north",reason="malformed",instance="a"}': "0+10x40"},
    ),
    Case(
        "DastakCallHooksRefused",
        "15m",
        {'dastak_call_hooks_refused_total{route="north",reason="proof",instance="a"}': "0+10x30"},
        {"route": "north"},
        "Requests for the script of a call by north are refused",
        {'dastak_call_hooks_refused_total{route="north",reason="proof",instance="a"}': "0x10 1x20"},
    ),
    Case(
        "DastakGuessing",
        "20m",
        {
            'dastak_attempts_missed_total{reason="wrong_code",mode="live",instance="a"}': "0+40x30",
            VERIFICATIONS % "approved": "0+5x30",
        },
        {},
        "Wrong codes are typed far more often than people mistype",
        # A busy site whose people mistype now and then.
        {
            'dastak_attempts_missed_total{reason="wrong_code",mode="live",instance="a"}': "0+40x30",
            VERIFICATIONS % "approved": "0+300x30",
        },
    ),
    Case(
        "DastakLimitsRefuse",
        "20m",
        {ANSWERS % 429: "0+60x40", ANSWERS % 201: "0+60x40"},
        {},
        "1 starts a second are refused by a limit",
        {ANSWERS % 429: "0+60x40", ANSWERS % 201: "0+600x40"},
    ),
    Case(
        "DastakSharedCountsLost",
        "20m",
        {'dastak_limits_unshared_total{instance="a"}': "0+5x40"},
        {"instance": "a"},
        "a limits by its own counts, because the shared ones do not answer",
        # A server that was restarted once.
        {'dastak_limits_unshared_total{instance="a"}': "0x10 8x30"},
    ),
    Case(
        "DastakCallsReported",
        "40m",
        {VERIFICATIONS % "reported": "0x10 5x40"},
        {},
        "People who are called say that they did not ask for it",
        {VERIFICATIONS % "reported": "0x10 1x40"},
    ),
]


def expected(case: Case, rules: dict[str, Any]) -> dict[str, Any]:
    rule = rules[case.alert]
    return {
        "exp_labels": {**case.labels, **rule["labels"]},
        "exp_annotations": {"summary": case.summary, "runbook_url": runbook_of(case.alert)},
    }


def unit_tests(case: Case, rules: dict[str, Any]) -> list[dict[str, Any]]:
    """Return promtool's two tests of one alert."""
    found = []
    for series, rings in ((case.rings, [expected(case, rules)]), (case.silent, [])):
        found.append({
            "interval": case.every,
            "input_series": [{"series": name, "values": values} for name, values in series.items()],
            "alert_rule_test": [{"eval_time": case.at, "alertname": case.alert, "exp_alerts": rings}],
        })  # fmt: skip
    return found


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.alert)
def test_alert_rings_in_its_trouble_alone(case: Case, tmp_path: Path) -> None:
    promtool = program("promtool")
    rules = alert_rules()
    file = tmp_path / "tests.json"
    wanted = {
        "rule_files": [str(PROMETHEUS / "rules.yml"), str(ALERTS)],
        "evaluation_interval": case.every,
        "tests": unit_tests(case, rules),
    }
    file.write_text(json.dumps(wanted))

    done = run(promtool, "test", "rules", file)

    assert done.returncode == 0, done.stdout + done.stderr


def test_every_alert_is_tried() -> None:
    assert sorted(case.alert for case in CASES) == sorted(alert_rules())


def test_configuration_is_what_prometheus_takes() -> None:
    promtool = program("promtool")

    done = run(promtool, "check", "config", PROMETHEUS / "prometheus.yml")

    assert done.returncode == 0, done.stdout + done.stderr
    assert re.findall(r"SUCCESS: (\d+) rules found", done.stdout), done.stdout


def test_severity_is_one_of_two() -> None:
    rules = yaml.safe_load(ALERTS.read_text())

    severities = {rule["labels"]["severity"] for group in rules["groups"] for rule in group["rules"]}

    assert severities == {"page", "ticket"}
