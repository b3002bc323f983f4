"""Facts about the folders in which clients look for authorities and client certificates of one registry."""

from __future__ import annotations

from datetime import datetime

import msgspec

from regdoctor.facts.base import EndpointFact, Fact


class TrustFile(msgspec.Struct, frozen=True, kw_only=True):
    """A certificate or key file in or below a ``certs.d`` folder. A key's content is not kept."""

    path: str
    subjects: tuple[str, ...] = ()
    """Of the certificates that it holds."""
    authority: bool = False
    """Whether one of them may sign others (basicConstraints) or is signed by itself."""
    completes: bool = False
    """Whether the chain that the host serves would be trusted, dates aside, if this file's certificates were."""
    key: bool = False
    """Whether it holds a private key."""
    key_of: str | None = None
    """The certificate file of the same folder to which the key belongs."""
    problem: str | None = None
    """Why it could not be read."""


class TrustFolder(msgspec.Struct, frozen=True, kw_only=True):
    """A folder below ``certs.d``, or ``certs.d`` itself with the files that lie loose in it."""

    path: str
    client: str
    """Whose it is: ``given`` (--certs-dir), ``docker``, ``containers`` or ``containerd``."""
    used: bool
    """Whether that client looks into it for this host."""
    files: tuple[TrustFile, ...] = ()
    problem: str | None = None
    """Why it could not be listed."""


class TrustFolders(EndpointFact, frozen=True, kw_only=True):
    """Every ``certs.d`` folder of this host that holds files, for any registry, and what it means for this one.

    ``expected`` are the folders that would be looked into for this host, whether they exist or not.
    """

    expected: tuple[str, ...]
    folders: tuple[TrustFolder, ...]


class RunningDaemon(msgspec.Struct, frozen=True, kw_only=True):
    """A program that pulls images on this host and has read the system's authorities when it was started."""

    name: str
    pid: int
    started_at: datetime


class LocalAuthority(msgspec.Struct, frozen=True, kw_only=True):
    """A file that this host's administrator has added to the system's authorities."""

    path: str
    changed_at: datetime
    """The time of the last change of the file or its place, UTC (``st_ctime``)."""
    sha256: tuple[str, ...]
    """Of the certificates that it holds."""


class RunningDaemons(Fact, frozen=True, kw_only=True):
    """Daemons that keep what they read of the system's authorities, and what was added to those by hand."""

    daemons: tuple[RunningDaemon, ...]
    authorities: tuple[LocalAuthority, ...]
