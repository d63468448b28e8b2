"""How many machines so many codes a day take, by what one was measured to cost: `python -m bench.to_scale`.

What is measured comes from a run of `python -m bench --growth`; what is assumed stands here as constants.
"""

import argparse
from collections import Counter
from collections.abc import Callable, Sequence
from itertools import accumulate
from math import ceil
from pathlib import Path
from random import Random

import msgspec

from bench.growth import Growth
from bench.report import tabulated

MEASURED = Path("bench/results/growth-reference.json")
CODES_A_DAY = (1_000_000, 10_000_000, 100_000_000, 1_000_000_000)

DAY_S = 86_400
# People log in by day, and more of them in the evening; one in ten checks is wrong and comes again.
PEAK_FACTOR = 5
CHECKS_EACH = 1.1
KEPT_DAYS = 30
# No core, log or disk is planned to be fuller at the peak: the other half is for a node that died.
FULL_MAX = 0.5
# One primary, as large as one is bought without a second thought.
PRIMARY_CORES = 32
PRIMARY_LOG_MB_S = 200
PRIMARY_DISK_TB = 8

# Whom a shard serves, by what the rows are spread over: few large tenants, or many numbers.
TENANTS = 1_000
TENANT_SKEW = 1.1
DRAWS = 200_000
PLACES = 4_096
SHARDS_DRAWN = (4, 16, 64)


class Cost(msgspec.Struct, frozen=True, kw_only=True):
    """What one code takes from its start to the answer of its check.

    Attributes:
        node_us: Of a core that runs Dastak.
        server_us: Of a core that runs PostgreSQL.
        log_octets: Of write-ahead log.
        row_octets: Of files as long as it is kept.
    """

    node_us: float
    server_us: float
    log_octets: float
    row_octets: float


class Plan(msgspec.Struct, frozen=True, kw_only=True):
    """What so many codes a day take.

    Attributes:
        shards_by: Which of them decides how many primaries there are.
    """

    codes_a_day: int
    peak_per_s: float
    node_cores: float
    server_cores: float
    log_mb_s: float
    disk_tb: float
    shards: int
    shards_by: str


def cost_of(growth: Growth) -> Cost:
    """Return what was measured at the largest size on PostgreSQL."""
    one = max(
        (one for one in growth.sizes if one.database == "PostgreSQL"), key=lambda one: one.verifications
    )
    return Cost(
        node_us=one.starts.cpu_us + CHECKS_EACH * one.checks.cpu_us,
        server_us=one.starts_server_us + CHECKS_EACH * one.checks_server_us,
        log_octets=one.wal_octets,
        row_octets=one.row_octets,
    )


def plan(codes_a_day: int, cost: Cost) -> Plan:
    """Return what so many codes a day take at their peak, and how many primaries that makes."""
    peak_per_s = codes_a_day / DAY_S * PEAK_FACTOR
    server_cores = peak_per_s * cost.server_us / 1e6
    log_mb_s = peak_per_s * cost.log_octets / 1e6
    disk_tb = codes_a_day * KEPT_DAYS * cost.row_octets / 1e12
    wanted = {
        "cores": server_cores / PRIMARY_CORES,
        "log": log_mb_s / PRIMARY_LOG_MB_S,
        "disk": disk_tb / PRIMARY_DISK_TB,
    }
    # What one primary lacks most.
    shards_by = max(wanted, key=lambda name: wanted[name])
    return Plan(
        codes_a_day=codes_a_day,
        peak_per_s=peak_per_s,
        node_cores=peak_per_s * cost.node_us / 1e6 / FULL_MAX,
        server_cores=server_cores / FULL_MAX,
        log_mb_s=log_mb_s,
        disk_tb=disk_tb,
        shards=max(1, ceil(wanted[shards_by] / FULL_MAX)),
        shards_by=shards_by,
    )


def one_carries(cost: Cost) -> int:
    """Return how many codes a day one primary carries, to a million."""
    one = plan(1_000_000, cost)
    wanted = (
        one.server_cores / PRIMARY_CORES,
        one.log_mb_s / PRIMARY_LOG_MB_S / FULL_MAX,
        one.disk_tb / PRIMARY_DISK_TB / FULL_MAX,
    )
    return int(1 / max(wanted)) * 1_000_000


def hottest(shards: int, key: Callable[[Random], int], chance: Random) -> float:
    """Draw codes and return how many times its fair share the busiest shard gets.

    Args:
        shards: How many there are.
        key: Draws what a code is spread by.
        chance: Of the draws.
    """
    place_of = [chance.randrange(PLACES) for _ in range(TENANTS)]
    loads: Counter[int] = Counter()
    for _ in range(DRAWS):
        drawn = key(chance)
        place = place_of[drawn] if drawn < TENANTS else drawn % PLACES
        loads[place * shards // PLACES] += 1
    return max(loads.values()) / (DRAWS / shards)


def by_tenant() -> Callable[[Random], int]:
    """Return what draws the tenant of a code: the second largest has half of the largest, and so on."""
    weights = list(accumulate(1 / rank**TENANT_SKEW for rank in range(1, TENANTS + 1)))
    return lambda chance: chance.choices(range(TENANTS), cum_weights=weights)[0]


def by_number(chance: Random) -> int:
    """Draw the number of a code."""
    return TENANTS + chance.randrange(10**9)


def text(cost: Cost, plans: Sequence[Plan]) -> str:
    """Return both tables."""
    head = (
        "codes a day",
        "peak/s",
        "node cores",
        "server cores",
        "log MB/s",
        f"TB in {KEPT_DAYS} days",
        "primaries",
        "by",
    )
    rows = [
        (
            f"{one.codes_a_day:,}",
            f"{one.peak_per_s:,.0f}",
            f"{one.node_cores:,.1f}",
            f"{one.server_cores:,.1f}",
            f"{one.log_mb_s:,.1f}",
            f"{one.disk_tb:,.2f}",
            str(one.shards),
            one.shards_by,
        )
        for one in plans
    ]
    spread = [
        (
            str(shards),
            f"{hottest(shards, by_tenant(), Random(1)):.2f}",
            f"{hottest(shards, by_number, Random(1)):.2f}",
        )
        for shards in SHARDS_DRAWN
    ]
    return "\n\n".join(
        (
            f"one code: {cost.node_us:.0f} us of a node, {cost.server_us:.0f} us of the server, "
            f"{cost.log_octets:,.0f} octets of log, {cost.row_octets:,.0f} octets kept\n"
            f"one primary carries {one_carries(cost):,} codes a day",
            tabulated(head, rows),
            tabulated(("shards", "busiest by tenant", "busiest by number"), spread),
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(prog="bench.to_scale", description=__doc__)
    parser.add_argument(
        "--measured", type=Path, default=MEASURED, help=f"by `bench --growth`; {MEASURED} if absent"
    )
    asked = parser.parse_args()
    cost = cost_of(msgspec.json.decode(asked.measured.read_bytes(), type=Growth))
    print(text(cost, [plan(codes, cost) for codes in CODES_A_DAY]))


if __name__ == "__main__":
    main()
