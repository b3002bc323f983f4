"""Asks for blobs: by HEAD, or for one byte where HEAD cannot be believed; follows redirects to the end."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable

from regdoctor.api import (
    Answer,
    BlobLook,
    Context,
    Descriptor,
    Download,
    Endpoint,
    Failure,
    Product,
    PullAuthorization,
    Response,
    SuspectedSecret,
    Target,
    Vendor,
    config_secrets,
    digests,
)

from .following import Trail, follow

HEAD_FROM_MEMORY = (Vendor.DISTRIBUTION, Vendor.HARBOR, Vendor.GITLAB)
"""Products that answer HEAD out of a cache of descriptors, also for what their storage has lost."""
RESERVE = 1.0
"""Seconds before the run's deadline at which downloads stop, so that what was seen is still told."""
TOLD_EVERY = 0.5
"""Seconds between two words of progress."""


class BlobAsker:
    """Asks for the blobs of one image."""

    def __init__(
        self,
        target: Target,
        endpoint: Endpoint,
        authorization: PullAuthorization,
        product: Product | None,
        context: Context,
    ) -> None:
        self._base = f"{endpoint.url}/v2/{target.repository}/blobs/"
        self._endpoint = endpoint
        self._authorization = authorization
        self._head_lies = product is not None and product.vendor in HEAD_FROM_MEMORY
        self._context = context

    def look(self, descriptor: Descriptor, role: str, manifest: str) -> BlobLook:
        """Reads a config, and asks whether a layer is there and how long it is."""
        url = self._base + descriptor.digest
        if role == "config":
            return self._read_config(url, descriptor, manifest)
        head = byte = None
        if not self._head_lies or descriptor.size < 1:
            head = self._follow("HEAD", url)
            if _agrees(head.final, _length(head.final), descriptor.size) or _is_final(head.final):
                return _blob(head, descriptor, role, manifest, length=_length(head.final))
        byte = self._last_byte(url, descriptor.size)
        length = _total(byte.final)
        if _says_nothing(byte.final, length):
            head = head or self._follow("HEAD", url)
            return _blob(head, descriptor, role, manifest, length=_length(head.final))
        return _blob(byte, descriptor, role, manifest, head=head.final if head else None, length=length)

    def _last_byte(self, url: str, size: int) -> Trail:
        """The last byte of a blob of this size: it is not there either where the blob was cut short."""
        position = max(0, size - 1)
        wanted = (("Range", f"bytes={position}-{position}"),)
        return self._follow("GET", url, headers=wanted, body_limit=1)

    def _read_config(self, url: str, descriptor: Descriptor, manifest: str) -> BlobLook:
        trail = self._follow("GET", url, body_limit=config_secrets.MAX_CONFIG)
        digest = platform = None
        secrets: tuple[SuspectedSecret, ...] = ()
        answer = trail.final
        if isinstance(trail.last, Response) and answer is not None and answer.status == 200:
            body = trail.last.body
            suspects = config_secrets.find_secrets(body)
            for each in suspects:
                self._context.conceal(each.value)
            secrets = tuple(
                SuspectedSecret(place=each.place, name=each.name, kind=each.kind) for each in suspects
            )
            if answer.body_complete:
                digest = _digest_of(body, descriptor.digest)
                platform = config_platform(body)
        return _blob(
            trail,
            descriptor,
            "config",
            manifest,
            length=_length(answer),
            digest_seen=digest,
            platform=platform,
            secrets=secrets,
        )

    def download(self, descriptor: Descriptor, label: str) -> Download | None:
        """Reads a blob to its end without keeping it; None where there is no time for that."""
        bound = self._context.deadline.remaining() - RESERVE
        if bound <= 0:
            return None
        counter = _Counter(descriptor, lambda text: self._context.progress(f"{label}, {text}"))
        started = time.monotonic()
        trail = self._follow("GET", self._base + descriptor.digest, on_chunk=counter, seconds=bound)
        taken = time.monotonic() - started
        answer = trail.final
        whole = answer is not None and answer.body_complete
        if not whole and taken >= bound - 0.05:
            return None
        return Download(
            answer=answer,
            failure=trail.last if isinstance(trail.last, Failure) else None,
            size=counter.size,
            digest=counter.digest if whole and answer is not None and answer.status == 200 else None,
            seconds=taken,
        )

    def _follow(
        self,
        method: str,
        url: str,
        *,
        headers: tuple[tuple[str, str], ...] = (),
        body_limit: int = 64 * 1024,
        on_chunk: Callable[[bytes], None] | None = None,
        seconds: float | None = None,
    ) -> Trail:
        return follow(
            self._context,
            self._endpoint,
            self._authorization,
            method,
            url,
            headers=headers,
            body_limit=body_limit,
            on_chunk=on_chunk,
            seconds=seconds,
        )


class _Counter:
    """Counts and digests the pieces of a body."""

    def __init__(self, descriptor: Descriptor, tell: Callable[[str], None]) -> None:
        algorithm = digests.parse_digest(descriptor.digest).algorithm
        self._algorithm = algorithm
        self._hash = hashlib.new(algorithm)
        self._whole = descriptor.size
        self._tell = tell
        self._told = 0.0
        self.size = 0

    def __call__(self, chunk: bytes) -> None:
        self._hash.update(chunk)
        self.size += len(chunk)
        now = time.monotonic()
        if now - self._told >= TOLD_EVERY:
            self._told = now
            self._tell(f"{self.size / 1e6:.1f} of {self._whole / 1e6:.1f} MB")

    @property
    def digest(self) -> str:
        """Of all that has come."""
        return f"{self._algorithm}:{self._hash.hexdigest()}"


def _blob(
    trail: Trail,
    descriptor: Descriptor,
    role: str,
    manifest: str,
    *,
    head: Answer | None = None,
    length: int | None = None,
    digest_seen: str | None = None,
    platform: str | None = None,
    secrets: tuple[SuspectedSecret, ...] = (),
) -> BlobLook:
    first, last = trail.first, trail.last
    moved = bool(trail.redirects)
    return BlobLook(
        descriptor=descriptor,
        role=role,
        manifest=manifest,
        answer=first.answer if isinstance(first, Response) else None,
        failure=first if isinstance(first, Failure) else None,
        redirect=trail.redirects[-1] if moved else None,
        redirects=trail.redirects,
        followed=trail.final if moved else None,
        followed_failure=last if moved and isinstance(last, Failure) else None,
        head=head,
        length=length,
        digest_seen=digest_seen,
        platform=platform,
        secrets=secrets,
    )


def _agrees(answer: Answer | None, length: int | None, size: int) -> bool:
    """Whether an answer to HEAD says what the manifest says.

    Catch-all pages answer 200 to anything, some servers give no length or 0, some hops refuse HEAD, and a
    URL that is signed for GET refuses it too.
    """
    return answer is not None and answer.status == 200 and length == size


def _is_final(answer: Answer | None) -> bool:
    """Whether asking otherwise is of no use: no answer came, or a limit on requests or rights is at work."""
    return answer is None or answer.status in (401, 429)


def _says_nothing(answer: Answer | None, length: int | None) -> bool:
    """Whether a request for one byte was refused for being one, and leaves open whether the blob is there."""
    return answer is not None and (answer.status == 400 or (answer.status == 416 and length is None))


def _length(answer: Answer | None) -> int | None:
    """The ``Content-Length`` of an answer with content."""
    if answer is None or answer.status != 200:
        return None
    return _number(answer.header("content-length"))


def _total(answer: Answer | None) -> int | None:
    """How long the whole is, by the answer to a request for one byte of it (RFC 9110 section 14.4)."""
    if answer is None or answer.status not in (200, 206, 416):
        return None
    if answer.status == 200:
        return _length(answer)
    return _number((answer.header("content-range") or "").rpartition("/")[2])


def _number(text: str | None) -> int | None:
    text = (text or "").strip()
    return int(text) if text.isascii() and text.isdigit() and len(text) < 16 else None


def _digest_of(body: bytes, wanted: str) -> str | None:
    algorithm = digests.parse_digest(wanted).algorithm
    return digests.digest_of(body, algorithm) if algorithm in digests.HEX_LENGTHS else None


def config_platform(body: bytes) -> str | None:
    """``os/architecture[/variant]`` of an image config (OCI image-spec, config.md), or None."""
    try:
        config = json.loads(body)
    except (ValueError, RecursionError):
        return None
    parts = (
        [config.get(name) for name in ("os", "architecture", "variant")] if isinstance(config, dict) else []
    )
    named = [part for part in parts if isinstance(part, str) and part]
    return "/".join(named) if len(named) >= 2 else None
