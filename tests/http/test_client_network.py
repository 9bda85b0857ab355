"""Which addresses count as one client: of IPv6, all of a /64."""

import pytest
from flask import Flask

from medfiles.http.rate_limits import client_network


@pytest.mark.parametrize(
    ("address", "network"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ("2001:db8:1:2::1", "2001:db8:1:2::/64"),
        ("2001:db8:1:3::1", "2001:db8:1:3::/64"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::/64"),
        ("", "unknown"),
    ],
)
def test_client_network_of_an_address(app: Flask, address: str, network: str) -> None:
    with app.test_request_context(environ_overrides={"REMOTE_ADDR": address}):
        assert client_network() == network
