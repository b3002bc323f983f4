"""The credentials that clients on this host would use for a registry, found as each of them finds them.

- docker: docker/cli v29 ``cli/config/configfile/file.go`` and ``cli/config/credentials``;
- podman, skopeo, buildah, CRI-O: containers/image v5 ``pkg/docker/config/config.go`` and
  ``containers-auth.json(5)``;
- the kubelet: ``pkg/credentialprovider/keyring.go``, for Kubernetes secrets given as a file.

Secrets are held as ``Secret`` from the moment they are decoded; no message repeats any part of one.
"""

from __future__ import annotations

import os
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final, Literal
from urllib.parse import urlsplit

from regdoctor.facts.auth import (
    CredentialKind,
    CredentialNearMiss,
    CredentialProblem,
    Credentials,
    HelperCall,
)
from regdoctor.host.credential_files import (
    CredentialFile,
    Entry,
    MalformedAuth,
    decode_auth,
    parse_config,
    read_authfile,
    read_config,
    read_legacy_config,
)
from regdoctor.host.credential_helper import HELPER_TIMEOUT, call_helper
from regdoctor.oci.reference import DOCKER_HUB_CREDENTIALS_KEY, DOCKER_HUB_DOMAIN
from regdoctor.secret import Secret

Engine = Literal["docker", "containers"]

_HUB_HOSTS: Final = frozenset({DOCKER_HUB_DOMAIN, "index.docker.io", "registry-1.docker.io"})
_AUTH_FILES: Final = "containers-auth.json"
"""The name in ``credential-helpers`` that stands for the files themselves."""
_LEGACY_NAME: Final = ".dockercfg"
_MAX_NEAR_MISSES: Final = 20

_MEMBERS: Final = {
    "docker": frozenset({"auth", "username", "password", "identitytoken", "registrytoken"}),
    "containers": frozenset({"auth", "identitytoken"}),
    "kubelet": frozenset({"auth", "username", "password"}),
}
"""Which members of an entry each client reads."""


@dataclass(frozen=True, kw_only=True)
class _Match:
    """Credentials that a client would use."""

    kind: CredentialKind
    username: str | None
    secret: Secret
    source: str
    stored_as: str


def find_credentials(
    registry: str,
    *,
    environment: Mapping[str, str],
    home: Path,
    repository: str | None = None,
    authfile: Path | None = None,
    order: Sequence[Engine] = ("docker", "containers"),
    etc: Path = Path("/etc"),
    user_id: int | None = None,
    helper_timeout: float = HELPER_TIMEOUT,
) -> Credentials:
    """Look up the credentials for a registry.

    :param registry: ``host[:port]`` exactly as in image names, since clients compare it as a text;
        ``docker.io`` for Docker Hub.
    :param environment: ``DOCKER_CONFIG``, ``DOCKER_AUTH_CONFIG``, ``REGISTRY_AUTH_FILE``,
        ``XDG_RUNTIME_DIR``, ``XDG_CONFIG_HOME``, ``PATH`` and ``SUDO_USER`` are looked at.
    :param home: the home directory of the user whose client is meant.
    :param repository: podman and the kubelet can hold credentials for a part of a registry.
    :param authfile: a file named by the user; then nothing else is looked at.
    :param order: whose rules to try; the first that finds credentials wins.
    :param etc: where the system's configuration lies.
    :param user_id: whose ``/run/containers/UID/auth.json``; the effective user by default.
    :param helper_timeout: seconds for each call of a credential helper.

    Never raises. Near misses are looked for in the files that were read on the way to what was found.
    """
    lookup = _Lookup(registry, repository, environment, home, etc, user_id, helper_timeout)
    match = None
    if authfile is not None:
        match = lookup.in_authfile(authfile)
    else:
        for engine in order:
            match = match or (lookup.as_docker() if engine == "docker" else lookup.as_containers())
    return Credentials(
        key=lookup.docker_key,
        kind=None if match is None else match.kind,
        username=None if match is None else match.username,
        secret=None if match is None else match.secret,
        source=None if match is None else match.source,
        stored_as=None if match is None else match.stored_as,
        looked_in=tuple(dict.fromkeys(lookup.looked_in)),
        near_misses=lookup.near_misses(match, with_sudo=authfile is None and match is None),
        problems=tuple(dict.fromkeys(lookup.problems)),
        helper=lookup.helper,
        shadowed=lookup.shadowed(match),
    )


class _Lookup:
    """One search, with what it saw on the way."""

    def __init__(
        self,
        registry: str,
        repository: str | None,
        environment: Mapping[str, str],
        home: Path,
        etc: Path,
        user_id: int | None,
        helper_timeout: float,
    ) -> None:
        self.is_hub = registry in _HUB_HOSTS
        self.docker_key = DOCKER_HUB_CREDENTIALS_KEY if self.is_hub else registry
        self.containers_key = DOCKER_HUB_DOMAIN if self.is_hub else registry
        self.looked_in: list[str] = []
        self.problems: list[CredentialProblem] = []
        self.helper: HelperCall | None = None
        self._repository = repository
        self._environment = environment
        self._home = home
        self._etc = etc
        self._user_id = os.geteuid() if user_id is None else user_id
        self._helper_timeout = helper_timeout
        self._files: dict[str, CredentialFile] = {}

    # docker

    def as_docker(self) -> _Match | None:
        """``DOCKER_AUTH_CONFIG``, then the helper that ``config.json`` names, else its entries."""
        variable = self._environment.get("DOCKER_AUTH_CONFIG")
        if variable:
            file = self._note(parse_config(variable, "DOCKER_AUTH_CONFIG"))
            match = self._docker_entry(file)
            if match is not None:
                return match
        file = self._note(read_config(self._docker_config()))
        if file.problem is not None:
            return None
        if self.docker_key in file.helpers:
            helper, setting = file.helpers[self.docker_key], f'credHelpers["{self.docker_key}"]'
        else:
            helper, setting = file.store, "credsStore"
        if helper:
            return self._ask(helper, self.docker_key, setting, file.place)
        self._report_malformed(file)
        return self._docker_entry(file)

    def _docker_config(self) -> Path:
        folder = self._environment.get("DOCKER_CONFIG")
        return Path(folder) / "config.json" if folder else self._home / ".docker/config.json"

    def _docker_entry(self, file: CredentialFile) -> _Match | None:
        """The entry with the exact key, else the first whose key, a URL perhaps, has that host."""
        exact = (entry for entry in file.entries if entry.key == self.docker_key)
        by_host = (entry for entry in file.entries if _host_of(entry.key) == self.docker_key)
        entry = next(exact, None) or next(by_host, None)
        return None if entry is None else self._use(file, entry)

    def _report_malformed(self, file: CredentialFile) -> None:
        """A malformed entry of another registry makes docker give up reading; whose turn had come is chance."""
        for entry in file.entries:
            try:
                if entry.text("auth"):
                    decode_auth(entry.text("auth"))
            except MalformedAuth as error:
                if _host_of(entry.key) not in {self.docker_key, _host_of(self.docker_key)}:
                    message = f"{error}; docker stops reading the file there, so other entries may be lost"
                    self._problem(file.place_of(entry), message, entry.key)

    # podman, skopeo, buildah, CRI-O

    def as_containers(self) -> _Match | None:
        """The helpers of ``registries.conf`` in their order, of which the files are one."""
        for helper, place in self._global_helpers():
            if helper == _AUTH_FILES:
                match = self._containers_files()
            else:
                match = self._ask(helper, self.containers_key, "credential-helpers", place)
            if match is not None:
                return match
        return None

    def _global_helpers(self) -> list[tuple[str, str]]:
        helpers: list[tuple[str, str]] = [(_AUTH_FILES, "")]
        for path in self._registries_conf():
            try:
                with path.open("rb") as file:
                    document = tomllib.loads(file.read(1024 * 1024).decode())
            except (OSError, ValueError):
                continue
            named = document.get("credential-helpers")
            if isinstance(named, list):
                helpers = [(name, str(path)) for name in named[:20] if isinstance(name, str)]
        return helpers

    def _registries_conf(self) -> list[Path]:
        """The files of containers-registries.conf(5), the later of which overrule."""
        named = self._environment.get("CONTAINERS_REGISTRIES_CONF") or self._environment.get(
            "REGISTRIES_CONFIG_PATH"
        )
        if named:
            return [Path(named)]
        own, system = self._home / ".config/containers", self._etc / "containers"
        if (own / "registries.conf").exists():
            return [own / "registries.conf", *_drop_ins(own)]
        return [system / "registries.conf", *_drop_ins(system), *_drop_ins(own)]

    def _containers_files(self) -> _Match | None:
        named = self._environment.get("REGISTRY_AUTH_FILE")
        paths = [Path(named)] if named else self._containers_paths()
        for path in paths:
            legacy = path.name == _LEGACY_NAME
            file = self._note(read_legacy_config(path) if legacy else read_config(path, strict=True))
            if file.problem is not None:
                return None  # an unreadable file ends the search (findAuthentication)
            if self.containers_key in file.helpers:
                setting = f'credHelpers["{self.containers_key}"]'
                return self._ask(file.helpers[self.containers_key], self.containers_key, setting, file.place)
            match = self._containers_entry(file)
            if match is not None:
                return match
        return None

    def _containers_paths(self) -> list[Path]:
        runtime = self._environment.get("XDG_RUNTIME_DIR")
        config = self._environment.get("XDG_CONFIG_HOME")
        first = Path(runtime) if runtime else Path(f"/run/containers/{self._user_id}")
        return [
            first / "containers/auth.json" if runtime else first / "auth.json",
            (Path(config) if config else self._home / ".config") / "containers/auth.json",
            self._docker_config(),
            self._home / _LEGACY_NAME,
        ]

    def _containers_entry(self, file: CredentialFile, client: str = "containers") -> _Match | None:
        """The longest key that is the repository or a namespace above it, else the registry by its host."""
        keys = [self.containers_key]
        if self._repository:
            parts = f"{self.containers_key}/{self._repository}".split("/")
            keys = ["/".join(parts[:length]) for length in range(len(parts), 0, -1)]
        by_key = {entry.key: entry for entry in file.entries}
        legacy = Path(file.place).name == _LEGACY_NAME
        by_host = {_containers_host(entry.key, legacy=legacy): entry for entry in file.entries}
        for key in keys:
            if key in by_key:
                return self._use(file, by_key[key], client)
        entry = by_host.get(_containers_host(self.containers_key))
        return None if entry is None else self._use(file, entry, client)

    # a file that the user named

    def in_authfile(self, path: Path) -> _Match | None:
        """The rules of the file's own kind: the kubelet's for secrets, else docker's and podman's together."""
        for file in read_authfile(path):
            self._note(file)
            if file.problem is not None:
                continue
            match = self._kubelet_entry(file) if file.pull_secret else self._named_config(file)
            if match is not None:
                return match
        return None

    def _named_config(self, file: CredentialFile) -> _Match | None:
        for key in (self.docker_key, self.containers_key):
            if key in file.helpers:
                return self._ask(file.helpers[key], key, f'credHelpers["{key}"]', file.place)
        if file.store:
            return self._ask(file.store, self.docker_key, "credsStore", file.place)
        return self._containers_entry(file, "docker") or self._docker_entry(file)

    def _kubelet_entry(self, file: CredentialFile) -> _Match | None:
        image = f"{self.containers_key}/{self._repository or ''}".rstrip("/")
        for entry in sorted(file.entries, key=lambda entry: entry.key, reverse=True):
            if kubelet_key_matches(entry.key, image, is_hub=self.is_hub):
                match = self._use(file, entry, "kubelet")
                if match is not None:
                    return match
        return None

    # what all have in common

    def _note(self, file: CredentialFile) -> CredentialFile:
        self.looked_in.append(file.place)
        known = self._files.setdefault(file.place, file)
        # What docker reads without complaint and podman refuses (an empty file) is no fault of the file.
        if file.problem is not None and (known is file or known.problem is not None):
            self._problem(
                file.place_of_problem, file.problem, malformed=not (file.unread or file.pull_secret)
            )
        return file

    def _problem(
        self,
        place: str,
        message: str,
        key: str | None = None,
        *,
        used: bool = False,
        malformed: bool = False,
    ) -> None:
        if not any((known.place, known.key) == (place, key) for known in self.problems):
            self.problems.append(
                CredentialProblem(place=place, message=message, key=key, used=used, malformed=malformed)
            )

    def _ask(self, helper: str, server: str, setting: str, place: str) -> _Match | None:
        answer = call_helper(
            helper,
            server,
            setting=setting,
            place=place,
            environment=self._environment,
            timeout=self._helper_timeout,
        )
        self.helper = answer.call
        self.looked_in.append(answer.call.program)
        if answer.kind is None or answer.secret is None:
            return None
        return _Match(
            kind=answer.kind,
            username=answer.username,
            secret=answer.secret,
            source=answer.call.program,
            stored_as=server,
        )

    def _use(self, file: CredentialFile, entry: Entry, client: str = "docker") -> _Match | None:
        """Take an entry apart as a client does: a registry token, an identity token, or user and password."""
        place = file.place_of(entry)
        members = {name: entry.text(name) if name in _MEMBERS[client] else "" for name in _MEMBERS["docker"]}
        username, secret = members["username"], Secret(members["password"])
        if members["auth"]:
            try:
                username, secret, odd = decode_auth(members["auth"])
            except MalformedAuth as error:
                self._problem(place, str(error), entry.key)
                return None
            if odd is not None:
                self._problem(place, odd, entry.key, used=True)
        kind = CredentialKind.PASSWORD
        for name, token_kind in (
            ("identitytoken", CredentialKind.IDENTITY_TOKEN),
            ("registrytoken", CredentialKind.REGISTRY_TOKEN),
        ):
            if members[name]:
                kind, secret = token_kind, Secret(members[name])
        if kind is CredentialKind.PASSWORD and not (username and secret):
            if not entry.members:
                what = "is empty: a credential store made it, and this file does not name that store"
            elif not any(members.values()):
                names = " and ".join(sorted(entry.members))
                reader = "the kubelet" if client == "kubelet" else "podman"
                what = f"has only {names}, which {reader} does not read"
            else:
                what = f"has no {'password' if username else 'user name'}"
            self._problem(place, f"the entry {what}", entry.key)
            return None
        return _Match(
            kind=kind, username=username or None, secret=secret, source=file.place, stored_as=entry.key
        )

    # near misses

    def shadowed(self, match: _Match | None) -> tuple[CredentialNearMiss, ...]:
        """Entries of this registry in the file that leaves it to a helper, which is asked instead."""
        call = self.helper
        file = self._files.get(call.place) if call is not None else None
        if call is None or file is None or (match is not None and match.source == file.place):
            return ()
        keys = {self.docker_key, self.containers_key}
        return tuple(
            CredentialNearMiss(
                place=file.place_of(entry),
                key=entry.key,
                why=f"{call.setting} leaves {call.server} to {call.program}, and the entry is not looked at",
                username=_username(entry),
            )
            for entry in file.entries
            if entry.members and (entry.key in keys or _host_of(entry.key) in keys)
        )[:_MAX_NEAR_MISSES]

    def near_misses(self, match: _Match | None, *, with_sudo: bool) -> tuple[CredentialNearMiss, ...]:
        """Entries that were surely meant for this registry, and are not those that are used."""
        found = [
            miss
            for file in self._files.values()
            for miss in self._near_misses_in(file)
            if match is None or (match.source, match.stored_as) != (file.place, miss.key)
        ]
        if with_sudo:
            found += self._near_misses_of_sudo()
        return tuple(dict.fromkeys(found))[:_MAX_NEAR_MISSES]

    def _near_misses_in(self, file: CredentialFile) -> Iterable[CredentialNearMiss]:
        reported = {problem.key for problem in self.problems if problem.place.startswith(file.place)}
        for entry in file.entries:
            why = key_difference(entry.key, self.docker_key, repository=self._repository)
            if why is not None and entry.key not in reported:
                yield CredentialNearMiss(
                    place=file.place_of(entry), key=entry.key, why=why, username=_username(entry)
                )
        for key in file.helpers:
            why = key_difference(key, self.docker_key, repository=None)
            if why is not None:
                yield CredentialNearMiss(place=file.place, key=key, why=f"under credHelpers: {why}")

    def _near_misses_of_sudo(self) -> Iterable[CredentialNearMiss]:
        """Under sudo, docker reads root's file; the user who logged in has another (and podman likewise)."""
        user = self._environment.get("SUDO_USER", "")
        home = _home_of(user)
        if home is None or home == self._home:
            return
        for path in (home / ".docker/config.json", home / ".config/containers/auth.json"):
            if str(path) in self._files:
                continue
            file = read_config(path)
            keys = {self.docker_key, self.containers_key}
            for entry in file.entries:
                if entry.key in keys or _host_of(entry.key) in keys:
                    yield CredentialNearMiss(
                        place=file.place_of(entry),
                        key=entry.key,
                        why=f"it is in the home of {user}; a client run by sudo looks into {self._home}",
                        username=_username(entry),
                    )


def _drop_ins(folder: Path) -> list[Path]:
    try:
        return sorted((folder / "registries.conf.d").glob("*.conf"))[:100]
    except OSError:
        return []


def _home_of(user: str) -> Path | None:
    if not user:
        return None
    import pwd

    try:
        return Path(pwd.getpwnam(user).pw_dir)
    except KeyError:
        return None


def _username(entry: Entry) -> str | None:
    if not entry.text("auth"):
        return entry.text("username") or None
    try:
        return decode_auth(entry.text("auth"))[0]
    except MalformedAuth:
        return None


def _host_of(key: str) -> str:
    """Reduce a key to ``host[:port]`` as docker does (``ConvertToHostname``)."""
    if "://" in key:
        try:
            parts = urlsplit(key)
            host, port = parts.hostname, parts.port
        except ValueError:
            host, port = None, None
        if host:
            shown = f"[{host}]" if ":" in host else host
            return shown if port is None else f"{shown}:{port}"
    return key.partition("/")[0]


def _containers_host(key: str, *, legacy: bool = False) -> str:
    """Reduce a key as containers/image does (``normalizeAuthFileKey``): Docker Hub's names are one.

    A path is cut off only after a scheme, or in the legacy file; else it is a part of a registry.
    """
    host = key.removeprefix("https://").removeprefix("http://")
    if legacy or host != key:
        host = host.partition("/")[0]
    return "index.docker.io" if host in _HUB_HOSTS else host


def kubelet_key_matches(key: str, image: str, *, is_hub: bool = False) -> bool:
    """Whether the kubelet uses a pull secret's entry for an image (``URLsMatch``).

    ``image`` is ``host[:port]/repository``. The scheme and ``/v1/`` or ``/v2/`` of the key do not count;
    ports must be equal, so must the number of labels, each of which may be a pattern; the key's path must
    begin the image's. For Docker Hub ``index.docker.io`` counts too.
    """
    text = key if key.startswith(("http://", "https://")) else f"https://{key}"
    wanted = urlsplit(f"https://{image}")
    try:
        given = urlsplit(text)
        ports = given.port, wanted.port
        host = given.hostname or ""
    except ValueError:
        return False
    path = given.path[3:] if given.path.startswith(("/v1/", "/v2/")) else given.path
    if is_hub and host == "index.docker.io":
        return True
    labels, image_labels = host.split("."), (wanted.hostname or "").split(".")
    return (
        ports[0] == ports[1]
        and len(labels) == len(image_labels)
        and all(fnmatchcase(label, pattern) for label, pattern in zip(image_labels, labels, strict=True))
        and wanted.path.startswith(path.rstrip("/"))
    )


def key_difference(key: str, wanted: str, *, repository: str | None = None) -> str | None:
    """Say how a key that was surely meant for the wanted registry differs from what clients look up.

    ``wanted`` is ``host[:port]`` or Docker Hub's key. Returns ``None`` for a key of another registry.
    """
    host, _, port = _split(_host_of(key))
    if wanted == DOCKER_HUB_CREDENTIALS_KEY:
        if host not in _HUB_HOSTS or key == wanted:
            return None
        return f"docker looks for Docker Hub's credentials under {wanted}, not under {key}"
    wanted_host, _, wanted_port = _split(wanted)
    path = key.partition("://")[2].partition("/")[2] if "://" in key else key.partition("/")[2]
    if host.lower() == wanted_host.lower():
        if port != wanted_port:
            return _port_difference(port, wanted_port, wanted)
        if host != wanted_host:
            return f"upper and lower case differ from {wanted}"
        if path and repository is not None and not f"{repository}/".startswith(f"{path.rstrip('/')}/"):
            return f"it is for repositories below {path.rstrip('/')} only, not for {repository}"
        return None if key == wanted else f"clients look for the bare {wanted}"
    short = host.lower() == wanted_host.lower().partition(".")[0]
    long = wanted_host.lower() == host.lower().partition(".")[0]
    if (
        (short or long)
        and not wanted_host[:1].isdigit()
        and wanted_host != "localhost"
        and port == wanted_port
    ):
        return f"it is filed under {host}, clients look for {wanted_host} and know nothing of short names"
    return None


def _port_difference(port: str, wanted_port: str, wanted: str) -> str:
    if {port, wanted_port} <= {"", "80", "443"}:
        return f"a default port counts too: clients look for exactly {wanted}"
    filed = f"for port {port}" if port else "without a port"
    return f"it is filed {filed}, clients look for exactly {wanted}"


def _split(host_port: str) -> tuple[str, str, str]:
    """Split ``host[:port]``; brackets stay with the host."""
    head, bracket, tail = host_port.rpartition("]")
    host, colon, port = tail.partition(":")
    return f"{head}{bracket}{host}", colon, port
