"""The bench: all of it can be imported, and a case that fails does not lose the others."""

import pkgutil
from importlib import import_module

import msgspec
import pytest

import bench
from bench.__main__ import Cases
from bench.report import Memory, Report, targets, text

MODULES = sorted(module.name for module in pkgutil.iter_modules(bench.__path__, "bench."))


@pytest.mark.parametrize("name", MODULES)
def test_module_of_the_bench_imports(name: str) -> None:
    assert import_module(name).__doc__


async def test_case_that_fails_is_kept_beside_what_the_next_one_found() -> None:
    cases = Cases()

    async def fails() -> int:
        raise TimeoutError("no receipt")

    async def finds() -> int:
        return 7

    found = [await cases.run("first", fails), await cases.run("second", finds)]

    assert found == [None, 7]
    assert cases.failures == {"first": "TimeoutError: no receipt"}


def test_report_without_figures_says_so_reaches_nothing_and_can_be_kept() -> None:
    report = Report(
        machine={"cpu": "one"},
        neighbour_slowdown=None,
        fsyncs=None,
        bare=[],
        throughput=[],
        rounds=[],
        latencies=[],
        submits=[],
        failover=None,
        spoken_calls=[],
        call_setups=None,
        pages=None,
        postgres=None,
        memory=Memory(started_mib=None, ended_mib=None, filled_mib=None),
        footprint=None,
        failures={"call set-ups": "TimeoutError: no receipt"},
    )

    told = text(report)

    assert told.endswith("FAILED: call set-ups: TimeoutError: no receipt")
    assert "disk: not measured" in told
    # Nothing was asked, so nothing was refused either.
    assert [reached.what for reached in targets(report) if reached.reached] == ["answers that were not 2xx"]
    assert msgspec.json.decode(msgspec.json.encode(report), type=Report) == report
