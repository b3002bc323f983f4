"""Facts about the product behind a registry: which it is, and what it says about its own health."""

from __future__ import annotations

from enum import StrEnum

import msgspec

from regdoctor.facts.base import Fact
from regdoctor.facts.http import Answer


class Vendor(StrEnum):
    """Products and services that speak the registry API."""

    DOCKER_HUB = "Docker Hub"
    ECR = "Amazon ECR"
    ECR_PUBLIC = "Amazon ECR Public"
    ACR = "Azure Container Registry"
    GOOGLE = "Google Artifact Registry"
    GHCR = "GitHub Container Registry"
    GITLAB = "GitLab"
    GITEA = "Gitea or Forgejo"
    HARBOR = "Harbor"
    QUAY = "Quay"
    ARTIFACTORY = "Artifactory"
    NEXUS = "Nexus"
    NVIDIA = "NVIDIA NGC"
    ZOT = "zot"
    DISTRIBUTION = "CNCF distribution"
    """Or one of the many products made of it, where nothing else shows."""


class Product(Fact, frozen=True, kw_only=True):
    """Which product answers, as far as its own answers show; ``vendor`` is None where nothing does."""

    vendor: Vendor | None
    why: str = ""
    """What shows it."""
    version: str | None = None
    """As its own headers say."""


class Component(msgspec.Struct, frozen=True, kw_only=True):
    """One part of a product, as the product's health page reports it."""

    name: str
    healthy: bool
    message: str = ""


class ComponentHealth(Fact, frozen=True, kw_only=True):
    """What the product's own health page says. ``product`` is the one whose page it is."""

    product: Vendor
    url: str
    answer: Answer
    components: tuple[Component, ...]
    healthy: bool
    """The page's own summary."""
