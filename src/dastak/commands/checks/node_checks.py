"""Whether the nodes that share the database live well, agree on the time, and miss no bind and no call."""

from collections.abc import Mapping, Sequence
from typing import Final

from dastak.commands.checks.diagnosis import Check, Fault, Scene
from dastak.core.carrier import CarrierKind
from dastak.core.node import HOLD_S, Beat, Node, does

# Whom a beat of a busy node seems behind by less; codes are judged by each node's own clock.
APART_S_MAX: Final = 1.0
_LIST: Final = "dastak nodes"


def has_nodes(scene: Scene) -> bool:
    """Apply where nodes live."""
    return bool(_beat(scene).nodes)


def beats(scene: Scene) -> Fault | None:
    """Find nodes that were not heard of for so long that they have let their binds go."""
    late = [node for node in _beat(scene).nodes if node.beat_age_s > HOLD_S]
    if not late:
        return None
    what = "; ".join(f"{_named(node)} was heard of {node.beat_age_s:.1f} s ago" for node in late)
    return Fault(what, f"{_LIST}; then its log, for `a beat of this node was lost`", warning=True)


def clocks(scene: Scene) -> Fault | None:
    """Find nodes whose clocks are apart."""
    told = sorted((node.ahead_s, node.n, node) for node in _beat(scene).nodes if node.ahead_s is not None)
    if not told or told[-1][0] - told[0][0] <= APART_S_MAX:
        return None
    (least_s, _, behind), (most_s, _, ahead) = told[0], told[-1]
    what = f"the clock of {_named(ahead)} is {most_s - least_s:.1f} s ahead of that of {_named(behind)}"
    return Fault(what, "timedatectl set-ntp true, on both", warning=True)


def binds(scene: Scene) -> Fault | None:
    """Find binds of carriers that no node holds."""
    beat = _beat(scene)
    lacking = {
        name: (allowed - held, allowed)
        for name, allowed in _allowances(scene).items()
        if (held := sum(slot.carrier == name for slot in beat.slots)) < allowed
    }
    if not lacking:
        return None
    what = "; ".join(f"{n} of {allowed} binds of {name}" for name, (n, allowed) in lacking.items())
    if not any(does(node.roles).binds for node in beat.nodes):
        return Fault(f"no node has the role carrier: nobody holds {what}", "dastak serve --role carrier")
    return Fault(f"nobody holds {what}; ask again in five seconds", _LIST, warning=True)


def versions(scene: Scene) -> Fault | None:
    """Find nodes of different versions."""
    by_version: dict[str, list[Node]] = {}
    for node in _beat(scene).nodes:
        by_version.setdefault(node.version or "an older version", []).append(node)
    if len(by_version) < 2:
        return None
    what = "; ".join(
        f"{version}: {', '.join(map(_named, nodes))}" for version, nodes in sorted(by_version.items())
    )
    return Fault(f"two versions run side by side ({what})", "finish the upgrade, node by node", warning=True)


def calls(scene: Scene) -> Fault | None:
    """Find calls over HTTP that several nodes make, and whose carriers cannot come to the right one."""
    calling = [carrier.name for carrier in scene.stored if carrier.kind is CarrierKind.HTTP_VOICE]
    sending = [node for node in _beat(scene).nodes if does(node.roles).sends]
    if scene.settings.server.node or not calling or len(sending) < 2:
        return None
    what = (
        f"{len(sending)} nodes call by {', '.join(calling)}, and server.node does not say which this one is"
    )
    return Fault(what, "export DASTAK__SERVER__NODE=node1, as the proxy calls this node", warning=True)


def _allowances(scene: Scene) -> Mapping[str, int]:
    """Return how many binds each carrier of SMPP gives."""
    of_file = {name: carrier.binds for name, carrier in scene.settings.carriers.items()}
    stored = [carrier for carrier in scene.stored if carrier.kind is CarrierKind.SMPP]
    return of_file | {carrier.name: int(carrier.settings.get("binds", 1)) for carrier in stored}


def _beat(scene: Scene) -> Beat:
    return Beat() if scene.server is None else scene.server.beat


def _named(node: Node) -> str:
    return f"node {node.n} ({node.name})"


CHECKS: Final[Sequence[Check]] = (
    Check(
        "nodes.beats",
        "every node is heard of each second",
        "it has closed its binds, and after four seconds the others take its messages over",
        beats,
        applies=has_nodes,
    ),
    Check(
        "nodes.clocks",
        "all nodes have one time",
        "a code that one node still takes is over for another",
        clocks,
        applies=has_nodes,
    ),
    Check(
        "nodes.binds",
        "every bind is held by a node",
        "texts are sent more slowly than the carrier allows, or not at all",
        binds,
        applies=has_nodes,
    ),
    Check(
        "nodes.versions",
        "all nodes are of one version",
        "what a later version needs of the schema waits until the older one is gone",
        versions,
        applies=has_nodes,
    ),
    Check(
        "nodes.calls",
        "carriers that call over HTTP are led to the node that made the call",
        "phones ring and nothing is said, whenever the carrier's fetch comes to another node",
        calls,
        applies=has_nodes,
    ),
)
