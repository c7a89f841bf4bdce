"""The caller's address behind trusted proxies."""

from functools import lru_cache
from ipaddress import ip_address, ip_network

from django.conf import settings


class TrustedProxies:
    """Makes REMOTE_ADDR the caller's address, and drops what an untrusted peer says of itself.

    The one place where X-Forwarded-For is read: from the right, past the proxies
    named in TRUSTED_PROXIES, to the first address that is none of them.
    """

    def __init__(self, get_response):
        self.get_response = get_response

    def __call__(self, request):
        self.settle(request.META)
        return self.get_response(request)

    @classmethod
    def settle(cls, meta) -> None:
        """Do so in what the server says of a request."""
        forwarded = meta.pop("HTTP_X_FORWARDED_FOR", "")
        hops = forwarded.split(",") if forwarded else []
        peer = cls.address(meta.get("REMOTE_ADDR", ""))
        if not cls.is_proxy(peer):
            meta.pop("HTTP_X_FORWARDED_PROTO", None)
        while hops and cls.is_proxy(peer):
            peer = cls.address(hops.pop().strip())  # None: then nobody knows who calls
        meta["REMOTE_ADDR"] = cls.written(peer)

    @staticmethod
    @lru_cache(maxsize=1024)  # reading one takes longer than looking it up
    def address(text):
        """The IP address, IPv4 even where it is written inside an IPv6 one; None if it is none."""
        try:
            address = ip_address(text)
        except ValueError:
            return None
        return getattr(address, "ipv4_mapped", None) or address

    @staticmethod
    @lru_cache(maxsize=1024)
    def written(address) -> str:
        return str(address or "")

    @staticmethod
    def is_proxy(address) -> bool:
        proxies = settings.TRUSTED_PROXIES
        return bool(proxies and address) and any(address in network for network in proxies)


def lockout_address(request) -> str | None:
    """The address that wrong passwords are counted for; None where nobody knows who calls.

    By IPv6 it is the network of 64 bits: whoever has one address there has all of them.
    """
    address = TrustedProxies.address(request.META.get("REMOTE_ADDR", ""))
    if address and address.version == 6:
        address = ip_network((int(address), 64), strict=False).network_address
    return str(address) if address else None
