"""What a finding code or a pasted error message means: ``regdoctor.explain/1``.

Messages of docker, containerd, podman, skopeo, the kubelet, registries and proxies are matched against the
symptoms of the catalogue. A message alone proves nothing: most texts have several causes, so each match says
what would decide and which command to run.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

import msgspec

from regdoctor.catalogue import LADDER
from regdoctor.model import Certainty
from regdoctor.redact import redact_text
from regdoctor.symptoms import MAX_MESSAGE, Match, SymptomIndex, normalise

if TYPE_CHECKING:
    from regdoctor.catalogue import Catalogue, Code

SCHEMA: Final = "regdoctor.explain/1"

MAX_MATCHES: Final = 20


class ExplainedMatch(msgspec.Struct, frozen=True, kw_only=True):
    """One cause that fits: why, what would settle it, and the command to run next."""

    code: str
    title: str
    certainty: Certainty
    why: str
    decides: str
    next: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    """Every cause that fits a message, best first; ``matches`` is empty where nothing is known.

    ``message`` is redacted and bounded; ``target`` is the image or registry that the message names.
    """

    schema: str
    message: str
    target: str | None
    matches: tuple[ExplainedMatch, ...]


def explain(message: str, catalogue: Catalogue) -> Explanation:
    """Say what a finding code, the last part of one, or an error message can mean.

    :param message: at most ``MAX_MESSAGE`` characters of it are looked at.
    """
    message = message[:MAX_MESSAGE].strip()
    asked = _codes_named(message, catalogue)
    if asked:
        certainty = Certainty.PROVEN if len(asked) == 1 else Certainty.POSSIBLE
        matches = tuple(
            ExplainedMatch(
                code=code.code,
                title=code.title,
                certainty=certainty,
                why="the code that was asked about",
                decides=code.decides,
                next=_next(code, None),
            )
            for code in asked
        )
        return Explanation(schema=SCHEMA, message=message, target=None, matches=matches)
    redacted = redact_text(message)
    target = find_target(redacted)
    return Explanation(
        schema=SCHEMA,
        message=redacted,
        target=target,
        matches=_matches(message, target, catalogue),
    )


def _codes_named(message: str, catalogue: Catalogue) -> tuple[Code, ...]:
    """The code of that name, or every code whose second part is the message."""
    name = message.lower()
    if name in catalogue:
        return (catalogue[name],)
    return tuple(code for code in catalogue.codes.values() if code.code.endswith(f"/{name}")) if name else ()


def _matches(message: str, target: str | None, catalogue: Catalogue) -> tuple[ExplainedMatch, ...]:
    found = SymptomIndex(catalogue, LADDER).find(message)
    text = normalise(message)
    pushing = _PUSH.search(text) is not None
    pulling = not pushing and _PULL.search(text) is not None
    hostless = target is not None and "://" not in target and not _names_its_host(f"{target}/")

    def fits(match: Match) -> tuple[bool, int, bool, bool]:
        about_push = match.code.area in _PUSH_AREAS
        about_name = hostless and match.code.code == "image/host-missing"
        return (pulling and about_push, -match.weight, not about_name, pushing and not about_push)

    ordered = sorted(found, key=fits)[:MAX_MATCHES]
    return tuple(
        ExplainedMatch(
            code=match.code.code,
            title=match.code.title,
            certainty=_certainty(match, ordered[0]),
            why=f"the message says “{match.symptom}”",
            decides=match.code.decides,
            next=_next(match.code, target),
        )
        for match in ordered
    )


_PUSH_AREAS: Final = frozenset({"push", "proxyconf"})
_PUSH: Final = re.compile(r"\bpush(?!ed by)|\bupload|\bpatch https?:|\bput https?:|\bpost https?:\S+/v2/")
_PULL: Final = re.compile(
    r"\bpull|\bhead https?:\S+/manifests/|\bget https?:\S+/manifests/|\bresolve reference\b"
)


def _certainty(match: Match, best: Match) -> Certainty:
    """Likely where the longest text found belongs to this code alone; a text never proves a cause."""
    alone = match.shared_by == 1 and match.weight == best.weight
    return Certainty.LIKELY if alone else Certainty.POSSIBLE


_COMMANDS_BY_CODE: Final = {
    "auth/htpasswd-hash-unsupported": "regdoctor lint HTPASSWD-FILE",
    "auth/htpasswd-malformed": "regdoctor lint HTPASSWD-FILE",
    "auth/htpasswd-generated": "regdoctor lint HTPASSWD-FILE",
    "auth/pull-secret-invalid": "regdoctor check {target} --pull-secret SECRET.YAML",
    "client/daemon-json-invalid": "regdoctor lint /etc/docker/daemon.json",
    "client/hosts-toml-invalid": "regdoctor check {target} --hosts-dir /etc/containerd/certs.d",
    "client/config-path-unset": "regdoctor lint /etc/containerd/config.toml",
    "client/mirrors-conflict": "regdoctor lint /etc/containerd/config.toml",
    "client/registries-conf-invalid": "regdoctor lint /etc/containers/registries.conf",
    "client/registry-blocked": "regdoctor lint /etc/containers/registries.conf",
    "client/policy-rejects": "regdoctor check {target} --policy /etc/containers/policy.json",
    "client/policy-invalid": "regdoctor lint /etc/containers/policy.json",
    "client/docker-config-invalid": "regdoctor lint ~/.docker/config.json",
    "client/buildkit-separate": "regdoctor lint buildkitd.toml",
    "storage/stale-cache": "regdoctor check {target} --push",
}
_COMMANDS_BY_AREA: Final = {
    "push": "regdoctor check {target} --push",
    "proxyconf": "regdoctor check {target} --push --proxy-config FILE",
    "disk": "regdoctor check {target} --storage ROOT   # on the registry's host",
    "storage": "regdoctor fsck ROOT   # on the registry's host",
    "config": "regdoctor lint CONFIG.YML   # on the registry's host",
    "ports": "regdoctor check {target} --profile host   # on the registry's host",
    "client": "regdoctor check {target} --daemon-json /etc/docker/daemon.json",
    "logs": "regdoctor logs FILE",
}


def _next(code: Code, target: str | None) -> str:
    """The command that settles it; what only the user knows is in capitals."""
    by_code, by_area = _COMMANDS_BY_CODE.get(code.code), _COMMANDS_BY_AREA.get(code.area)
    command = by_code or by_area or "regdoctor check {target}"
    return command.format(target=shlex.quote(target) if target else "TARGET")


_HOST: Final = r"(?:\[[0-9A-Fa-f:.]+\]|[A-Za-z0-9](?:[A-Za-z0-9_.-]{0,252}[A-Za-z0-9])?)(?::[0-9]{1,5})?"
_QUOTE: Final = r"[\\\"'`“”]"
_NAME: Final = r"[A-Za-z0-9][\w./:@+-]{0,1000}"

_IMAGES: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"failed to resolve (?:source metadata for|reference) {_QUOTE}*({_NAME})",
        rf"(?:[Ff]ailed to pull(?: and unpack)? image|[Pp]ulling image|pull image) {_QUOTE}+({_NAME})",
        rf"pull access denied for ({_NAME}?),",
        rf"manifest for ({_NAME}) not found",
        rf"docker://({_NAME})",
        rf"reading manifest \S+ in ({_NAME})",
        rf"push refers to (?:a )?repository \[({_NAME})\]",
        rf"failed to push {_QUOTE}*({_NAME})",
        rf"(?:docker|podman|nerdctl|crictl)(?: image)? (?:pull|push|run)(?: -\S+)* ({_NAME})",
    )
)
_REGISTRY_URL: Final = re.compile(
    rf"(https?)://(?:\*\*\*@)?({_HOST})/v2/"
    r"(?:([a-z0-9][a-z0-9._/-]{0,254}?)/(manifests|blobs|tags)/([A-Za-z0-9_][\w.:-]{0,200})?)?"
)
_BARE_URL: Final = re.compile(rf"(https?)://(?:\*\*\*@)?({_HOST})(?:/v2)?/?(?![\w/:?.%@-])")
_HOSTS: Final = tuple(
    re.compile(pattern)
    for pattern in (
        rf"pinging (?:container|docker) registry ({_HOST})",
        rf"initiating layer upload to \S+ in ({_HOST})",
        rf"(?:logging into|authenticating creds for) {_QUOTE}*({_HOST})",
        rf"(?:docker|podman|nerdctl|skopeo) login(?: -\S+(?: [^-\s]\S*)?)* ({_HOST})\s*$",
        rf"registry ({_HOST}) is blocked",
        rf"certificate is valid for [^\n]{{1,2000}}?, not ({_HOST})",
        rf"but wanted to match ({_HOST})",
        rf"cannot validate certificate for ({_HOST}) because",
    )
)
_CONNECTIONS: Final = (re.compile(rf"lookup ({_HOST})(?: on |: )"), re.compile(rf"dial tcp ({_HOST})"))
_HUB_HOSTS: Final = frozenset({"registry-1.docker.io", "index.docker.io"})
_OTHER_HOST: Final = re.compile(
    r"proxyconnect tcp|[?&](?:scope|service|X-Amz-\w+|sig|Signature|Policy)=|traces export|starport-layer-bucket"
)
"""Signs that the address in a message is that of a proxy, token server, blob store or trace collector."""


def find_target(message: str) -> str | None:
    """Return the image or registry that a message names, as ``regdoctor check`` takes it, or None.

    A whole image reference is preferred to the host of a URL, and a registry's URL to a bare address. A bare
    address is not taken where it may be that of another host on the way.
    """
    return next((each for each in _candidates(message[:MAX_MESSAGE]) if _is_target(each)), None)


def _candidates(message: str) -> Iterator[str]:
    images = [_trim(match[1]) for pattern in _IMAGES for match in pattern.finditer(message)]
    urls = list(_REGISTRY_URL.finditer(message))
    yield from (image for image in images if _names_its_host(image))
    yield from (_image_of(url) for url in urls if url[3])
    yield from images
    yield from (_registry(url[1], url[2]) for url in (*urls, *_BARE_URL.finditer(message)))
    for pattern in _HOSTS:
        yield from (_registry("https", match[1]) for match in pattern.finditer(message))
    if _OTHER_HOST.search(message) is None:
        for pattern in _CONNECTIONS:
            yield from (_registry("https", match[1]) for match in pattern.finditer(message))


def _trim(name: str) -> str:
    return name.rstrip(".,;:/@+-")


def _registry(scheme: str, host: str) -> str:
    """A single label would be read as an image of Docker Hub, so it keeps its scheme."""
    return host if _names_its_host(f"{host}/") else f"{scheme}://{host}"


def _image_of(url: re.Match[str]) -> str:
    scheme, host, name, kind, reference = url.groups()
    if host.lower() in _HUB_HOSTS:
        host = "docker.io"
    elif not _names_its_host(f"{host}/"):
        host = f"{host}:{443 if scheme == 'https' else 80}"
    reference = _trim(reference or "")
    if kind != "manifests" or not reference:
        return f"{host}/{name}"
    return f"{host}/{name}{'@' if ':' in reference else ':'}{reference}"


def _names_its_host(image: str) -> bool:
    """Whether the part before the first slash is a host for docker, so that Docker Hub is not meant."""
    first, slash, _ = image.partition("/")
    return bool(slash) and ("." in first or ":" in first or first == "localhost")


def _is_target(text: str) -> bool:
    from regdoctor.oci.reference import InvalidReference, parse_target

    try:
        parse_target(text)
    except InvalidReference:
        return False
    return True
