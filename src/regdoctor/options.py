"""What the caller of ``regdoctor check`` asked for."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path

import msgspec

from regdoctor.facts.base import FileKind
from regdoctor.secret import Secret


class Profile(StrEnum):
    """From where the caller looks."""

    CLIENT = "client"
    HOST = "host"
    CI = "ci"
    ALL = "all"


class Options(msgspec.Struct, frozen=True, kw_only=True):
    """The options of ``check``; the names are those of the command line.

    ``timeout`` and ``deadline`` are seconds, ``min_free`` percent of bytes or inodes, ``upload_age`` days.
    ``resolvers`` and ``ntp_servers`` are ``ADDR[:PORT]`` texts.

    ``fsck`` sets ``whole_storage``, with ``jobs`` (things to do at a time) and ``resume`` (the file to go on
    from); ``check`` reads only what the target's image needs of ``storage``.

    ``lint`` sets the one option that names its file, ``lint`` to the file's kind, and ``beside`` to the other
    files of this kind that are judged in the same run. ``htpasswd``, ``containerd_config`` and
    ``buildkit_config`` are set by it alone: ``check`` finds these files where the configuration says, or where
    they lie by default.
    """

    push: bool = False
    push_tag: str | None = None
    push_seconds: float = 8.0
    verify_blobs: bool = False
    platforms: tuple[str, ...] = ()
    username: str | None = None
    password: Secret | None = None
    authfile: Path | None = None
    cacert: Path | None = None
    certs_dir: Path | None = None
    cert: Path | None = None
    key: Path | None = None
    plain_http: bool = False
    proxy: str | None = None
    resolvers: tuple[str, ...] = ()
    ntp_servers: tuple[str, ...] = ()
    config: Path | None = None
    storage: Path | None = None
    log: Path | None = None
    proxy_config: Path | None = None
    daemon_json: Path | None = None
    hosts_dir: Path | None = None
    registries_conf: Path | None = None
    policy: Path | None = None
    pull_secret: Path | None = None
    htpasswd: Path | None = None
    containerd_config: Path | None = None
    buildkit_config: Path | None = None
    whole_storage: bool = False
    jobs: int | None = None
    resume: Path | None = None
    lint: FileKind | None = None
    beside: tuple[Path, ...] = ()
    registry_version: str | None = None
    env_file: Path | None = None
    only: tuple[str, ...] = ()
    skip: tuple[str, ...] = ()
    profile: Profile = Profile.CLIENT
    timeout: float = 5.0
    deadline: float = 60.0
    clock_tolerance: float = 60.0
    expiry_warning: int = 21
    min_free: float = 10.0
    upload_age: float = 8.0
