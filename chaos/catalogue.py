"""Which scene plays which fault of the list."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Final

from chaos import (
    absent_services,
    carrier_faults,
    clock_faults,
    count_faults,
    deaths,
    disk_faults,
    failed_texts,
    failovers,
    lead_faults,
    memory_faults,
    overload,
)
from chaos.outcome_table import Outcome
from chaos.stage import Stage

Scene = Callable[[Stage], Awaitable[Outcome]]

SCENES: Final[Mapping[str, Scene]] = {
    "F1": deaths.kills,
    "F2": deaths.kills_with_submits_under_way,
    "F3": deaths.kill_of_a_full_house,
    "F4": deaths.freeze,
    "F5": failovers.primary_killed,
    "F6": disk_faults.stall,
    "F7": disk_faults.lost_answers,
    "F8": count_faults.lost_counts,
    "F10": disk_faults.full_disk,
    "F11": disk_faults.failing_fsync,
    "F12": carrier_faults.cut_link,
    "F13": carrier_faults.silent_link,
    "F14": carrier_faults.throttling,
    "F15": carrier_faults.strange_receipts,
    "F16": failed_texts.failed_texts,
    "F17": carrier_faults.slow_carrier,
    "F18": clock_faults.steps,
    "F19": overload.flood,
    "F20": overload.retry_storm,
    "F21": lead_faults.sink_down,
    "F22": absent_services.absent_services,
    "F23": deaths.restarts,
    "F24": disk_faults.older_copy,
    "F25": memory_faults.out_of_memory,
    "F26": overload.soak,
    "F27": carrier_faults.lossy_link,
    "F28": disk_faults.poison,
    "F29": failovers.machine_lost,
    "F30": failovers.primary_cut_off,
    "F31": failovers.standby_cut_off,
    "F32": failovers.switchover,
    "F33": failovers.primary_cut_off_without_a_proxy,
    "F34": failovers.etcd_lost,
    "F35": overload.flood_before_the_proxy,
}
