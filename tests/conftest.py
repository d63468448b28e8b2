"""What holds for all tests, and the running program that outside tests share."""

import os
from collections.abc import Iterable, Iterator
from itertools import chain, islice
from pathlib import Path
from typing import Final

import pytest
from hypothesis import HealthCheck, settings

from tests.support.dastak_process import DastakProcess

# Other work runs on the same cores: how long an example took says nothing about the code.
settings.register_profile("dastak", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("dastak")


# The gate has half an hour. These take a minute each, and what they look at is looked at by shorter ones as
# well, or stands apart: `make test-all` plays them too.
LONG: Final = {
    # Of the adapter that is an extra the gate plays one refusal and the settings: beside other tests its
    # library loses the sound of a digit now and then.
    "test_softphone_hears_the_code_by_baresip_after_the_digit",
    "test_baresip_proves_itself_to_a_trunk_and_follows_its_route[tcp]",
    "test_baresip_proves_itself_to_a_trunk_and_follows_its_route[udp]",
    "test_call_that_is_called_off_while_it_rings_is_cancelled_by_baresip",
    "test_person_who_hangs_up_on_baresip_is_told_so",
    "test_phone_stops_ringing_by_baresip_when_the_program_is_killed",
    "test_refusal_of_the_phone_is_told_by_baresip[603-declined-603 Decline]",
    "test_bench_whole.py",
    "test_call_crash_ends.py",
    "test_call_of_the_program_to_a_softphone_is_well_formed_and_its_code_is_in_the_sound_alone[TCP-info-off]",
    "test_call_of_the_program_to_a_softphone_is_well_formed_and_its_code_is_in_the_sound_alone[UDP-rtpevent-required]",
    "test_call_srtp.py",
    "test_call_goes_to_the_second_server_of_a_name_when_the_first_one_is_dead",
    "test_phone_behind_the_trunk_hears_the_code_bit_for_bit[udp-MD5]",
    "test_page_is_built_by_keyboard_and_its_visitors_become_leads",
    "test_stranger_gets_the_hosted_page_of_nobody_whatever_becomes_of_the_message[called]",
    "test_stranger_gets_the_same_of_a_login_whatever_becomes_of_the_message[called]",
    "test_call_languages.py",
    "test_call_load.py",
    "test_promises_hold_when_the_line_to_a_server_of_the_database_fails[F6]",
    "test_promises_hold_when_the_line_to_a_server_of_the_database_fails[F7]",
    "test_exchange_foreign.py",
    "test_rolling_upgrade.py",
    "test_rush_on_a_trunk_is_called_in_turn_within_its_channels_or_told_why_not[many]",
    "test_rush_on_a_trunk_is_called_in_turn_within_its_channels_or_told_why_not[too-many]",
    "test_systemd_boot.py",
    "test_call_takes_the_second_trunk_without_waiting_when_the_first_is_known_to_be_dead[tcp]",
    "test_every_page_and_state_can_be_read_and_used_on_a_narrow_screen[light]",
}

# While a call is waited for, the cores have these to do.
BETWEEN_CALLS: Final = 5


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Begin with what takes long, so that no core waits at the end or in between; else in random order.

    What is long is told as deselected, unless DASTAK_LONG is 1 or it was asked for by name.
    """
    if os.environ.get("DASTAK_LONG") != "1" and not any(name in arg for arg in config.args for name in LONG):
        long = [item for item in items if {item.path.name, item.name} & LONG]
        config.hook.pytest_deselected(items=long)
        items[:] = [item for item in items if item not in set(long)]
    turns = {path: turn for turn, path in enumerate(_in_turn(dict.fromkeys(item.path for item in items)))}
    items.sort(key=lambda item: turns[item.path])


def _in_turn(paths: Iterable[Path]) -> list[Path]:
    """Put the longest files first, and between two of calls, which mostly wait, some that work."""
    first = ("test_chaos_patroni", "test_store_model", "test_store.py", "test_postgres")
    longest_first = sorted(
        paths, key=lambda path: (not path.name.startswith(first), path.parent.name != "e2e")
    )
    calls = [path for path in longest_first if path.name.startswith("test_call_")]
    others = iter([path for path in longest_first if not path.name.startswith("test_call_")])
    return [*chain.from_iterable((call, *islice(others, BETWEEN_CALLS)) for call in calls), *others]


@pytest.fixture(scope="session")
def dastak(tmp_path_factory: pytest.TempPathFactory) -> Iterator[DastakProcess]:
    """A `dastak dev` to send requests to; take a number of your own, since its limits are shared."""
    with DastakProcess(tmp_path_factory.mktemp("dastak") / "data") as process:
        yield process
