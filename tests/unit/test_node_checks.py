"""The doctor on nodes: late beats, clocks apart, binds that nobody holds, two versions, silent calls."""

from pathlib import Path

import msgspec
import pytest

from dastak.commands.checks import node_checks
from dastak.commands.checks.diagnosis import Scene
from dastak.commands.checks.server_facts import ServerFacts
from dastak.commands.doctor import look_at, run_check
from dastak.commands.init import make_installation
from dastak.config_read import load
from dastak.core.carrier import Carrier, CarrierKind
from dastak.core.node import Beat, Node, Role, Slot

NORTH = Carrier(name="north", kind=CarrierKind.SMPP, settings={"binds": 2})
SOUTH = Carrier(name="south", kind=CarrierKind.SMPP)
TEXTER = Carrier(name="texter", kind=CarrierKind.HTTP)
ALL_HELD = (Slot("north", 0, 1, True), Slot("north", 1, 2), Slot("south", 0, 2))


def a_node(
    n: int, *, role: Role = Role.ALL, version: str = "1.2.0", late_s: float = 0.4, ahead_s: float | None = 0.0
) -> Node:
    return Node(n=n, name=f"host{n}", roles=(role,), version=version, beat_age_s=late_s, ahead_s=ahead_s)


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> Scene:
    home = tmp_path_factory.mktemp("nodes") / "made"
    made = look_at(load(make_installation(home, {}), {}))
    return msgspec.structs.replace(made, stored=(NORTH, SOUTH, TEXTER))


def findings(scene: Scene, *nodes: Node, slots: tuple[Slot, ...] = ALL_HELD) -> dict[str, tuple[str, str]]:
    server = ServerFacts(beat=Beat(nodes, slots))
    seen = msgspec.structs.replace(scene, server=server)
    found = [run_check(check, seen) for check in node_checks.CHECKS]
    return {one.check: (one.status, one.what) for one in found}


def test_nodes_that_live_well_have_no_fault(scene: Scene) -> None:
    found = findings(scene, a_node(1, ahead_s=0.6), a_node(2, ahead_s=-0.3))

    assert {status for status, _ in found.values()} == {"ok"}


def test_checks_are_skipped_where_no_node_lives(scene: Scene) -> None:
    assert {status for status, _ in findings(scene).values()} == {"skipped"}


def test_nodes_are_no_matter_of_a_file(scene: Scene) -> None:
    found = [run_check(check, scene) for check in node_checks.CHECKS]

    assert {one.status for one in found} == {"skipped"}


@pytest.mark.parametrize(
    ("check", "nodes", "slots", "status", "what"),
    [
        (
            "nodes.beats",
            (a_node(1, late_s=2.6), a_node(2)),
            ALL_HELD,
            "warning",
            "node 1 (host1) was heard of 2.6 s ago",
        ),
        (
            "nodes.clocks",
            (a_node(1, ahead_s=-0.7), a_node(2, ahead_s=0.5), a_node(3, ahead_s=None)),
            ALL_HELD,
            "warning",
            "the clock of node 2 (host2) is 1.2 s ahead of that of node 1 (host1)",
        ),
        (
            "nodes.binds",
            (a_node(1), a_node(2)),
            ALL_HELD[:1],
            "warning",
            "nobody holds 1 of 2 binds of north; 1 of 1 binds of south; ask again in five seconds",
        ),
        (
            "nodes.binds",
            (a_node(1, role=Role.API), a_node(2, role=Role.WORKER)),
            (),
            "failed",
            "no node has the role carrier: nobody holds 2 of 2 binds of north; 1 of 1 binds of south",
        ),
        (
            "nodes.versions",
            (a_node(1), a_node(2, version=""), a_node(3)),
            ALL_HELD,
            "warning",
            "two versions run side by side"
            " (1.2.0: node 1 (host1), node 3 (host3); an older version: node 2 (host2))",
        ),
    ],
)
def test_each_fault_of_nodes_is_told_by_name(
    scene: Scene, check: str, nodes: tuple[Node, ...], slots: tuple[Slot, ...], status: str, what: str
) -> None:
    found = findings(scene, *nodes, slots=slots)

    assert found.pop(check) == (status, what)
    assert {status for status, _ in found.values()} == {"ok"}


@pytest.mark.parametrize(
    ("node", "second", "status"),
    [("", Role.WORKER, "warning"), ("node1", Role.WORKER, "ok"), ("", Role.API, "ok")],
)
def test_calls_over_http_of_several_nodes_need_the_name_of_each(
    scene: Scene, node: str, second: Role, status: str
) -> None:
    caller = Carrier(name="caller", kind=CarrierKind.HTTP_VOICE)
    named = load(scene.loaded.file, {"DASTAK__SERVER__NODE": node})
    calling = msgspec.structs.replace(scene, loaded=named, stored=(*scene.stored, caller))

    found = findings(calling, a_node(1), a_node(2, role=second))

    what = "2 nodes call by caller, and server.node does not say which this one is"
    assert found["nodes.calls"] == (status, what if status == "warning" else found["nodes.calls"][1])


def test_binds_of_the_settings_file_count_as_well(scene: Scene, tmp_path: Path) -> None:
    file = make_installation(tmp_path / "made", {})
    with file.open("a") as toml:
        toml.write('\n[carriers.west]\nhost = "127.0.0.1"\nsystem_id = "us"\npassword = "x"\nbinds = 3\n')
    of_file = msgspec.structs.replace(scene, loaded=load(file, {}), stored=())

    found = findings(of_file, a_node(1), slots=(Slot("west", 2, 1, True),))

    assert found["nodes.binds"][1].startswith("nobody holds 2 of 3 binds of west;")
