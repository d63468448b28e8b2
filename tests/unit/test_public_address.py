"""Addresses that a customer may have us connect to, and those that are ours."""

import pytest

from dastak.core.public_address import is_public


@pytest.mark.parametrize("address", ["8.8.8.8", "1.1.1.1", "2606:4700:4700::1111", "::ffff:8.8.8.8"])
def test_public_address(address: str) -> None:
    assert is_public(address)


@pytest.mark.parametrize(
    "address",
    [
        *("10.1.2.3", "127.0.0.1", "127.255.255.254", "169.254.169.254", "172.16.0.1", "172.31.255.255"),
        *("192.168.1.1", "100.64.0.1", "0.0.0.0", "192.0.0.8", "198.18.0.1", "224.0.0.1", "255.255.255.255"),
        *("::1", "::", "fc00::1", "fd00::1", "fe80::1", "fe80::1%eth0", "ff02::1", "::ffff:127.0.0.1"),
        *("::ffff:a9fe:a9fe", "64:ff9b::7f00:1", "2002:7f00:1::", "2001::1", "::127.0.0.1", "2001:db8::1"),
        *("localhost", "", "0x7f000001", "127.1", "8.8.8.8:443"),
    ],
)
def test_address_that_is_not_public(address: str) -> None:
    assert not is_public(address)
