"""Platforms, and which entry of an index a client takes.

The rules are those of containerd/platforms v1.0.0 (``platforms.go``, ``compare.go``, ``database.go``), which
docker, containerd, BuildKit and nerdctl share.
"""

from __future__ import annotations

import platform as machine_platform
import re
import sys
from collections.abc import Sequence
from typing import Final

import msgspec

_COMPONENT: Final = re.compile(r"[A-Za-z0-9_.-]+")
_OS: Final = re.compile(r"([A-Za-z0-9_-]+)(?:\(([A-Za-z0-9_.-]*)\))?")
_KNOWN_SYSTEMS: Final = frozenset(
    {
        *("aix", "android", "darwin", "dragonfly", "freebsd", "hurd", "illumos", "ios", "js", "linux"),
        *("netbsd", "openbsd", "plan9", "solaris", "windows"),
    }
)
_KNOWN_ARCHITECTURES: Final = frozenset(
    {
        *("386", "amd64", "arm", "armbe", "arm64", "arm64be", "loong64", "mips", "mipsle", "mips64"),
        *(
            "mips64le",
            "ppc",
            "ppc64",
            "ppc64le",
            "riscv",
            "riscv64",
            "s390",
            "s390x",
            "sparc",
            "sparc64",
            "wasm",
        ),
    }
)
_MACHINES: Final = {
    "x86_64": ("amd64", ""),
    "amd64": ("amd64", ""),
    "aarch64": ("arm64", ""),
    "arm64": ("arm64", ""),
    "loongarch64": ("loong64", ""),
    "armv8l": ("arm", "v8"),
    "armv7l": ("arm", "v7"),
    "armv6l": ("arm", "v6"),
}
"""Architectures by what ``uname -m`` says, where the names differ."""

_NORMAL_ARM64: Final = {"8": "", "v8": "", "v8.0": "", "9": "v9", "9.0": "v9", "v9.0": "v9"}


class InvalidPlatform(ValueError):  # noqa: N818  (a text that is no platform)
    """The text is no platform. The message is one plain sentence."""


class Platform(msgspec.Struct, frozen=True, kw_only=True):
    """``os/architecture[/variant]`` in the words of Go (GOOS, GOARCH); ``os_version`` matters for Windows."""

    os: str
    architecture: str
    variant: str = ""
    os_version: str = ""

    @classmethod
    def parse(cls, text: str) -> Platform:
        """Read ``os/architecture[/variant]``, ``os(version)/…``, or one of os and architecture alone.

        What is missing is taken from this machine; usual synonyms (``aarch64``, ``x86_64``, ``armhf``) are
        translated.

        Raises ``InvalidPlatform``.
        """
        parts = text.split("/")
        system = _OS.fullmatch(parts[0])
        if system is None or len(parts) > 3 or not all(_COMPONENT.fullmatch(part) for part in parts[1:]):
            raise InvalidPlatform("a platform looks like linux/amd64 or linux/arm/v7")
        os, os_version = _normal_os(system.group(1)), system.group(2) or ""
        if len(parts) > 1:
            architecture, variant = _normal_architecture(parts[1], parts[2] if len(parts) > 2 else "")
            if len(parts) > 2 and not variant:
                variant = parts[2].lower()  # arm64/v8 and amd64/v1 are kept as written
            return cls(os=os, architecture=architecture, variant=variant, os_version=os_version)
        here = host_platform()
        if os in _KNOWN_SYSTEMS:
            return cls(os=os, architecture=here.architecture, variant=here.variant, os_version=os_version)
        architecture, variant = _normal_architecture(parts[0], "")
        if architecture not in _KNOWN_ARCHITECTURES:
            raise InvalidPlatform(
                "the platform is neither an operating system nor an architecture that is known"
            )
        return cls(os=here.os, architecture=architecture, variant=variant)

    def normalised(self) -> Platform:
        """Return the form in which platforms are compared: ``linux/arm64/v8`` becomes ``linux/arm64``."""
        architecture, variant = _normal_architecture(self.architecture, self.variant)
        return Platform(
            os=_normal_os(self.os), architecture=architecture, variant=variant, os_version=self.os_version
        )

    def __str__(self) -> str:
        variant = f"/{self.variant}" if self.variant else ""
        return f"{self.os}/{self.architecture}{variant}"


def _normal_os(os: str) -> str:
    lower = os.lower()
    return "darwin" if lower == "macos" else lower


def _normal_architecture(architecture: str, variant: str) -> tuple[str, str]:
    """Translate synonyms and drop the variant that goes without saying (``normalizeArch``)."""
    architecture, variant = architecture.lower(), variant.lower()
    if architecture == "i386":
        return "386", ""
    if architecture in {"x86_64", "x86-64", "amd64"}:
        return "amd64", "" if variant == "v1" else variant
    if architecture in {"aarch64", "arm64"}:
        return "arm64", _NORMAL_ARM64.get(variant, variant)
    if architecture == "armhf":
        return "arm", "v7"
    if architecture == "armel":
        return "arm", "v6"
    if architecture == "arm":
        return "arm", {"": "v7", "7": "v7", "5": "v5", "6": "v6", "8": "v8"}.get(variant, variant)
    return architecture, variant


def host_platform(machine: str | None = None) -> Platform:
    """Return the platform whose images run on this machine.

    ``machine`` replaces what ``uname -m`` says. The system is ``windows`` on Windows and ``linux`` everywhere
    else: on macOS containers run in a virtual machine with Linux.
    """
    name = (machine if machine is not None else machine_platform.machine()).lower()
    if re.fullmatch(r"i[3-6]86", name):
        architecture, variant = "386", ""
    elif name.startswith("armv5"):
        architecture, variant = "arm", "v5"
    elif name in {"mips", "mips64"} and sys.byteorder == "little":
        architecture, variant = f"{name}le", ""
    else:
        architecture, variant = _MACHINES.get(name, (name, ""))
    return Platform(
        os="windows" if sys.platform == "win32" else "linux", architecture=architecture, variant=variant
    )


def compatible_platforms(wanted: Platform) -> tuple[Platform, ...]:
    """Return the platforms that a machine of the wanted one runs, the best first (``platformVector``).

    ``arm/v7`` runs v6 and v5 too, ``arm64`` runs 32-bit ARM, ``amd64`` runs lower levels and 386.
    """
    normal = wanted.normalised()
    names = [(normal.architecture, normal.variant)]
    level = _level(normal.variant)
    if normal.architecture == "amd64":
        names += [("amd64", f"v{lower}") for lower in range((level or 1) - 1, 0, -1)]
        names.append(("386", ""))
    elif normal.architecture == "arm":
        names += [("arm", f"v{lower}") for lower in range((level or 5) - 1, 4, -1)]
    elif normal.architecture == "arm64":
        names += _below_arm64(normal.variant or "v8")
        names += [("arm", f"v{lower}") for lower in (8, 7, 6, 5)]
    return tuple(
        Platform(os=normal.os, architecture=architecture, variant=variant, os_version=normal.os_version)
        for architecture, variant in names
    )


def _level(variant: str) -> int | None:
    digits = variant.removeprefix("v")
    return int(digits) if digits.isascii() and digits.isdigit() and len(digits) < 3 else None


def _below_arm64(variant: str) -> list[tuple[str, str]]:
    """List the ARM levels below one: 9.x runs every lower 9 and, having branched off there, 8.(x+5)."""
    match = re.fullmatch(r"v?([89])(?:\.([0-9]))?", variant)
    if match is None:
        return []
    major, minor = int(match.group(1)), int(match.group(2) or 0)
    levels = [(9, each) for each in range(minor - 1, -1, -1)] if major == 9 else []
    top = minor + 5 if major == 9 else minor - 1
    levels += [(8, each) for each in range(top, -1, -1)]
    return [("arm64", f"v{major}.{minor}" if minor else f"v{major}") for major, minor in levels]


def best_match(wanted: Platform, offered: Sequence[Platform | None]) -> int | None:
    """Return the position of the offer that a client takes for the wanted platform, ``None`` for none.

    Of equal offers the first is taken. An offer without a platform (``None``) is taken last: containerd then
    looks into the image's configuration. Of Windows the build must be the wanted one, where both name one.
    """
    normal = [None if each is None else each.normalised() for each in offered]
    for candidate in (each.normalised() for each in compatible_platforms(wanted)):
        for position, offer in enumerate(normal):
            if offer is not None and _same(candidate, offer):
                return position
    return normal.index(None) if None in normal else None


def _same(wanted: Platform, offer: Platform) -> bool:
    if (wanted.os, wanted.architecture, wanted.variant) != (offer.os, offer.architecture, offer.variant):
        return False
    if wanted.os != "windows" or not wanted.os_version or not offer.os_version:
        return True
    return wanted.os_version.split(".")[:3] == offer.os_version.split(".")[:3]
