"""Another primary is excused by a machine that was silent before it took over, and by nothing later."""

import pytest

from chaos.failovers import any_silent_before_another_was_promoted

FOLLOWS = "2026-12-01 03:00:01,000 INFO: no action. I am (db2), a secondary, and following a leader (db1)"
SILENT = "2026-12-01 03:00:12,{} WARNING: Request failed to db2: POST http://192.0.2.12:8008/patroni (late)"
PROMOTED = "2026-12-01 03:00:12,{} INFO: promoted self to leader by acquiring session lock"


@pytest.mark.parametrize(
    ("said", "excused"),
    [
        pytest.param(
            {"db1": [SILENT.format(100)], "db2": [FOLLOWS, PROMOTED.format(200)]}, True, id="before"
        ),
        pytest.param({"db1": [SILENT.format(300)], "db2": [PROMOTED.format(200)]}, False, id="after"),
        pytest.param({"db1": [], "db2": [FOLLOWS, PROMOTED.format(200)]}, False, id="never"),
        pytest.param({"db1": [SILENT.format(100)], "db2": [FOLLOWS]}, False, id="nobody promoted"),
        pytest.param(
            {"db1": [SILENT.format(100), PROMOTED.format(200)], "db2": []}, False, id="itself promoted"
        ),
        pytest.param(
            {"db1": [SILENT.format(300)], "db2": [PROMOTED.format(200), PROMOTED.format(400)]},
            False,
            id="between two promotions",
        ),
        pytest.param(
            {"db1": ["Traceback", "Request failed to db2"], "db2": [PROMOTED.format(200)]},
            False,
            id="no time",
        ),
    ],
)
def test_silence_excuses_another_primary_only_when_it_came_before_it(
    said: dict[str, list[str]], excused: bool
) -> None:
    logs = {name: "".join(f"{line}\n" for line in lines) for name, lines in said.items()}

    assert any_silent_before_another_was_promoted(logs, "db1") is excused
