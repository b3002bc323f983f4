"""Handshakes that clients broke off because of the server's certificate, read from a server's log.

The alert that a client sends says so (RFC 8446 section 6.2). Go's ``net/http`` names it in words, as in
``http: TLS handshake error from 10.0.0.5:1234: remote error: tls: bad certificate``; programs on OpenSSL (nginx)
give its number. A handshake that ends in EOF or a reset is a health check or a port scan.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path

from regdoctor.facts.tls import ClientRejection, ClientRejections

LARGEST = 16 * 1024 * 1024
"""Bytes that are read from the end of a log."""
MOST_LINES = 100
_ALERTS = {
    "42": "bad certificate",
    "43": "unsupported certificate",
    "44": "revoked certificate",
    "45": "expired certificate",
    "46": "unknown certificate",
    "48": "unknown certificate authority",
}
"""Alerts about the certificate by number, in the words of Go's ``crypto/tls``."""


def read_rejections(path: Path) -> ClientRejections:
    """What the last 16 MiB of a log say about clients that reject the server's certificate.

    :raises OSError: the file cannot be read, or is none.
    """
    with path.open("rb") as log:
        status = os.fstat(log.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no file")
        skipped = max(0, status.st_size - LARGEST)
        if skipped:
            log.seek(skipped)
            log.readline(LARGEST)
        data = log.read(LARGEST)
    found: list[ClientRejection] = []
    count = 0
    for line, text in enumerate(data.splitlines(), start=1):
        rejection = _rejection(text[:4096].decode("utf-8", "replace"), None if skipped else line)
        if rejection is not None:
            count += 1
            found = [*found[-(MOST_LINES - 1) :], rejection]
    return ClientRejections(path=str(path), count=count, last=tuple(found), whole=not skipped)


def _rejection(text: str, line: int | None) -> ClientRejection | None:
    go = re.search(r"TLS handshake error from (\S+?)(?::\d+)?: remote error: tls: ([a-z ]+)", text)
    if go is not None and go[2].strip() in _ALERTS.values():
        return ClientRejection(line=line, client=go[1].strip("[]"), alert=go[2].strip())
    openssl = re.search(r"SSL alert number (\d+)\).{0,80}handshak.{0,40}client: ([^,\s]+)", text)
    if openssl is not None and openssl[1] in _ALERTS:
        return ClientRejection(line=line, client=openssl[2], alert=_ALERTS[openssl[1]])
    return None
