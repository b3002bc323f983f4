"""Which authorities, and which client certificates, the clients on this host would use for a registry.

The system's authorities are found as Go's clients find them (docker, containerd, podman, skopeo, crane are
all written in Go): ``crypto/x509`` ``root_unix.go`` and ``root_linux.go``.
"""

from __future__ import annotations

import itertools
import os
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from regdoctor.net.certificates import names_of, pem_certificates
from regdoctor.options import Options

SYSTEM_BUNDLES = (
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/ssl/cert.pem",
)
"""The bundle is the first of these that can be read, unless ``SSL_CERT_FILE`` names another."""

SYSTEM_FOLDERS = ("/etc/ssl/certs", "/etc/pki/tls/certs")
"""Every file in these counts besides the bundle, unless ``SSL_CERT_DIR`` names others, separated by ``:``."""

_FILE_LIMIT = 8 * 1024 * 1024
_FOLDER_LIMIT = 4096

_KEY = "trust stores"


@dataclass(frozen=True)
class Authorities:
    """Trusted certificates (DER) without repetition, found by subject as Go finds them."""

    certificates: tuple[bytes, ...]
    paths: tuple[str, ...] = ()
    """The files and folders that they come from."""
    by_subject: Mapping[bytes, tuple[bytes, ...]] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        index: dict[bytes, tuple[bytes, ...]] = {}
        for der in self.certificates:
            names = names_of(der)
            if names is not None:
                index[names[1]] = (*index.get(names[1], ()), der)
        object.__setattr__(self, "by_subject", index)


@dataclass(frozen=True)
class ClientPair:
    """A client certificate and its key, as PEM files."""

    cert: Path
    key: Path


@dataclass(frozen=True)
class TrustStore:
    """What one client trusts for one registry besides the system's authorities, and what it offers itself."""

    name: str
    """``system``, ``given`` (``--cacert``, ``--certs-dir``), ``docker``, ``containers`` or ``containerd``."""
    files: tuple[Path, ...] = ()
    extra: Authorities = Authorities(())
    pairs: tuple[ClientPair, ...] = ()
    problem: str | None = None
    """Why a file that it names could not be used; null where all could."""


def system_authorities(
    environment: Mapping[str, str], shared: dict[str, Any], lock: threading.Lock
) -> Authorities:
    """The system's authorities; read once a run.

    :param environment: looked up for ``SSL_CERT_FILE`` and ``SSL_CERT_DIR``.
    :param shared: the run's own store for such values, guarded by ``lock``.
    """
    named_file, named_folders = environment.get("SSL_CERT_FILE", ""), environment.get("SSL_CERT_DIR", "")
    key = (_KEY, named_file, named_folders)
    with lock:
        kept = shared.get(str(key))
        if not isinstance(kept, Authorities):
            kept = _read_system(
                (named_file,) if named_file else SYSTEM_BUNDLES,
                tuple(named_folders.split(":")) if named_folders else SYSTEM_FOLDERS,
            )
            shared[str(key)] = kept
        return kept


def _read_system(bundles: tuple[str, ...], folders: tuple[str, ...]) -> Authorities:
    found: dict[bytes, None] = {}
    paths = []
    for bundle in bundles:
        content = _content(Path(bundle))
        if content is not None:
            paths.append(bundle)
            found.update(dict.fromkeys(pem_certificates(content)))
            break
    for folder in folders:
        more = [der for der in _folder_certificates(folder, without=paths) if der not in found]
        if more:
            paths.append(folder)
            found.update(dict.fromkeys(more))
    return Authorities(tuple(found), tuple(paths))


def _folder_certificates(folder: str, without: list[str]) -> list[bytes]:
    """The certificates of every file of a folder; a link to a file beside it is skipped, as in Go."""
    found: list[bytes] = []
    try:
        with os.scandir(folder) as entries:
            for entry in sorted(itertools.islice(entries, _FOLDER_LIMIT), key=lambda entry: entry.name):
                path = Path(entry.path)
                if entry.path in without or (entry.is_symlink() and "/" not in str(path.readlink())):
                    continue
                found.extend(pem_certificates(_content(path) or b""))
    except OSError:
        return found
    return found


def _content(path: Path) -> bytes | None:
    """The content of a regular file of reasonable size, or None where it cannot be read."""
    try:
        # A pipe would block the opening, a device never end.
        if not path.is_file():
            return None
        with path.open("rb") as file:
            content = file.read(_FILE_LIMIT + 1)
    except OSError:
        return None
    return content if len(content) <= _FILE_LIMIT else None


def read_authorities(files: tuple[Path, ...]) -> tuple[Authorities, str | None]:
    """The certificates of the given PEM files, and what is wrong with the first that yields none, if any."""
    found: dict[bytes, None] = {}
    problem = None
    for path in files:
        content = _content(path)
        certificates = pem_certificates(content or b"")
        if not certificates and problem is None:
            problem = f"{path} cannot be read" if content is None else f"{path} holds no PEM certificate"
        found.update(dict.fromkeys(certificates))
    return Authorities(tuple(found), tuple(str(path) for path in files)), problem


def trust_store(options: Options, host_port: str, home: Path) -> TrustStore:
    """What decides for this run: the authorities given by options, or else those that docker would use.

    Docker reads ``/etc/docker/certs.d/HOST[:PORT]`` and, without root, ``~/.config/docker/certs.d``
    (moby ``registry/config.go``); ``*.crt`` are authorities added to the system's, ``*.cert`` with
    ``*.key`` client certificates.
    """
    pairs: tuple[ClientPair, ...] = ()
    if options.cert is not None:
        pairs = (ClientPair(options.cert, options.key or options.cert),)
    if options.cacert is not None or options.certs_dir is not None:
        folder = None if options.certs_dir is None else _given_folder(options.certs_dir, host_port)
        files = (() if options.cacert is None else (options.cacert,)) + _files(folder, ".crt")
        name = "given"
    else:
        folder = next(
            (
                root / name
                for root in (Path("/etc/docker/certs.d"), home / ".config/docker/certs.d")
                for name in folder_names(host_port)
                if (root / name).is_dir()
            ),
            None,
        )
        files = _files(folder, ".crt")
        name = "docker"
    extra, problem = read_authorities(files)
    return TrustStore(name=name, files=files, extra=extra, pairs=pairs or _pairs(folder), problem=problem)


def folder_names(host_port: str) -> tuple[str, ...]:
    """The names of a registry's folder below ``certs.d``: ``host:port``, for port 443 also ``host``."""
    host, _, port = host_port.rpartition(":")
    return (host_port, host) if port == "443" else (host_port,)


def _given_folder(certs_dir: Path, host_port: str) -> Path:
    """The registry's own folder below the given one, or the given one itself where there is none."""
    return next(
        (certs_dir / name for name in folder_names(host_port) if (certs_dir / name).is_dir()), certs_dir
    )


def _files(folder: Path | None, suffix: str) -> tuple[Path, ...]:
    if folder is None:
        return ()
    try:
        return tuple(sorted(path for path in folder.iterdir() if path.suffix == suffix))[:_FOLDER_LIMIT]
    except OSError:
        return ()


def _pairs(folder: Path | None) -> tuple[ClientPair, ...]:
    return tuple(
        ClientPair(cert, cert.with_suffix(".key"))
        for cert in _files(folder, ".cert")
        if cert.with_suffix(".key").is_file()
    )
