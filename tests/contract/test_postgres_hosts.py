"""Of several hosts in a URL the one that answered last is asked first."""

import socket
from collections.abc import Iterator
from urllib.parse import urlsplit

import pytest
from psycopg.conninfo import conninfo_to_dict

from dastak.store.postgres import postgres_lane
from dastak.store.postgres.postgres_lane import _answered_first, connect
from tests.support.postgres_server import shared_server


@pytest.fixture
def silent() -> Iterator[socket.socket]:
    """A machine that takes connections and never says a word: its cable was pulled."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.setblocking(False)
        yield listening


def came(listening: socket.socket) -> int:
    """Return how many have come since this was asked last."""
    count = 0
    try:
        while True:
            listening.accept()[0].close()
            count += 1
    except BlockingIOError:
        return count


@pytest.fixture
def both(silent: socket.socket) -> str:
    """The URL of a database with the silent machine before the server."""
    url = urlsplit(shared_server().new_database())
    hosts = f"127.0.0.1:{silent.getsockname()[1]},{url.hostname}:{url.port}"
    return f"postgresql://{url.username}@{hosts}{url.path}"


def test_silent_host_is_waited_for_once(both: str, silent: socket.socket) -> None:
    connect(both).close()
    assert came(silent) == 1

    for _ in range(3):
        with connect(both) as later:
            assert later.execute("SELECT 1").fetchone() == (1,)
    assert came(silent) == 0


def test_others_are_asked_when_the_host_that_answered_last_is_silent(
    both: str, silent: socket.socket, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(postgres_lane._answered, both, ("127.0.0.1", str(silent.getsockname()[1])))

    for _ in range(3):
        connect(both).close()

    assert came(silent) == 1


@pytest.mark.parametrize(
    ("url", "hosts", "ports"),
    [
        ("postgresql://db1,db2,db3/dastak", "db2,db1,db3", ",,"),
        ("postgresql://db1:5433,db2:5432,db3:5433/dastak", "db2,db1,db3", "5432,5433,5433"),
        ("postgresql://db1,db2/dastak?port=5432", "db2,db1", "5432,5432"),
        ("postgresql://db3,db4/dastak", "db3,db4", ","),
    ],
)
def test_ports_stay_with_their_hosts(url: str, hosts: str, ports: str) -> None:
    given = conninfo_to_dict(url)

    assert _answered_first(given, ("db2", "5432")) == {"host": hosts, "port": ports}
    assert _answered_first(given, None) == {}


@pytest.mark.parametrize(
    "url", ["postgresql:///dastak", "postgresql://db2/dastak", "host=db2 hostaddr=192.0.2.1"]
)
def test_one_host_is_left_as_it_is_written(url: str) -> None:
    assert _answered_first(conninfo_to_dict(url), ("db2", "5432")) == {}
