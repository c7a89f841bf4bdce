"""Trusted proxies: only they can set a caller's address, and that it used HTTPS."""

from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings


class TrustedProxies:
    """Middleware that sets REMOTE_ADDR to the client's address.

    X-Forwarded-For is read only here: from the right to the first address that is not in
    TRUSTED_PROXIES. X-Forwarded-Proto of other peers is removed.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        self.set_caller_address(request.META)
        return self.get_response(request)

    @classmethod
    def set_caller_address(cls, meta) -> None:
        forwarded = meta.pop("HTTP_X_FORWARDED_FOR", "")
        hops = forwarded.split(",") if forwarded else []
        peer = cls.parse_address(meta.get("REMOTE_ADDR", ""))
        if not cls.is_proxy(peer):
            meta.pop("HTTP_X_FORWARDED_PROTO", None)
        while hops and cls.is_proxy(peer):
            peer = cls.parse_address(hops.pop().strip())  # None if it is no address
        meta["REMOTE_ADDR"] = cls.format_address(peer)

    @staticmethod
    @lru_cache(maxsize=1024)  # parsing takes longer than a look-up
    def parse_address(text):
        """Return the IP address, or None. IPv4 mapped into IPv6 is returned as IPv4."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        return getattr(address, "ipv4_mapped", None) or address

    @staticmethod
    @lru_cache(maxsize=1024)
    def format_address(address) -> str:
        return str(address or "")

    @staticmethod
    def is_proxy(address) -> bool:
        proxies = settings.TRUSTED_PROXIES
        return bool(proxies and address) and any(address in network for network in proxies)


def group_address(text: str) -> str:
    """Return the address that stands for a caller's address, or "" if it is none.

    For IPv6 it is the address of the /64 network, of which one host can have all addresses.
    """
    address = TrustedProxies.parse_address(text)
    if address and address.version == 6:
        address = ip_network((int(address), 64), strict=False).network_address
    return TrustedProxies.format_address(address)


def lockout_address(request) -> str | None:
    """Return the address that wrong passwords are counted for, or None if it is unknown."""
    return group_address(request.META.get("REMOTE_ADDR", "")) or None
