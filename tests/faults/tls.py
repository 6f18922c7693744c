"""A certificate authority for one test session, and contexts made from it."""

import ssl
from functools import cache
from pathlib import Path

import trustme


@cache
def authority() -> trustme.CA:
    """Make the authority; making one takes a while, so it is shared."""
    return trustme.CA()


def server_context(*names: str, alpn: tuple[str, ...] = ("http/1.1",)) -> ssl.SSLContext:
    """Make a server's context for these names (``localhost`` and ``127.0.0.1`` by default)."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority().issue_cert(*(names or ("localhost", "127.0.0.1"))).configure_cert(context)
    context.set_alpn_protocols(list(alpn))
    return context


def authority_file(directory: Path) -> str:
    """Write the authority's certificate to a PEM file, for ``verify``."""
    path = directory / "authority.pem"
    authority().cert_pem.write_to_path(str(path))
    return str(path)
