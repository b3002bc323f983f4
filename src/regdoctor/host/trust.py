"""Which authorities, and which client certificates, the clients on this host would use for a registry.

The system's authorities are found as Go's clients find them (docker, containerd, podman, skopeo, crane are
all written in Go): ``crypto/x509`` ``root_unix.go`` and ``root_linux.go``.
"""

from __future__ import annotations

import itertools
import os
import shutil
import threading
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from msgspec.structs import replace

from regdoctor.certificates import names_of, pem_certificates
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

LOCAL_FOLDERS = (
    "/usr/local/share/ca-certificates",
    "/etc/pki/ca-trust/source/anchors",
    "/etc/pki/trust/anchors",
)
"""Where administrators add authorities (update-ca-certificates(8), update-ca-trust(8))."""

_FILE_LIMIT = 8 * 1024 * 1024
_FOLDER_LIMIT = 4096

_MOST_FOLDERS = 200
_MOST_FILES = 50
_TRUST_SUFFIXES = frozenset({".crt", ".cert", ".key", ".pem", ".cer", ".ca"})

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
        content = read_small(Path(bundle))
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
                found.extend(pem_certificates(read_small(path) or b""))
    except OSError:
        return found
    return found


def read_small(path: Path) -> bytes | None:
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


def local_authorities() -> tuple[tuple[Path, tuple[bytes, ...]], ...]:
    """The files that administrators added to the system's authorities, with their certificates."""
    found = []
    for folder in LOCAL_FOLDERS:
        for path in sorted(itertools.islice(Path(folder).rglob("*"), _FOLDER_LIMIT)):
            certificates = pem_certificates(read_small(path) or b"")
            if certificates:
                found.append((path, certificates))
    return tuple(found)


def read_authorities(files: tuple[Path, ...]) -> tuple[Authorities, str | None]:
    """The certificates of the given PEM files, and what is wrong with the first that yields none, if any."""
    found: dict[bytes, None] = {}
    problem = None
    for path in files:
        content = read_small(path)
        certificates = pem_certificates(content or b"")
        if not certificates and problem is None:
            problem = f"{path} cannot be read" if content is None else f"{path} holds no PEM certificate"
        found.update(dict.fromkeys(certificates))
    return Authorities(tuple(found), tuple(str(path) for path in files)), problem


def trust_stores(
    options: Options, names: Sequence[str], home: Path, environment: Mapping[str, str]
) -> tuple[TrustStore, ...]:
    """What the clients on this host trust for a registry; the first one's judgement counts for the run.

    Authorities that the options name replace all folders. Else docker's counts, or where docker is
    not installed that of the first other engine that has a folder for the registry. Of the others those are given
    that have files of their own:

    - docker reads ``/etc/docker/certs.d/HOST[:PORT]``, without root ``~/.config/docker/certs.d`` (moby
      ``registry/config.go``); ``*.crt`` are authorities added to the system's, ``*.cert`` with ``*.key``
      client certificates;
    - podman, skopeo and CRI-O read the first folder that exists of ``~/.config/containers/certs.d``,
      ``/etc/containers/certs.d`` and docker's (containers-certs.d(5));
    - containerd reads ``/etc/containerd/certs.d`` (or ``--hosts-dir``), where ``hosts.toml`` may name
      authorities (containerd ``docs/hosts.md``).

    :param names: what the registry's folder may be called, see :func:`folder_names`.
    """
    if options.cacert is not None or options.certs_dir is not None:
        return (_given(options, names),)
    docker = _store("docker", _folder(docker_roots(home), names), options)
    others = []
    folder = _folder(containers_roots(home), names)
    if folder is not None:
        others.append(_store("containers", folder, options))
    containerd = _containerd(containerd_roots(options), names, options)
    if containerd is not None:
        others.append(containerd)
    if not docker.files and others and not docker_installed(environment):
        return (*others, docker)
    return (docker, *others)


def trust_contexts(
    options: Options, names: Sequence[str], home: Path, environment: Mapping[str, str]
) -> tuple[TrustStore, ...]:
    """Everything on this host that a served chain can be judged by; the first one counts for the run.

    Besides :func:`trust_stores` these are, where ``--cacert`` is given, those clients that have files of their own
    for the registry, and last the system's authorities alone. docker without files of its own is left out where it
    is not installed: it would be the system once more.
    """
    first, *others = trust_stores(options, names, home, environment)
    if options.cacert is not None and options.certs_dir is None:
        folders = replace(options, cacert=None)
        others = [store for store in trust_stores(folders, names, home, environment) if store.files]
    kept = [store for store in others if store.files or docker_installed(environment)]
    return (first, *kept, TrustStore(name="system"))


def docker_roots(home: Path) -> tuple[Path, ...]:
    """Where docker looks for folders of registries."""
    return (Path("/etc/docker/certs.d"), home / ".config/docker/certs.d")


def containers_roots(home: Path) -> tuple[Path, ...]:
    """Where podman, skopeo, buildah and CRI-O look for folders of registries, before docker's."""
    return (home / ".config/containers/certs.d", Path("/etc/containers/certs.d"))


def containerd_roots(options: Options) -> tuple[Path, ...]:
    """Where containerd looks for folders of registries, as its ``config_path`` usually says."""
    return (options.hosts_dir or Path("/etc/containerd/certs.d"),)


def docker_installed(environment: Mapping[str, str]) -> bool:
    """Whether this host has docker: its socket or its program."""
    return (
        Path("/run/docker.sock").exists() or shutil.which("dockerd", path=environment.get("PATH")) is not None
    )


def folder_names(host_port: str, domain: str | None = None) -> tuple[str, ...]:
    """What a registry's folder below ``certs.d`` may be called.

    :param domain: ``HOST[:PORT]`` as written in the image reference, where there is one; the folder must be
        called exactly like it. Else ``host:port``, and for port 443 also ``host``.
    """
    if domain is not None:
        return (domain,)
    host, _, port = host_port.rpartition(":")
    return (host, host_port) if port == "443" else (host_port,)


def _given(options: Options, names: Sequence[str]) -> TrustStore:
    """``--cacert`` and ``--certs-dir``: the registry's folder below it, or the folder itself without one."""
    folder = None
    if options.certs_dir is not None:
        folder = _folder((options.certs_dir,), names) or options.certs_dir
    return _store("given", folder, options, () if options.cacert is None else (options.cacert,))


def _folder(roots: Iterable[Path], names: Sequence[str]) -> Path | None:
    return next((root / name for root in roots for name in names if _is_folder(root / name)), None)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _store(name: str, folder: Path | None, options: Options, more: tuple[Path, ...] = ()) -> TrustStore:
    files = (*more, *files_with(folder, ".crt"))
    extra, problem = read_authorities(files)
    return TrustStore(name=name, files=files, extra=extra, pairs=_pairs(folder, options), problem=problem)


def _containerd(roots: Iterable[Path], names: Sequence[str], options: Options) -> TrustStore | None:
    """What containerd trusts; None where it has no folder for the registry, or is told not to verify it."""
    folders = [name for text in names for name in (_underscored(text), text) if name]
    folder = _folder(roots, [*folders, "_default"])
    if folder is None:
        return None
    tables = _hosts_toml(folder)
    if tables is None:
        return _store("containerd", folder, options)
    if any(table.get("skip_verify") is True for table in tables):
        return None
    named = [table.get("ca") for table in tables]
    texts = [text for value in named for text in (value if isinstance(value, list) else [value])]
    listed = tuple(dict.fromkeys(folder / text for text in texts if isinstance(text, str)))
    extra, problem = read_authorities(listed)
    return TrustStore(
        name="containerd", files=listed, extra=extra, pairs=_pairs(None, options), problem=problem
    )


def _underscored(name: str) -> str | None:
    """``host_port_``, the form for file systems without colons (containerd ``hosts.go``)."""
    host, colon, port = name.rpartition(":")
    return f"{host}_{port}_" if colon and port.isdigit() else None


def _hosts_toml(folder: Path) -> list[dict[str, Any]] | None:
    """The tables of a ``hosts.toml`` that set how hosts are trusted; None without one that can be parsed."""
    content = read_small(folder / "hosts.toml")
    if content is None:
        return None
    try:
        document = tomllib.loads(content.decode())
    except (UnicodeDecodeError, tomllib.TOMLDecodeError):
        return None
    hosts = document.get("host")
    tables = [document, *(hosts.values() if isinstance(hosts, dict) else ())]
    return [table for table in tables if isinstance(table, dict)]


def files_with(folder: Path | None, suffix: str) -> tuple[Path, ...]:
    """The files of a folder whose names end so, sorted; none where it cannot be listed."""
    if folder is None:
        return ()
    try:
        return tuple(sorted(path for path in folder.iterdir() if path.name.endswith(suffix)))[:_FOLDER_LIMIT]
    except OSError:
        return ()


def _pairs(folder: Path | None, options: Options) -> tuple[ClientPair, ...]:
    """The client certificates to offer: the one that the options name, or the whole pairs of a folder."""
    if options.cert is not None:
        return (ClientPair(options.cert, options.key or options.cert),)
    return tuple(
        ClientPair(cert, cert.with_suffix(".key"))
        for cert in files_with(folder, ".cert")
        if cert.with_suffix(".key").is_file()
    )


@dataclass(frozen=True)
class ListedFolder:
    """A folder below a root of trust folders, with its certificate and key files by name."""

    path: Path
    client: str
    used: bool
    files: tuple[Path, ...]
    problem: str | None = None


def list_folders(
    options: Options, names: Sequence[str], home: Path
) -> tuple[tuple[Path, ...], list[ListedFolder]]:
    """The folders that clients look into for a registry, and every folder below their roots that has files.

    Where ``--certs-dir`` is given, only what lies there counts.

    :param names: what the registry's folder may be called, see :func:`folder_names`.
    """
    roots = (
        [("given", options.certs_dir)]
        if options.certs_dir is not None
        else [
            *(("docker", root) for root in docker_roots(home)),
            *(("containers", root) for root in containers_roots(home)),
            *(("containerd", root) for root in containerd_roots(options)),
        ]
    )
    expected: list[Path] = []
    found: list[ListedFolder] = []
    for client, root in roots:
        wanted = [root / name for name in _names_for(client, names)]
        expected.extend(wanted[:1])
        own = next((folder for folder in wanted if _is_folder(folder)), None)
        if client == "given" and own is None:
            own = root
        if any(folder.used and folder.client == client for folder in found):
            # Only the first root that has a folder for the registry counts.
            own = None
        for folder in (root, *_mistyped(root), *_subfolders(root)):
            files, problem = _trust_files(folder)
            if files or problem:
                found.append(ListedFolder(folder, client, folder == own, files, problem))
    return tuple(expected), found


def _names_for(client: str, names: Sequence[str]) -> list[str]:
    if client != "containerd":
        return list(names)
    return [*(each for name in names for each in (_underscored(name), name) if each), "_default"]


def _mistyped(root: Path) -> tuple[Path, ...]:
    """The folder beside the root that is called ``cert.d``, a usual slip."""
    return tuple(path for path in (root.with_name("cert.d"),) if root.name == "certs.d" and _is_folder(path))


def _subfolders(root: Path) -> tuple[Path, ...]:
    found: list[Path] = []
    for parent in (root, *_mistyped(root)):
        try:
            found.extend(sorted(path for path in parent.iterdir() if _is_folder(path))[:_MOST_FOLDERS])
        except OSError:
            continue
    return tuple(found)


def _trust_files(folder: Path) -> tuple[tuple[Path, ...], str | None]:
    try:
        names = sorted(path for path in folder.iterdir() if path.suffix in _TRUST_SUFFIXES)
    except FileNotFoundError:
        return (), None
    except OSError as error:
        return (), f"{folder} cannot be listed: {error.strerror}"
    return tuple(path for path in names[:_MOST_FILES] if not _is_folder(path)), None
