"""Reads X.509 certificates as they come: whole bundles quickly, served ones in full and without crashing.

The quick part (PEM blocks, subject and issuer as bytes) needs no library, so that a bundle of 150
authorities costs a few milliseconds and only those that a chain asks for are parsed.
"""

from __future__ import annotations

import binascii

_BEGIN = b"-----BEGIN CERTIFICATE-----"
_END = b"-----END CERTIFICATE-----"

_SEQUENCE = 0x30
_VERSION = 0xA0


def pem_certificates(content: bytes) -> tuple[bytes, ...]:
    """The certificates (DER) of a PEM file, in order; whatever else stands there is left out.

    As Go's ``AppendCertsFromPEM`` does, only ``CERTIFICATE`` blocks without headers count.
    """
    found = []
    for part in content.split(_BEGIN)[1:]:
        body, end, _ = part.partition(_END)
        if not end or b":" in body:
            continue
        try:
            found.append(binascii.a2b_base64(body))
        except binascii.Error:
            continue
    return tuple(found)


def names_of(der: bytes) -> tuple[bytes, bytes] | None:
    """Issuer and subject of a certificate as DER, or None where the bytes are no certificate.

    Go's clients look for an issuer by comparing exactly these bytes (``crypto/x509`` ``cert_pool.go``).
    """
    try:
        tag, start, end = _element(der, 0)
        if tag != _SEQUENCE:
            return None
        tag, position, _ = _element(der, start)
        if tag != _SEQUENCE:
            return None
        tag, _, after = _element(der, position)
        if tag == _VERSION:
            tag, _, after = _element(der, after)
        _, _, issuer_start = _element(der, after)
        tag, _, issuer_end = _element(der, issuer_start)
        _, _, subject_start = _element(der, issuer_end)
        subject_tag, _, subject_end = _element(der, subject_start)
    except IndexError:
        return None
    if tag != _SEQUENCE or subject_tag != _SEQUENCE or subject_end > end:
        return None
    return der[issuer_start:issuer_end], der[subject_start:subject_end]


def _element(der: bytes, position: int) -> tuple[int, int, int]:
    """Tag, start of the content and end of the DER element at a position (X.690 section 8.1).

    :raises IndexError: the bytes end before the element does.
    """
    tag, length = der[position], der[position + 1]
    start = position + 2
    if length & 0x80:
        count = length & 0x7F
        if count > 4:
            raise IndexError("longer than any certificate")
        length = int.from_bytes(der[start : start + count], "big")
        start += count
    if start + length > len(der):
        raise IndexError("cut off")
    return tag, start, start + length
