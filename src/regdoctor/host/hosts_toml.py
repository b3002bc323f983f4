"""Reads containerd's folders of registries (containerd ``core/remotes/docker/config/hosts.go``).

Problems have containerd's wording. What it only mentions in its log, to go on with defaults, is a refusal here;
files that cannot be read end a pull.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from regdoctor import toml_located
from regdoctor.certificates import pem_certificates
from regdoctor.facts.client import Flaw, FlawKind, HostsFolder, HostTable, RegistryHosts
from regdoctor.host.settings_files import flaw, is_there, listed, read_bytes, read_text, unlisted, unparsed
from regdoctor.located import Kind, Node, SyntaxProblem, TooLarge
from regdoctor.redact import redact_url

FILE_NAME: Final = "hosts.toml"
DEFAULT_ROOT: Final = Path("/etc/containerd/certs.d")
MOST_FOLDERS: Final = 500

_CAPABILITIES: Final = frozenset({"pull", "resolve", "push", "referrers"})
_HOST_KEYS: Final = frozenset(
    {"capabilities", "ca", "client", "skip_verify", "override_path", "header", "dial_timeout"}
)
KEYS: Final = _HOST_KEYS | {"server", "host"}
"""Every key that some version knows."""

_GO_KINDS: Final = {Kind.STRING: "string", Kind.NUMBER: "int64", Kind.BOOLEAN: "bool"}
_NO_URL: Final = re.compile(r"[\x00-\x20\x7f]|%(?![0-9A-Fa-f]{2})")
"""What Go's ``url.Parse`` refuses, and Python's takes or takes off."""
_API_PATH: Final = re.compile(r"/v2/[^/]")


def read_roots(roots: Sequence[Path]) -> HostsFolder:
    """Every folder of a registry below the roots, those without a ``hosts.toml`` included. Never raises."""
    found: list[RegistryHosts] = []
    flaws: list[Flaw] = []
    for root in roots:
        try:
            folders = sorted(itertools.islice(root.iterdir(), MOST_FOLDERS))
            found += [_folder(folder) for folder in folders if folder.is_dir()]
        except OSError as error:
            # containerd takes a root that is not there as one without folders.
            if is_there(root):
                flaws.append(unlisted(root, error))
    return HostsFolder(roots=tuple(map(str, roots)), registries=tuple(found), flaws=tuple(flaws))


def _folder(folder: Path) -> RegistryHosts:
    path = folder / FILE_NAME
    if not is_there(path):
        return RegistryHosts(name=folder.name, path=str(folder), without_file=True)
    return read_hosts_toml(path)


def read_hosts_toml(path: Path) -> RegistryHosts:
    """Reads one file; the folder that it lies in is the registry's. Never raises."""
    name = path.absolute().parent.name
    text = read_text(path)
    if isinstance(text, Flaw):
        return RegistryHosts(name=name, path=str(path), flaws=(text,))
    try:
        root = toml_located.parse(text)
    except (SyntaxProblem, TooLarge) as error:
        return RegistryHosts(name=name, path=str(path), flaws=(unparsed(path, error),))
    reader = _Reader(path)
    server, hosts = reader.read(root)
    return RegistryHosts(
        name=name,
        path=str(path),
        flaws=tuple(reader.flaws),
        server=server,
        hosts=hosts,
        without_hosts=root.get("host") is None,
    )


def folder_of(registries: Iterable[RegistryHosts], domain: str) -> RegistryHosts | None:
    """The folder that containerd uses for a registry: of the first root that has one.

    :param domain: ``host[:port]`` as in image names.
    """
    by_root: dict[Path, dict[str, RegistryHosts]] = {}
    for each in registries:
        folder = Path(each.path) if each.without_file else Path(each.path).parent
        by_root.setdefault(folder.parent, {})[each.name] = each
    host, colon, port = domain.rpartition(":")
    names = (f"{host}_{port}_" if colon else domain, domain, "_default")
    for folders in by_root.values():
        for name in names:
            if name in folders:
                return folders[name]
    return None


def ends_pulls(folder: RegistryHosts) -> Flaw | None:
    """The file that a ``hosts.toml`` names and that is not there: containerd ends every pull with that."""
    return (
        next((flaw for flaw in folder.flaws if flaw.kind is FlawKind.FILE), None) if folder.active else None
    )


class _Reader:
    def __init__(self, path: Path) -> None:
        self._path = path
        self.flaws: list[Flaw] = []

    def _refuse(self, node: Node, message: str, key: str) -> None:
        self.flaws.append(flaw(self._path, node, message, key=key))

    def _note(self, node: Node, message: str, key: str) -> None:
        self.flaws.append(flaw(self._path, node, message, key=key, ignored=True))

    def read(self, root: Node) -> tuple[HostTable | None, tuple[HostTable, ...]]:
        """The server, and the hosts that are tried before it."""
        for key, node in root.pairs:
            if key not in KEYS:
                self._note(node, f"{key} is no key of hosts.toml, so it has no effect", key)
        server = root.get("server")
        table = None
        if server is not None and server.kind is not Kind.STRING:
            self._refuse(server, f'invalid type {_GO_KINDS.get(server.kind, "map")} for "server"', "server")
        elif server is not None and server.value:
            table = self._table(server, root)
        else:
            self._settings(root)
        hosts = root.get("host")
        if hosts is None:
            return table, ()
        if hosts.kind is not Kind.MAP or any(node.kind is not Kind.MAP for _key, node in hosts.pairs):
            self._refuse(hosts, "invalid `host` tree", "host")
            return table, ()
        found = (self._host(url, node) for url, node in hosts.pairs)
        return table, tuple(each for each in found if each is not None)

    def _host(self, url: str, node: Node) -> HostTable | None:
        for key, member in node.pairs:
            if key == "server":
                self._note(
                    member,
                    "server stands below a [host] table, so it is part of that table and has no effect",
                    key,
                )
            elif key not in _HOST_KEYS:
                self._note(member, f"{key} is no key of a [host] table, so it has no effect", key)
        return self._table(Node(Kind.STRING, node.line, node.column, url), node)

    def _table(self, written: Node, settings: Node) -> HostTable | None:
        capabilities = self._settings(settings)
        url = written.value if written.value.startswith("http") else f"https://{written.value}"
        shown = redact_url(written.value)
        if _NO_URL.search(url):
            message = f"unable to parse server {shown}: it has a character or an escape that no URL has"
            self._refuse(written, message, "host")
            return None
        try:
            parts = urlsplit(url)
            parts.port  # noqa: B018 - raises for what is no port
        except ValueError as error:
            self._refuse(written, f"unable to parse server {shown}: {error}", "host")
            return None
        if "://" in written.value and not written.value.startswith(("http://", "https://")):
            self._note(written, f"{shown} has a scheme that is neither http:// nor https://", "host")
        elif not parts.netloc:
            self._note(written, f"{shown} names no host", "host")
        override = settings.get("override_path")
        overridden = override is not None and override.true
        if not overridden and _API_PATH.search(parts.path):
            self._note(
                written,
                f"containerd appends /v2 to the path of {shown} and asks {parts.path.rstrip('/')}/v2/…; a URL "
                "whose path holds the API already needs override_path = true",
                "override_path",
            )
        return HostTable(
            written=listed(self._path, written, shown),
            scheme=parts.scheme,
            address=parts.netloc.rpartition("@")[2],
            path=_api_path(parts.path, overridden=overridden),
            pulls=capabilities is None or "pull" in capabilities,
            resolves=capabilities is None or "resolve" in capabilities,
            skip_verify=(skip := settings.get("skip_verify")) is not None and skip.true,
            authorities=tuple(listed(self._path, node) for node in _texts(settings.get("ca"))),
            authorization=_has_authorization(settings.get("header")),
        )

    def _settings(self, node: Node) -> frozenset[str] | None:
        """Looks through what a table sets; its capabilities, None where it has all."""
        for key in ("skip_verify", "override_path"):
            value = node.get(key)
            if value is not None and value.kind is not Kind.BOOLEAN:
                self._refuse(value, f"{key} is {_described(value)}, where true or false has to stand", key)
        header = node.get("header")
        if header is not None:
            self._header(header)
        self._authorities(node.get("ca"))
        self._clients(node.get("client"))
        return self._capabilities(node.get("capabilities"))

    def _capabilities(self, node: Node | None) -> frozenset[str] | None:
        if node is None:
            return None
        if node.kind is not Kind.LIST:
            self._refuse(
                node, f"capabilities is {_described(node)}, where a list has to stand", "capabilities"
            )
            return None
        for item in node.items:
            if item.value.lower() not in _CAPABILITIES or item.kind is not Kind.STRING:
                self._refuse(item, f"unknown capability {item.value}", "capabilities")
        return frozenset(item.value.lower() for item in node.items) or None

    def _header(self, node: Node) -> None:
        if node.kind is not Kind.MAP:
            self._refuse(node, f"header is {_described(node)}, where a table has to stand", "header")
        for name, value in node.pairs:
            if value.kind not in (Kind.STRING, Kind.LIST) or len(value.strings) < len(value.items):
                self._refuse(value, f'invalid type for header "{name}"', "header")

    def _authorities(self, node: Node | None) -> None:
        if node is None:
            return
        if node.kind not in (Kind.STRING, Kind.LIST) or len(_texts(node)) < len(node.items):
            self._refuse(node, 'invalid type for "ca": it is a text or a list of texts', "ca")
        for text in _texts(node):
            problem = authority_problem(self._path.parent / text.value)
            if problem is not None:
                self._file(text, f'unable to {problem[0]} CA cert "{text.value}": {problem[1]}', "ca")

    def _clients(self, node: Node | None) -> None:
        if node is None:
            return
        groups = node.items if node.kind is Kind.LIST else [node]
        for group in groups:
            names = group.items if group.kind is Kind.LIST else [group]
            if group.kind not in (Kind.STRING, Kind.LIST) or (
                group.kind is Kind.LIST and not 1 <= len(names) <= 2
            ):
                self._refuse(group, f'invalid type {_GO_KINDS.get(group.kind, "map")} for "client"', "client")
                continue
            self._pair(names)

    def _pair(self, names: Sequence[Node]) -> None:
        """A client certificate and its key, which may be one file."""
        paths = [self._path.parent / text.value for text in names]
        for text, path in zip(names, paths, strict=True):
            content = read_bytes(path)
            if isinstance(content, Flaw):
                self._file(text, f'unable to read CERT file "{text.value}": {content.message}', "client")
                return
        problem = pair_problem(paths[0], paths[-1])
        if problem is not None:
            self._file(names[0], f"failed to load X509 key pair: {problem}", "client")

    def _file(self, node: Node, message: str, key: str) -> None:
        self.flaws.append(
            Flaw(
                path=str(self._path),
                kind=FlawKind.FILE,
                message=message,
                line=node.line,
                column=node.column,
                key=key,
            )
        )


def authority_problem(path: Path) -> tuple[str, str] | None:
    """Why a file is no certificate authority: ``read`` or ``load`` fails, and the reason; None for a right one."""
    content = read_bytes(path)
    if isinstance(content, Flaw):
        return "read", content.message
    if not pem_certificates(content):
        return "load", "it holds no PEM certificate"
    return None


def pair_problem(certificate: Path, key: Path) -> str | None:
    """Why two PEM files are no certificate with its key, in a clause; None for a right pair.

    The key is used here and now, and kept nowhere.
    """
    import ssl

    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    # How strong a key is decides nothing here: Go's clients take weak ones too.
    context.set_ciphers("ALL:@SECLEVEL=0")
    try:
        # An encrypted key is refused by Go's clients; OpenSSL would ask the terminal for a password.
        context.load_cert_chain(certificate, key, password="")
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            return "the private key does not match the certificate"
        return f"{certificate.name} holds no certificate, or {key.name} no key that can be read"
    except (OSError, ValueError):
        return f"{certificate.name} or {key.name} cannot be read"
    return None


def _texts(node: Node | None) -> list[Node]:
    if node is None:
        return []
    return [node] if node.kind is Kind.STRING else node.strings


def _has_authorization(header: Node | None) -> bool:
    return header is not None and any(name.lower() == "authorization" for name, _value in header.pairs)


def _described(node: Node) -> str:
    names = {
        Kind.STRING: "a text",
        Kind.NUMBER: "a number",
        Kind.BOOLEAN: "true or false",
        Kind.LIST: "a list",
    }
    return names.get(node.kind, "a table")


def _api_path(path: str, *, overridden: bool) -> str:
    """The path below which containerd asks for repositories."""
    cleaned = "" if path.strip("/") == "" else path.rstrip("/")
    if overridden:
        return cleaned
    return cleaned if cleaned.endswith("/v2") else f"{cleaned}/v2"


def named_wrongly(registries: Iterable[RegistryHosts], domain: str) -> Iterator[RegistryHosts]:
    """Folders that were surely meant for a registry and are not looked at for it.

    :param domain: ``host[:port]`` as in image names.
    """
    host, colon, port = domain.rpartition(":")
    host = host if colon else domain
    others = (
        {f"{host}_{port}", f"{host}:{port}_", f"{host}-{port}", f"{host}%3A{port}", host} if colon else set()
    )
    others |= {f"{domain}:443", f"{domain}_443_", f"https_{domain}", f"http_{domain}", f"{domain}_"}
    for each in registries:
        if each.name in others or (each.name.lower() == domain.lower() and each.name != domain):
            yield each
