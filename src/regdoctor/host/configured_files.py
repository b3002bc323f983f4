"""Looks at the files that a registry's configuration names: whether they are there, and hold what they must."""

from __future__ import annotations

import re
import stat
from collections.abc import Callable
from pathlib import Path
from typing import Final

from msgspec.structs import replace

from regdoctor.facts.config import ConfigFile, ConfiguredFile, ConfiguredFiles, FileState
from regdoctor.facts.tls import ServedCertificate
from regdoctor.host.config_file import others_enter

_LARGEST: Final = 1024 * 1024
_MOST_FILES: Final = 50
_CERTIFICATES: Final = frozenset(
    {("http", "tls", "certificate"), ("http", "tls", "clientcas"), ("auth", "token", "rootcertbundle")}
)
_SIGNING_KEY: Final = ("compatibility", "schema1", "signingkeyfile")
_TRUSTED_KEY: Final = re.compile(rb"-----BEGIN (?:EC|RSA) PRIVATE KEY-----")
"""The keys that libtrust reads (docker/libtrust ``key.go``, UnmarshalPrivateKeyPEM)."""
_KEYS: Final = frozenset({("http", "tls", "key")})
_PASSWORDS: Final = ("auth", "htpasswd", "path")
"""The registry writes this file itself where it is missing, so that its absence stops nothing."""


def look_at_files(
    settings: ConfigFile, locate: Callable[[str], Path | None] | None = None
) -> ConfiguredFiles:
    """Every file that a setting names.

    :param locate: where this host finds a file that the registry names, or None where that cannot be told. By
        default a relative path, which leads from the folder in which the registry was started, is looked for
        beside the configuration, and here.
    """
    from regdoctor.registry_config.schema import schema

    found = []
    for entry in settings.entries:
        key = schema().find(entry.path)
        named = key is not None and key.file
        if entry.path[:3] == ("http", "tls", "clientcas") and len(entry.path) == 4:
            named = True
        if entry.path == _PASSWORDS:
            named = True
        if not (named and entry.kind not in ("map", "list", "null") and entry.value):
            continue
        if locate is None:
            places = [folder / entry.value for folder in (Path(settings.path).parent, Path())]
        else:
            places = [path for path in (locate(entry.value),) if path is not None]
        seen = [_look(entry.path, place) for place in places]
        there = next((each for each in seen if each.state is not FileState.MISSING), next(iter(seen), None))
        if there is not None:
            found.append(replace(there, path=entry.value, found_at=there.path))
    return ConfiguredFiles(files=tuple(found[:_MOST_FILES]))


def _look(setting: tuple[str, ...], path: Path) -> ConfiguredFile:
    mode: int | None = None

    def seen(state: FileState, message: str = "", public_key: str | None = None) -> ConfiguredFile:
        return ConfiguredFile(
            setting=setting,
            path=str(path),
            state=state,
            message=message,
            public_key=public_key,
            mode=mode,
            others_enter=mode is not None and others_enter(path),
        )

    try:
        if stat.S_ISDIR(path.stat().st_mode):
            return seen(FileState.FOLDER, "is a directory")
        if not stat.S_ISREG(path.stat().st_mode):
            return seen(FileState.UNREADABLE, "is not a regular file")
        mode = stat.S_IMODE(path.stat().st_mode)
        with path.open("rb") as file:
            data = file.read(_LARGEST)
    except FileNotFoundError:
        return seen(FileState.MISSING, "no such file or directory")
    except PermissionError:
        return seen(FileState.FORBIDDEN, "permission denied")
    except (OSError, ValueError) as error:
        return seen(FileState.UNREADABLE, getattr(error, "strerror", None) or str(error))
    kind = setting[:3]
    if kind in _CERTIFICATES:
        first = _first_certificate(data)
        if first is None:
            return seen(FileState.NO_CERTIFICATE, "holds no certificate (BEGIN CERTIFICATE)")
        public_key, certificate = first
        return replace(seen(FileState.USABLE, public_key=public_key), certificate=certificate)
    if kind in _KEYS:
        own_key, message = _private_key(data)
        return seen(FileState.USABLE if not message else FileState.NO_KEY, message, own_key)
    if kind == _SIGNING_KEY and path.suffix not in (".json", ".jwk") and not _TRUSTED_KEY.search(data):
        return seen(
            FileState.NO_KEY, "holds no key of the form BEGIN EC PRIVATE KEY or BEGIN RSA PRIVATE KEY"
        )
    return seen(FileState.USABLE)


def _first_certificate(data: bytes) -> tuple[str, ServedCertificate] | None:
    from cryptography import x509

    from regdoctor.certificates import pem_certificates, read_certificate

    for der in pem_certificates(data):
        try:
            key = _fingerprint(x509.load_der_x509_certificate(der).public_key())
            return key, read_certificate(der)
        except ValueError:
            continue
    return None


def _private_key(data: bytes) -> tuple[str | None, str]:
    """The public part of a private key, and why there is none; the key itself is kept nowhere."""
    from cryptography.exceptions import UnsupportedAlgorithm
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    if b"PRIVATE KEY-----" not in data:
        return None, "holds no private key (BEGIN … PRIVATE KEY)"
    start = data.index(b"-----BEGIN")
    while b"PRIVATE KEY" not in data[start : data.index(b"\n", start) if b"\n" in data[start:] else None]:
        following = data.find(b"-----BEGIN", start + 1)
        if following < 0:
            break
        start = following
    try:
        return _fingerprint(load_pem_private_key(data[start:], password=None).public_key()), ""
    except TypeError:
        return None, "holds an encrypted private key; the registry asks for no passphrase"
    except (ValueError, UnsupportedAlgorithm):
        return None, "holds a private key that cannot be read"


def _fingerprint(key: object) -> str:
    import hashlib

    from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

    return hashlib.sha256(
        key.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo)  # type: ignore[attr-defined]
    ).hexdigest()
