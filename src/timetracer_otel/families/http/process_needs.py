"""What a process asks when it first needs it and keeps for all its requests: who it is, and whose words it believes.

Access tokens (RFC 6749, RFC 8693), key sets and metadata (RFC 7517, RFC 8615), temporary credentials of AWS STS, and
what the metadata service of a cloud tells its machines. What one user's code is exchanged for is none of them.
"""

from __future__ import annotations

import re
from typing import Final
from urllib.parse import urlsplit

__all__ = ["is_process_need"]

_LARGEST: Final = 16 * 1024
"""Bytes of a body that may ask for a token."""
_GRANT: Final = re.compile(rb"""(?:^|[&"'\s{])grant_type["']?\s*[=:]\s*["']?(?!authorization_code|\S*device_code)\w""")
_ROLE: Final = re.compile(rb"(?:^|&)Action=(?:AssumeRole|GetSessionToken|GetFederationToken)")
_KEYS: Final = re.compile(r"/\.well-known/|jwks|/oauth2/v\d/certs$|/discovery/(?:v[\d.]+/)?keys$", re.IGNORECASE)
_METADATA: Final = frozenset({"169.254.169.254", "169.254.170.2", "fd00:ec2::254", "metadata.google.internal"})
"""Hosts where AWS (IMDS, ECS), Azure and Google Cloud tell a machine about itself."""


def is_process_need(method: str, url: str, body: bytes) -> bool:
    """Say whether a request asks what a process keeps for all that it does later.

    Args:
        method: of HTTP.
        url: absolute.
        body: as it was sent.
    """
    try:
        parts = urlsplit(url)
        if parts.hostname in _METADATA:
            return True
    except ValueError:  # no URL
        return False
    if method.upper() == "GET":
        return _KEYS.search(parts.path) is not None
    if method.upper() != "POST" or len(body) > _LARGEST:
        return False
    return _GRANT.search(body) is not None or _ROLE.search(body) is not None
