"""What a host's name says by itself: no name server is asked."""

from __future__ import annotations

import ipaddress


def is_address(host: str) -> bool:
    """Whether it is an address (IPv4 or IPv6), not a name."""
    return _address(host) is not None


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    address = _address(host)
    return host == "localhost" if address is None else address.is_loopback


def _address(host: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        return None
