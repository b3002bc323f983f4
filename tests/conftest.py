"""Fixtures of the whole suite: healthy real servers, and factories for all others.

Everything that a fixture starts is stopped at the end of its test, and lives on a free port.
"""

from __future__ import annotations

from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any, Protocol

import pytest

from tests.support import programs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.support.certificates import Authority, CertificateFiles
    from tests.support.netns import LinkedHosts
    from tests.support.nginx import Nginx, ReverseProxy
    from tests.support.registry import Registry
    from tests.support.token_server import TokenServer

NAME = "reg.test"
"""The name of the tests' registry; no resolver knows it (RFC 2606)."""

USERNAME, PASSWORD = "alice", "wonderland"


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip a test whose real programs or rights are missing here, and say what to install; fail it in CI."""
    needed = [program for marker in item.iter_markers("needs") for program in marker.args]
    root = item.get_closest_marker("needs_root") is not None
    _require(*needed, root=root)


class StartRegistry(Protocol):
    """Starts a registry that stops at the end of the test; takes the keywords of Registry."""

    def __call__(self, **options: Any) -> Registry: ...


class StartTokenServer(Protocol):
    """Starts a token server that stops at the end of the test; takes the keywords of TokenServer."""

    def __call__(self, **options: Any) -> TokenServer: ...


class StartNginx(Protocol):
    """Starts nginx, which stops at the end of the test; takes the arguments of Nginx after the directory."""

    def __call__(self, *servers: ReverseProxy | str, **options: Any) -> Nginx: ...


@dataclass(frozen=True)
class TokenRegistry:
    """A registry with the token server that it trusts."""

    registry: Registry
    token_server: TokenServer


@pytest.fixture(scope="session")
def authority() -> Authority:
    """A root authority that no machine trusts by itself."""
    from tests.support.certificates import root_authority

    return root_authority()


@pytest.fixture
def certificate(authority: Authority, tmp_path: Path) -> CertificateFiles:
    """A right certificate for reg.test and 127.0.0.1, on disk."""
    return authority.issue([NAME], ["127.0.0.1"]).write(tmp_path / "tls")


@pytest.fixture
def hosts() -> dict[str, str]:
    """The name of the tests' registry and its address, for a private hosts file."""
    return {NAME: "127.0.0.1"}


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    """Stops what a test enters into it, last first."""
    with ExitStack() as stack:
        yield stack


@pytest.fixture
def start_registry(tmp_path: Path, servers: ExitStack) -> StartRegistry:
    """Start registries with any options."""
    _require("docker-registry")
    from tests.support.registry import Registry

    def start(**options: Any) -> Registry:
        parent = servers.enter_context(_open_folder()) if options.get("user") else tmp_path
        return servers.enter_context(Registry(_new_folder(parent, "registry"), **options))

    return start


@pytest.fixture
def registry(start_registry: StartRegistry) -> Registry:
    """An open registry over plain HTTP."""
    return start_registry()


@pytest.fixture
def tls_registry(start_registry: StartRegistry, certificate: CertificateFiles) -> Registry:
    """An open registry over HTTPS, called reg.test."""
    return start_registry(name=NAME, tls=certificate)


@pytest.fixture
def htpasswd_registry(start_registry: StartRegistry, certificate: CertificateFiles) -> Registry:
    """A registry over HTTPS, called reg.test, with one user in its htpasswd file."""
    return start_registry(name=NAME, tls=certificate, htpasswd={USERNAME: PASSWORD})


@pytest.fixture
def start_token_server(tmp_path: Path, servers: ExitStack) -> StartTokenServer:
    """Start token servers with any options."""
    from tests.support.token_server import TokenServer

    def start(**options: Any) -> TokenServer:
        options.setdefault("users", {USERNAME: PASSWORD})
        return servers.enter_context(TokenServer(_new_folder(tmp_path, "token-server"), **options))

    return start


@pytest.fixture
def token_registry(
    start_registry: StartRegistry, start_token_server: StartTokenServer, certificate: CertificateFiles
) -> TokenRegistry:
    """A registry over HTTPS, called reg.test, and its token server, over HTTPS too and at the same name."""
    token_server = start_token_server(name=NAME, tls=certificate)
    registry = start_registry(name=NAME, tls=certificate, token=token_server.auth())
    return TokenRegistry(registry, token_server)


@pytest.fixture
def start_nginx(tmp_path: Path, servers: ExitStack) -> StartNginx:
    """Start nginx with any server blocks."""
    _require("nginx")
    from tests.support.nginx import Nginx

    def start(*blocks: ReverseProxy | str, **options: Any) -> Nginx:
        return servers.enter_context(Nginx(_new_folder(tmp_path, "nginx"), *blocks, **options))

    return start


@pytest.fixture
def nginx_tls(registry: Registry, start_nginx: StartNginx, certificate: CertificateFiles) -> Nginx:
    """The open registry behind nginx, which ends TLS for reg.test and is configured rightly."""
    from tests.support.nginx import ReverseProxy

    return start_nginx(ReverseProxy(registry.upstream, name=NAME, tls=certificate))


@pytest.fixture
def linked_hosts() -> Iterator[LinkedHosts]:
    """A client's and a server's network namespace, joined by a cable."""
    from tests.support.netns import linked_hosts as link

    with link() as linked:
        yield linked


@contextmanager
def _open_folder() -> Iterator[Path]:
    """Make a temporary folder that every account may enter, which those of pytest are not."""
    with TemporaryDirectory(prefix="open-") as folder:
        path = Path(folder)
        path.chmod(0o755)
        yield path


@pytest.fixture
def open_tmp_path() -> Iterator[Path]:
    """A temporary folder that every account may enter."""
    with _open_folder() as folder:
        yield folder


def _new_folder(parent: Path, name: str) -> Path:
    """Return a folder of this name, numbered, that does not exist yet."""
    number = sum(1 for folder in parent.iterdir() if folder.name.startswith(f"{name}-")) + 1
    return parent / f"{name}-{number}"


def _require(*needed: str, root: bool = False) -> None:
    """Skip what cannot run here, or fail it where everything has to be installed."""
    obstacle = programs.obstacle(needed, root=root)
    if obstacle is not None:
        (pytest.fail if programs.runs_in_ci() else pytest.skip)(obstacle)
