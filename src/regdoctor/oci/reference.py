"""Image references and diagnosis targets, read as docker, podman and containerd read them.

The grammar and the normalisation of short names follow distribution/reference v0.6.0
(``regexp.go``, ``normalize.go``), the library that docker, containerd, podman and CRI-O share; digests
follow opencontainers/go-digest v1.0.0. Nothing here touches the network.
"""

from __future__ import annotations

import re
from ipaddress import AddressValueError, IPv6Address
from typing import Final, Literal, NoReturn

import msgspec

from regdoctor.oci.digest import HEX_LENGTHS

DOCKER_HUB_DOMAIN: Final = "docker.io"
"""The domain that references without a host get."""

DOCKER_HUB_REGISTRY: Final = "registry-1.docker.io"
"""The host that clients contact for Docker Hub (moby ``registry/config.go``)."""

DOCKER_HUB_CREDENTIALS_KEY: Final = "https://index.docker.io/v1/"
"""The key of Docker Hub in docker's ``config.json`` (docker/cli ``cli/config``)."""

_HUB_ALIASES: Final = frozenset({DOCKER_HUB_DOMAIN, "index.docker.io"})
_DEFAULT_TAG: Final = "latest"
_MAX_TEXT: Final = 4096
_MAX_SHOWN: Final = 512
_MAX_PATH: Final = 255
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}

_DOMAIN_LABEL: Final = re.compile(r"[a-zA-Z0-9](?:[a-zA-Z0-9-]*[a-zA-Z0-9])?")
_IPV6_IN_BRACKETS: Final = re.compile(r"\[[a-fA-F0-9:]+\]")
_HOST_LABEL: Final = re.compile(r"[a-z0-9_](?:[a-z0-9_-]*[a-z0-9_])?", re.IGNORECASE)
_PATH_ATOM: Final = re.compile(r"[a-z0-9]+")
_PATH_SEPARATOR: Final = re.compile(r"__|[._]|-+")
_TAG_CHARACTERS: Final = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.-]*")
_IDENTIFIER: Final = re.compile(r"[a-f0-9]{64}")
_BARE_IPV6: Final = re.compile(r"[a-fA-F0-9:]+(?:%\w+)?")
_DIGITS: Final = re.compile(r"[0-9]+")
_SCHEME: Final = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*)://")

Scheme = Literal["http", "https"]


class InvalidReference(ValueError):  # noqa: N818  (a value that is not a reference, not a fault of ours)
    """The text is no image reference or target.

    ``reason`` is one plain sentence, ``position`` the 0-based offset of the first offending character of
    the text (``None`` where the text as a whole is at fault) and ``character`` that character (``None``
    where the text ends too early). None of them repeats user names, passwords or URL queries.
    """

    def __init__(self, reason: str, position: int | None = None, character: str | None = None) -> None:
        where = "" if position is None else f" (at character {position + 1})"
        super().__init__(f"{reason}{where}")
        self.reason = reason
        self.position = position
        self.character = character


class Reference(msgspec.Struct, frozen=True, kw_only=True):
    """A parsed image reference, short names already spelt out as docker does.

    ``domain`` is the host[:port] part (``docker.io`` where none was written), ``path`` the repository on
    that host, ``tag`` and ``digest`` what was written or ``None``; ``explicit_host`` tells whether a host
    was written.
    """

    text: str
    domain: str
    path: str
    tag: str | None = None
    digest: str | None = None
    explicit_host: bool

    @property
    def explicit_tag(self) -> bool:
        """Whether a tag was written; without tag and digest ``latest`` is meant."""
        return self.tag is not None

    @property
    def on_docker_hub(self) -> bool:
        """Whether the image lies on Docker Hub."""
        return self.domain == DOCKER_HUB_DOMAIN

    @property
    def registry(self) -> str:
        """Host[:port] that clients contact: the domain, but ``registry-1.docker.io`` for Docker Hub."""
        return DOCKER_HUB_REGISTRY if self.on_docker_hub else self.domain

    @property
    def credentials_key(self) -> str:
        """The key under which ``docker login`` files the credentials of this registry."""
        return DOCKER_HUB_CREDENTIALS_KEY if self.on_docker_hub else self.domain

    @property
    def repository(self) -> str:
        """The ``<name>`` of the registry API, ``/v2/<name>/…``."""
        return self.path

    @property
    def reference(self) -> str:
        """What is fetched: the digest where one is given (it outranks the tag), else tag or ``latest``."""
        return self.digest or self.tag or _DEFAULT_TAG

    @property
    def name(self) -> str:
        """Domain and path: ``docker.io/library/alpine`` for ``alpine``."""
        return f"{self.domain}/{self.path}"

    @property
    def familiar_name(self) -> str:
        """The short form that docker prints: ``alpine`` for ``docker.io/library/alpine``."""
        if not self.on_docker_hub:
            return self.name
        remainder = self.path.removeprefix("library/")
        return remainder if "/" not in remainder else self.path

    def __str__(self) -> str:
        if self.digest is None:
            return f"{self.name}:{self.tag or _DEFAULT_TAG}"
        tag = f":{self.tag}" if self.tag is not None else ""
        return f"{self.name}{tag}@{self.digest}"


class Defect(msgspec.Struct, frozen=True, kw_only=True):
    """Why a text is no image reference, in the words of ``InvalidReference``."""

    reason: str
    position: int | None = None
    character: str | None = None


class Target(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be diagnosed: a registry, or one image on it.

    ``text`` is what the user gave; ``scheme`` is ``None`` where none was given; ``host`` is the name or
    address to contact, without brackets, as given; ``ascii_host`` the same in lower case with
    internationalised labels in A-label form (RFC 5890), as DNS and TLS want it; ``port`` is ``None`` where
    none was given; ``reference`` is ``None`` for a bare registry. ``place`` is the ``file:line`` that names an
    image, where it comes from a file.

    With a ``defect`` it is a text of a file that no client can read as an image: there is nothing to contact,
    and ``host`` is empty. It is empty as well where a file itself is the target (``file_target``).
    """

    text: str
    scheme: Scheme | None = None
    host: str
    ascii_host: str
    port: int | None = None
    reference: Reference | None = None
    place: str | None = None
    defect: Defect | None = None

    @property
    def effective_port(self) -> int:
        """The port given, else 80 for ``http`` and 443 otherwise."""
        return self.port if self.port is not None else _DEFAULT_PORTS[self.scheme or "https"]

    @property
    def registry(self) -> str:
        """``host:port`` with the port spelt out and IPv6 addresses in brackets."""
        return f"{bracketed(self.ascii_host)}:{self.effective_port}"

    @property
    def domain(self) -> str:
        """``host[:port]`` as it stands in image names: with the port only where it was written.

        Folders under ``certs.d`` and the entries of ``config.json`` and ``insecure-registries`` are named
        like this; it is ``docker.io`` for Docker Hub. Clients take names of other scripts as A-labels alone.
        """
        if self.reference is not None:
            return self.reference.domain
        if self.host == DOCKER_HUB_REGISTRY and self.port is None:
            return DOCKER_HUB_DOMAIN
        host = bracketed(self.host if self.host.isascii() else self.ascii_host)
        return host if self.port is None else f"{host}:{self.port}"

    @property
    def repository(self) -> str | None:
        """The repository of the image, ``None`` for a bare registry."""
        return None if self.reference is None else self.reference.repository


def bracketed(host: str) -> str:
    """Write a host as in URLs and ``host:port``: IPv6 addresses in brackets (RFC 3986 section 3.2.2)."""
    return f"[{host}]" if ":" in host else host


def parse_reference(text: str) -> Reference:
    """Read an image reference ``[domain[:port]/]path[:tag][@digest]``.

    Accepts and refuses what distribution/reference does, with one deliberate difference: a first component
    with a dot and an underscore (``my_reg.test/app``) passes there with an empty domain, which no client can
    then contact; here it is refused.

    Raises ``InvalidReference``.
    """
    if not text:
        raise InvalidReference("the image reference is empty")
    if len(text) > _MAX_TEXT:
        raise InvalidReference(f"the image reference is longer than {_MAX_TEXT} characters")
    if scheme := _SCHEME.match(text):
        raise InvalidReference(
            f"an image reference has no scheme: leave out {scheme.group(0)}", scheme.end(1), ":"
        )
    for position, character in enumerate(text):
        if character.isspace():
            raise InvalidReference("an image reference holds no blanks or line ends", position, character)
    if _IDENTIFIER.fullmatch(text):
        raise InvalidReference("64 hexadecimal characters are an image id, not the name of a repository")

    name, at, digest = text.partition("@")
    if at:
        _check_digest(digest, len(name) + 1, text)
    domain, path, path_at = _split_domain(name)
    path, colon, tag = path.partition(":")
    if domain is not None:
        _check_domain(domain, text)
    _check_path(path, path_at, text)
    if colon:
        _check_tag(tag, path_at + len(path) + 1, text)

    normalised = DOCKER_HUB_DOMAIN if domain is None or domain in _HUB_ALIASES else domain
    if normalised == DOCKER_HUB_DOMAIN and "/" not in path:
        path = f"library/{path}"
    if len(path) > _MAX_PATH:
        raise InvalidReference(f"the repository name is longer than {_MAX_PATH} characters", path_at)
    return Reference(
        text=text,
        domain=normalised,
        path=path,
        tag=tag if colon else None,
        digest=digest if at else None,
        explicit_host=domain is not None,
    )


def parse_target(text: str) -> Target:
    """Read what the user wants diagnosed: ``host[:port]``, ``http(s)://host[:port]`` or an image reference.

    Anything with a ``/`` after the host is an image reference, split into host and repository as docker
    splits it. A scheme, or a trailing ``/`` right after the host (or after ``host/v2``), always means a host.
    Without any ``/`` a text can be either, and these rules decide:

    - a name with a dot, an IPv4 address or ``localhost`` is a registry, alone or with a port; docker would
      take ``reg.test`` for an image of Docker Hub, which nobody asks about. With a tag that is no number
      (``my.app:v1``) it is an image;
    - an IPv6 address in brackets is a registry;
    - a single label (``alpine``, ``redis:7``) is an image of Docker Hub, as for docker, unless what follows
      the colon is 80, 443 or a number from 3000 to 65535: then it is a registry and its port
      (``registry:5000``). A name without a slash can only be one of Docker Hub's official images, whose
      all-digit tags are versions (``node:20``), years (``amazonlinux:2023``) or dates beyond 65535, while
      the ports that registries use lie at 3000 and above. Where that guess is wrong, ``http://``,
      ``https://`` or a trailing ``/`` forces a registry and ``docker.io/library/…`` forces an image.

    A host of another script (``bücher.test:5000/app``) is put into A-labels (RFC 5890), the only form that clients
    take in the name of an image.

    ``docker.io`` and ``index.docker.io`` stand for the host that clients contact, ``registry-1.docker.io``.

    Raises ``InvalidReference``; user names and passwords in a URL are refused and never repeated.
    """
    if not text:
        raise InvalidReference("the target is empty")
    if len(text) > _MAX_TEXT:
        raise InvalidReference(f"the target is longer than {_MAX_TEXT} characters")
    if scheme := _SCHEME.match(text):
        return _target_from_url(text, scheme.group(1).lower(), scheme.end())
    if text.count("/") == 1 and text.endswith("/"):
        return _registry_target(text, None, text[:-1], 0)
    if text.count("/") == 2 and text.endswith("/v2/"):
        return _registry_target(text, None, text.removesuffix("/v2/"), 0)
    if "/" not in text and _names_a_registry(text):
        return _registry_target(text, None, text, 0)

    domain, slash, path = text.partition("/")
    if slash and not domain.isascii():
        host, port = _split_port(domain, 0, text)
        ascii_host = _ascii_host(host, 0, text)
        reference = parse_reference(f"{ascii_host}{domain[len(host) :]}/{path}")
    else:
        reference = parse_reference(text)
        host, port = _split_port(reference.registry, 0, text)
        ascii_host = _ascii_host(host, 0, text)
    return Target(text=text, host=host, ascii_host=ascii_host, port=port, reference=reference)


def is_meant_as_image(text: str) -> bool:
    """Whether a text that ``parse_target`` refuses was meant as the name of an image: something follows a host.

    A URL with user name and password is none: what is wrong there is not the name of an image.
    """
    host, slash, path = text.partition("://")[2].partition("/") if "://" in text else text.partition("/")
    return len(text) <= _MAX_TEXT and bool(slash and path.strip("/ ")) and "@" not in host


def defective_target(text: str, error: InvalidReference, place: str | None = None) -> Target:
    """The target that stands for a text which ``parse_reference`` refused with ``error``.

    User names and passwords in it are blanked, and no more than its begin is kept.
    """
    from regdoctor.redact import redact_url

    return Target(
        text=redact_url(text)[:_MAX_SHOWN],
        host="",
        ascii_host="",
        place=place,
        defect=Defect(reason=error.reason, position=error.position, character=error.character),
    )


def file_target(path: str) -> Target:
    """The target of a run that judges a file by itself; there is nothing to contact."""
    return Target(text=path, host="", ascii_host="")


def _fail(reason: str, position: int, text: str) -> NoReturn:
    character = text[position] if position < len(text) else None
    raise InvalidReference(reason, position, character)


def _split_domain(name: str) -> tuple[str | None, str, int]:
    """Split off the domain as ``splitDockerDomain`` does: domain or None, the rest, the rest's offset."""
    first, slash, rest = name.partition("/")
    is_domain = slash and (first == "localhost" or "." in first or ":" in first or first.lower() != first)
    if is_domain:
        return first, rest, len(first) + 1
    return None, name, 0


def _check_domain(domain: str, text: str) -> None:
    host, port_at = domain, len(domain)
    if domain.startswith("["):
        match = _IPV6_IN_BRACKETS.match(domain)
        if match is None:
            _fail(
                "an IPv6 address in an image reference is hexadecimal digits and colons in brackets", 0, text
            )
        host, port_at = match.group(0), match.end()
    else:
        host = domain.partition(":")[0]
        port_at = len(host)
        _check_labels(host, _DOMAIN_LABEL, 0, text)
    if port_at == len(domain):
        return
    if domain[port_at] != ":":
        _fail("only :port may follow the address", port_at, text)
    _check_port_digits(domain[port_at + 1 :], port_at + 1, text)


def _check_labels(host: str, pattern: re.Pattern[str], offset: int, text: str) -> None:
    """Check the dot-separated labels of a host name against the pattern of one label."""
    for label in host.split("."):
        match = pattern.match(label)
        if match is None or match.end() != len(label):
            bad = offset + (match.end() if match else 0)
            if not label:
                _fail("the host name has an empty part (two dots, or a dot at an end)", offset, text)
            character = text[bad]
            if character == "-":
                _fail("a part of a host name does not start or end with a hyphen", bad, text)
            if character == "@":
                _fail("a user name or password does not belong into a target", bad, text)
            if not character.isascii():
                _fail("a host in an image reference is written in ASCII (xn--… for other scripts)", bad, text)
            _fail(f"{character!r} is not allowed in a host name", bad, text)
        offset += len(label) + 1


def _check_port_digits(port: str, offset: int, text: str) -> None:
    if not port:
        _fail("the port is missing after the colon", offset, text)
    match = _DIGITS.match(port)
    end = match.end() if match else 0
    if end != len(port):
        _fail("a port holds digits only", offset + end, text)


def _check_path(path: str, offset: int, text: str) -> None:
    if not path:
        _fail("the repository name is missing", offset, text)
    for position, character in enumerate(path, offset):
        if character.isupper():
            _fail("a repository name is written in lower case", position, text)
    position = offset
    for component in path.split("/"):
        _check_path_component(component, position, text)
        position += len(component) + 1


def _check_path_component(component: str, offset: int, text: str) -> None:
    if not component:
        _fail("the repository name has an empty component (two slashes, or a slash at an end)", offset, text)
    position = 0
    while True:
        atom = _PATH_ATOM.match(component, position)
        if atom is None:
            _fail_path_character(component, position, offset, text)
        position = atom.end()
        if position == len(component):
            return
        separator = _PATH_SEPARATOR.match(component, position)
        if separator is None:
            _fail_path_character(component, position, offset, text)
        position = separator.end()


def _fail_path_character(component: str, position: int, offset: int, text: str) -> NoReturn:
    at = offset + position
    if position == len(component):
        _fail("a component of a repository name ends with a letter or digit", at - 1, text)
    if component[position] in "._-":
        where = (
            "starts with a letter or digit" if position == 0 else "has one separator at a time (. _ __ or -)"
        )
        _fail(f"a component of a repository name {where}", at, text)
    _fail(f"{component[position]!r} is not allowed in a repository name", at, text)


def _check_tag(tag: str, offset: int, text: str) -> None:
    if not tag:
        _fail("the tag is missing after the colon (an empty variable?)", offset, text)
    match = _TAG_CHARACTERS.match(tag)
    end = match.end() if match else 0
    if end != len(tag):
        character = tag[end]
        if character == "/":
            _fail("a tag holds no slash; what stands before the first slash is no host", offset + end, text)
        if end == 0 and character in ".-":
            _fail("a tag starts with a letter, digit or underscore", offset, text)
        hint = " (SemVer build metadata is usually written with _ instead)" if character == "+" else ""
        _fail(f"{character!r} is not allowed in a tag{hint}", offset + end, text)
    if len(tag) > 128:
        _fail("a tag has at most 128 characters", offset + 128, text)


def _check_digest(digest: str, offset: int, text: str) -> None:
    algorithm, colon, encoded = digest.partition(":")
    if not colon or not re.fullmatch(r"[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*", algorithm):
        _fail(
            "after @ comes a digest such as sha256:… (user names and passwords do not belong here)",
            offset,
            text,
        )
    length = HEX_LENGTHS.get(algorithm)
    if length is None:
        _fail(
            "after @ comes a digest of algorithm sha256, sha384 or sha512 (user names do not belong here)",
            offset,
            text,
        )
    start = offset + len(algorithm) + 1
    for position, character in enumerate(encoded, start):
        if character not in "0123456789abcdef":
            _fail("a digest is written in lower-case hexadecimal", position, text)
    if len(encoded) != length:
        _fail(f"a {algorithm} digest has {length} hexadecimal digits, not {len(encoded)}", start, text)


def _names_a_registry(text: str) -> bool:
    """Whether a text without any slash names a registry; see ``parse_target``."""
    if "@" in text:
        return False
    if text.startswith("["):
        return True
    name, colon, rest = text.partition(":")
    if ":" in rest:  # an IPv6 address without its brackets: reading it as a registry tells that
        return _BARE_IPV6.fullmatch(text) is not None
    hostlike = "." in name or name == "localhost"
    if not colon:
        return hostlike
    if not (rest.isascii() and rest.isdigit()):
        return False
    if hostlike:
        return True
    return int(rest) in {80, 443} or 3000 <= int(rest) <= 65535


def _target_from_url(text: str, scheme: str, start: int) -> Target:
    if scheme not in {"http", "https"}:
        raise InvalidReference(
            f"{scheme}:// is not a way to name a registry: write http://, https://, or leave the scheme out"
        )
    authority_end = next((i for i in range(start, len(text)) if text[i] in "/?#\\"), len(text))
    authority = text[start:authority_end]
    if "@" in authority:
        raise InvalidReference(
            "a user name or password does not belong into a target: give --username and --password-stdin",
            start,
        )
    rest = text[authority_end:]
    for mark in "?#":
        if mark in rest:
            raise InvalidReference(
                "a target has no query or fragment: write scheme, host and port only",
                authority_end + rest.index(mark),
                mark,
            )
    if rest not in {"", "/", "/v2", "/v2/"}:
        _fail("a registry's URL has no path; for an image leave out the scheme", authority_end, text)
    return _registry_target(text, "http" if scheme == "http" else "https", authority, start)


def _registry_target(text: str, scheme: Scheme | None, authority: str, offset: int) -> Target:
    host, port = _split_port(authority, offset, text)
    ascii_host = _ascii_host(host, offset, text)
    if ascii_host in _HUB_ALIASES and scheme != "http" and port in {None, 443}:
        host = ascii_host = DOCKER_HUB_REGISTRY
    return Target(text=text, scheme=scheme, host=host, ascii_host=ascii_host, port=port)


def _split_port(authority: str, offset: int, text: str) -> tuple[str, int | None]:
    """Split ``host[:port]`` into the host without brackets and the port."""
    if authority.startswith("["):
        address, bracket, rest = authority[1:].partition("]")
        if not bracket:
            _fail("the closing bracket of the IPv6 address is missing", offset + len(authority), text)
        port_at = len(address) + 2
        if rest and not rest.startswith(":"):
            _fail("only :port may follow the address", offset + port_at, text)
        try:
            IPv6Address(address.replace("%25", "%", 1))
        except AddressValueError:
            _fail("what stands in brackets is not an IPv6 address", offset + 1, text)
        host, colon, port = address.replace("%25", "%", 1), rest[:1], rest[1:]
    else:
        host, colon, port = authority.partition(":")
        port_at = len(host)
        if ":" in port:
            _fail("an IPv6 address stands in brackets: [2001:db8::1]:5000", offset + port_at, text)
    if not host:
        _fail("the host name is missing", offset, text)
    if not colon:
        return host, None
    _check_port_digits(port, offset + port_at + 1, text)
    number = int(port[:9])
    if not 1 <= number <= 65535:
        _fail("a port is a number from 1 to 65535", offset + port_at + 1, text)
    return host, number


def _ascii_host(host: str, offset: int, text: str) -> str:
    """Return the host in lower case with A-labels, checked to be a name or address."""
    if ":" in host:
        return host.lower()
    # A single final dot marks an absolute name; it belongs to DNS, not to the name (RFC 1034 section 3.1).
    name = host[:-1] if host.endswith(".") and not host.endswith("..") else host
    if not host.isascii():
        import idna

        try:
            return idna.encode(name, uts46=True).decode("ascii")
        except (idna.IDNAError, UnicodeError):
            _fail("the host is not a valid internationalised domain name", offset, text)
    _check_labels(name, _HOST_LABEL, offset, text)
    if len(name) > 253 or any(len(label) > 63 for label in name.split(".")):
        _fail("a host name has at most 253 characters, 63 between two dots", offset, text)
    return name.lower()
