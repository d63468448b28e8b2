"""The address of a database, led through another port."""

import pytest

from chaos.server_database import port_of, through


@pytest.mark.parametrize(
    ("url", "port", "led"),
    [
        ("postgresql://asha@127.0.0.1:5433/db", 5433, "postgresql://asha@127.0.0.1:7000/db"),
        ("postgresql://asha:pw@localhost/db?x=1", 5432, "postgresql://asha:pw@127.0.0.1:7000/db?x=1"),
        ("postgresql://localhost/db", 5432, "postgresql://127.0.0.1:7000/db"),
    ],
)
def test_address_keeps_all_but_its_port(url: str, port: int, led: str) -> None:
    assert port_of(url) == port
    assert through(7000, url) == led
