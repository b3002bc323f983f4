"""The real registry (distribution, Debian's docker-registry), configured for one test."""

from __future__ import annotations

import copy
import os
import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from tests.support import ports, programs
from tests.support.certificates import CertificateFiles
from tests.support.netns import Namespace
from tests.support.processes import Daemon
from tests.support.registry_client import Credential, RegistryClient


@dataclass(frozen=True)
class TokenAuth:
    """What the registry's configuration says about its token server (section auth.token)."""

    realm: str
    service: str
    issuer: str
    rootcertbundle: Path


def htpasswd_line(username: str, password: str) -> str:
    """Return a line of an htpasswd file with a bcrypt hash, the only kind that the registry verifies."""
    import bcrypt

    # Cost 5 (htpasswd -B's default): a higher one slows every request of the tests.
    return f"{username}:{bcrypt.hashpw(password.encode(), bcrypt.gensalt(5)).decode()}"


def merged(base: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return a configuration with changes merged in, mapping by mapping; None removes a key."""
    result = copy.deepcopy(dict(base))
    for key, value in changes.items():
        if value is None:
            result.pop(key, None)
        elif isinstance(value, Mapping) and isinstance(result.get(key), Mapping):
            result[key] = merged(result[key], value)
        else:
            result[key] = copy.deepcopy(value)
    return result


class Registry:
    """A registry that runs while the context is open.

    ``directory``  its own: configuration, log, and (unless ``storage`` names another) the images
    ``host``       the address to listen on; Go listens on both families for ``0.0.0.0``
    ``name``       the name clients use for it; the address by default
    ``tls``        serve HTTPS with ``fullchain`` and ``key`` of these files; ``client`` trusts their ``ca``
    ``htpasswd``   users and passwords, or a file that is used as it is
    ``token``      token authentication, as TokenServer.auth() describes it
    ``http_host``  http.host, the URL it believes to be reached by
    ``readonly``   maintenance mode: it refuses writes
    ``proxy``      makes it a pull-through cache: the upstream's URL, or the whole section ``proxy``
    ``redirect``   send clients to this base URL for blobs (storage middleware)
    ``config``     merged over the configuration; None removes a key
    ``environment``  further environment variables, such as REGISTRY_LOG_LEVEL
    ``files``      private files for the process, such as ``/etc/hosts`` (root only; see PrivateFiles)
    ``user``       the account to run as (root only), which becomes the owner of the storage
    """

    def __init__(
        self,
        directory: Path,
        *,
        host: str = "127.0.0.1",
        port: int | None = None,
        name: str | None = None,
        tls: CertificateFiles | None = None,
        htpasswd: Mapping[str, str] | Path | None = None,
        token: TokenAuth | None = None,
        storage: Path | None = None,
        delete: bool = True,
        http_host: str | None = None,
        secret: str | None = "a secret of the tests",  # noqa: S107
        readonly: bool = False,
        proxy: str | Mapping[str, Any] | None = None,
        redirect: str | None = None,
        config: Mapping[str, Any] | None = None,
        environment: Mapping[str, str] | None = None,
        files: Mapping[str, str | Path] | None = None,
        namespace: Namespace | None = None,
        user: str | None = None,
    ) -> None:
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.host = host
        self.port = port if port is not None else ports.free_port()
        self.name = name if name is not None else self._dialled
        self.storage = storage if storage is not None else directory / "storage"
        self.tls = tls
        self._namespace = namespace
        self._credential: Credential | None = None
        self.storage.mkdir(parents=True, exist_ok=True)
        self.config: dict[str, Any] = {
            "version": "0.1",
            "log": {"level": "debug", "fields": {"service": "registry"}},
            "storage": {
                "filesystem": {"rootdirectory": str(self.storage)},
                "delete": {"enabled": delete},
                "maintenance": {
                    "uploadpurging": {"enabled": False},
                    "readonly": {"enabled": readonly},
                },
            },
            "http": {"addr": f"{_bracketed(host)}:{self.port}"},
        }
        if secret is not None:
            self.config["http"]["secret"] = secret
        if http_host is not None:
            self.config["http"]["host"] = http_host
        if tls is not None:
            self.config["http"]["tls"] = {"certificate": str(tls.fullchain), "key": str(tls.key)}
        if htpasswd is not None:
            self.config["auth"] = {"htpasswd": {"realm": "tests", "path": str(self._htpasswd(htpasswd))}}
        if token is not None:
            self.config["auth"] = {
                "token": {
                    "realm": token.realm,
                    "service": token.service,
                    "issuer": token.issuer,
                    "rootcertbundle": str(token.rootcertbundle),
                }
            }
        if proxy is not None:
            self.config["proxy"] = {"remoteurl": proxy} if isinstance(proxy, str) else dict(proxy)
        if redirect is not None:
            middleware = {"name": "redirect", "options": {"baseurl": redirect}}
            self.config["middleware"] = {"storage": [middleware]}
        self.config = merged(self.config, config or {})
        self.config_path = directory / "config.yml"
        if user is not None:
            _hand_over(self.storage, user)
        self.daemon = Daemon(
            [programs.path("docker-registry"), "serve", self.config_path],
            log=directory / "registry.log",
            ready=lambda: ports.accepts(self._dialled, self.port, namespace=namespace),
            environment={"OTEL_TRACES_EXPORTER": "none", **(environment or {})},
            directory=directory,
            files=files,
            namespace=namespace,
            user=user,
        )

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def start(self) -> None:
        """Write the configuration and start; raises DaemonError with the log where it does not come up."""
        self.write_config()
        self.daemon.start()

    def write_config(self) -> None:
        """Write the configuration file without starting anything."""
        import yaml

        self.config_path.write_text(yaml.safe_dump(self.config, sort_keys=False))

    def stop(self) -> None:
        """Stop; the images stay, and start may be called again."""
        self.daemon.stop()

    def restart(self) -> None:
        """Stop and start on the same port and storage."""
        self.stop()
        self.start()

    def garbage_collect(self, *, delete_untagged: bool = False) -> str:
        """Run the registry's garbage collector on its storage, running or not, and return what it prints."""
        options = ["--delete-untagged"] if delete_untagged else []
        result = subprocess.run(
            [programs.path("docker-registry"), "garbage-collect", *options, self.config_path],
            capture_output=True,
            text=True,
            check=False,
            timeout=60,
        )
        if result.returncode != 0:
            raise AssertionError(f"garbage-collect: exit {result.returncode}\n{result.stdout}{result.stderr}")
        return result.stdout + result.stderr

    def suspend(self) -> None:
        """Halt the process: it accepts connections and never answers, until resumed or stopped."""
        self.daemon.suspend()

    def resume(self) -> None:
        """Let a suspended process go on."""
        self.daemon.resume()

    @property
    def _dialled(self) -> str:
        """The address to connect to: loopback where it listens on all addresses."""
        return {"0.0.0.0": "127.0.0.1", "": "127.0.0.1", "::": "::1"}.get(self.host, self.host)

    @property
    def scheme(self) -> str:
        """``https`` or ``http``."""
        return "https" if self.tls is not None else "http"

    @property
    def address(self) -> str:
        """``host:port`` as clients write it."""
        return f"{_bracketed(self.name)}:{self.port}"

    @property
    def url(self) -> str:
        """Scheme, host and port, without a slash at the end."""
        return f"{self.scheme}://{self.address}"

    @property
    def upstream(self) -> str:
        """The URL by which a proxy on the same host reaches it: the address instead of the name."""
        return f"{self.scheme}://{_bracketed(self._dialled)}:{self.port}"

    @property
    def hosts(self) -> dict[str, str]:
        """The name and the address it stands for; empty where the name is the address."""
        return {} if self.name == self._dialled else {self.name: self._dialled}

    def log(self) -> str:
        """Return the registry's log so far."""
        return self.daemon.log()

    def client(
        self, credential: Credential | None = None, *, addresses: Mapping[str, str] | None = None
    ) -> RegistryClient:
        """Return a client for it; by default with the first of its htpasswd users."""
        return RegistryClient(
            self.url,
            addresses={**self.hosts, **(addresses or {})},
            ca=self.tls.ca if self.tls is not None else None,
            credential=credential or self._credential,
            namespace=self._namespace,
        )

    def blob_path(self, digest: str) -> Path:
        """Return the file that holds a blob's or manifest's bytes (distribution's filesystem layout)."""
        algorithm, _, encoded = digest.partition(":")
        return self.storage / "docker/registry/v2/blobs" / algorithm / encoded[:2] / encoded / "data"

    def repository_path(self, repository: str) -> Path:
        """Return the folder of a repository, which holds _layers, _manifests and _uploads."""
        return self.storage / "docker/registry/v2/repositories" / repository

    def tag_link(self, repository: str, tag: str) -> Path:
        """Return the link file that says which manifest a tag means now."""
        return self.repository_path(repository) / "_manifests/tags" / tag / "current/link"

    def revision_link(self, repository: str, digest: str) -> Path:
        """Return the link file that makes a manifest part of a repository."""
        algorithm, _, encoded = digest.partition(":")
        return self.repository_path(repository) / "_manifests/revisions" / algorithm / encoded / "link"

    def layer_link(self, repository: str, digest: str) -> Path:
        """Return the link file that makes a blob part of a repository."""
        algorithm, _, encoded = digest.partition(":")
        return self.repository_path(repository) / "_layers" / algorithm / encoded / "link"

    def _htpasswd(self, users: Mapping[str, str] | Path) -> Path:
        if isinstance(users, Path):
            return users
        path = self.directory / "htpasswd"
        path.write_text("".join(f"{htpasswd_line(*user)}\n" for user in users.items()))
        self._credential = next(iter(users.items()), None)
        return path


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _hand_over(folder: Path, user: str) -> None:
    """Make another account the owner of a folder; raises ValueError where it could not reach it."""
    import pwd

    closed = [parent for parent in folder.parents if parent.stat().st_mode & 0o001 == 0]
    if closed:
        raise ValueError(f"{user} cannot enter {closed[-1]}; use the fixture open_tmp_path")
    account = pwd.getpwnam(user)
    os.chown(folder, account.pw_uid, account.pw_gid)
