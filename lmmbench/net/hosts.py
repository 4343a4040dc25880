"""What a host's name says by itself: no name server is asked."""

from __future__ import annotations

import ipaddress


def is_address(host: str) -> bool:
    """Whether it is an address (IPv4 or IPv6), not a name."""
    try:
        ipaddress.ip_address(host)
    except ValueError:
        return False
    return True


def is_loopback(host: str) -> bool:
    """Whether a host name or address means this machine."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
