"""Facts about Kubernetes manifests: pull secrets, and who pulls what with them. No secret stands here."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from regdoctor.facts.base import FileFact, FileKind
from regdoctor.facts.client import Flaw, Listed, place


class PullSecret(msgspec.Struct, frozen=True, kw_only=True):
    """A Kubernetes secret that holds, or was meant to hold, registry credentials."""

    name: str | None
    namespace: str | None
    type: str
    path: str
    line: int
    column: int
    flaws: tuple[Flaw, ...] = ()
    """Why the kubelet cannot use it, or a part of it."""
    registries: tuple[Listed, ...] = ()
    """The keys of ``auths`` that have a user and a password."""

    @property
    def place(self) -> str:
        """``path:line:column``."""
        return place(self.path, self.line, self.column)


class PodImages(msgspec.Struct, frozen=True, kw_only=True):
    """A pod, or what makes pods, with what it pulls and by what secrets."""

    kind: str
    name: str | None
    namespace: str | None
    path: str
    line: int
    column: int
    images: tuple[Listed, ...] = ()
    secrets: tuple[Listed, ...] = ()
    """The names under ``imagePullSecrets`` where it counts."""
    misplaced: tuple[Flaw, ...] = ()
    """``imagePullSecrets`` where it does not count, or in a wrong form."""
    service_account: str | None = None

    @property
    def place(self) -> str:
        """``path:line:column``."""
        return place(self.path, self.line, self.column)


class ServiceAccountSecrets(msgspec.Struct, frozen=True, kw_only=True):
    """A service account with the pull secrets that its pods get."""

    name: str | None
    namespace: str | None
    path: str
    line: int
    column: int
    secrets: tuple[Listed, ...] = ()
    mounted: tuple[Listed, ...] = ()
    """The names under ``secrets``, which pulls do not use."""


class KubernetesObjects(FileFact, frozen=True, kw_only=True):
    """What Kubernetes manifests say about pulling images."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.KUBERNETES})

    path: str
    flaws: tuple[Flaw, ...] = ()
    secrets: tuple[PullSecret, ...] = ()
    pods: tuple[PodImages, ...] = ()
    accounts: tuple[ServiceAccountSecrets, ...] = ()
    beside: tuple[PullSecret, ...] = ()
    """The pull secrets of the other files of the run."""
    other_secrets: tuple[str, ...] = ()
    """``namespace/name`` of secrets that are no pull secrets, of all files."""
