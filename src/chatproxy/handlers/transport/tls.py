"""The TLS settings towards upstreams.

Rule: the environment decides nothing but where the system keeps its certificates. ``ssl.create_default_context`` is
not used, because it writes session keys to the file named by ``SSLKEYLOGFILE``.
"""

import ssl
from pathlib import Path

import certifi

Verify = bool | str | ssl.SSLContext


def client_context(verify: Verify = True) -> ssl.SSLContext:
    """Make a context for connections to upstreams: TLS 1.2 or later, HTTP/1.1 only.

    Args:
        verify: True for the system's certificate authorities (certifi's where the system has none), a path to a PEM
            file or a directory of authorities, False to check nothing, or a finished context, which is only told
            the protocol to negotiate.

    Raises:
        OSError: the path cannot be read, or holds no certificates (``ssl.SSLError``).
    """
    context = verify if isinstance(verify, ssl.SSLContext) else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.set_alpn_protocols(["http/1.1"])
    if context is verify:
        return context
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    if verify is False:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    elif verify is True:
        _load_authorities(context)
    elif Path(str(verify)).is_dir():
        context.load_verify_locations(capath=str(verify))
    else:
        context.load_verify_locations(cafile=str(verify))
    return context


def _load_authorities(context: ssl.SSLContext) -> None:
    context.load_default_certs()
    directory: str | None = ssl.get_default_verify_paths().capath
    has_directory = bool(directory) and any(Path(str(directory)).iterdir())
    if not has_directory and not context.cert_store_stats()["x509_ca"]:
        context.load_verify_locations(cafile=certifi.where())
