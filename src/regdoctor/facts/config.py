"""Facts about the registry's configuration file, ``config.yml``.

Values stand in these facts as they are written, except secrets: those are blanked by the name of their key.
"""

from __future__ import annotations

from enum import StrEnum
from typing import ClassVar

import msgspec

from regdoctor.facts.base import FileFact, FileKind
from regdoctor.facts.tls import ServedCertificate


class ConfigProblemKind(StrEnum):
    """Why a configuration file could not be read as such."""

    MISSING = "missing"
    NOT_A_FILE = "not-a-file"
    """A folder, a pipe or a device stands at the path."""
    FORBIDDEN = "forbidden"
    """This user may not read it."""
    READ_ERROR = "read-error"
    TOO_LARGE = "too-large"
    """Larger, deeper or longer than is read here; the registry itself knows no such limit."""
    SYNTAX = "syntax"
    """The registry's YAML parser refuses it."""


class ConfigProblem(msgspec.Struct, frozen=True, kw_only=True):
    """Why the file could not be read. Lines and columns count from 1; null where there is no place."""

    kind: ConfigProblemKind
    message: str
    """For syntax in the words of the registry's own parser."""
    line: int | None = None
    column: int | None = None
    began: int | None = None
    """The line on which the construct began that goes wrong here, where it is another."""
    excerpt: str | None = None
    """The line itself with tabs made visible, as far as it cannot hold a secret."""


class ConfigEntry(msgspec.Struct, frozen=True, kw_only=True):
    """One key of the file, or one item of a list, as the registry takes it: of repeated keys the last."""

    path: tuple[str, ...]
    """The keys that lead to it; items of lists are counted from 0."""
    kind: str
    """``map``, ``list``, ``string``, ``integer``, ``float``, ``boolean`` or ``null``, as yaml.v2 resolves it."""
    line: int
    column: int
    value: str | None = None
    """The text of a scalar, at most 500 characters; null for maps and lists."""
    plain: bool = False
    """Whether a scalar stands without quotes and without a tag."""
    secret: bool = False
    """Whether the value is blanked."""
    variable: str | None = None
    """The variable of the registry's environment that set it; ``line`` is then one of ``file``."""
    file: str | None = None
    """The file that holds it, where it is not the configuration itself."""

    @property
    def name(self) -> str:
        """The path with dots: ``storage.filesystem.rootdirectory``."""
        return ".".join(self.path)


class RepeatedKey(msgspec.Struct, frozen=True, kw_only=True):
    """A key that stands more than once in the same map."""

    path: tuple[str, ...]
    lines: tuple[int, ...]
    """Where it stands, in order."""
    mixed: bool
    """Whether the registry keeps members of the earlier ones: maps outside of ``storage`` and ``auth``."""

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path)


class ConfigFile(FileFact, frozen=True, kw_only=True):
    """A registry's configuration file, read as the registry reads it. ``entries`` are empty with a problem."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.REGISTRY})

    path: str
    size: int = 0
    problem: ConfigProblem | None = None
    root: str = "null"
    """What stands at the top level, as in :class:`ConfigEntry`; ``null`` for an empty file."""
    entries: tuple[ConfigEntry, ...] = ()
    repeated: tuple[RepeatedKey, ...] = ()
    mode: int | None = None
    """The permission bits of the file; null where they were not looked at."""
    others_enter: bool = True
    """Whether other users of this host may enter all folders above it."""

    def get(self, *path: str) -> ConfigEntry | None:
        """The entry at a path, or None."""
        return next((entry for entry in self.entries if entry.path == path), None)

    def text(self, *path: str) -> str | None:
        """The text of the scalar at a path; None where there is none, or a map, a list or null."""
        entry = self.get(*path)
        return None if entry is None or entry.kind == "null" else entry.value

    def below(self, *path: str) -> tuple[ConfigEntry, ...]:
        """The direct members of the map or list at a path, in order."""
        return tuple(
            entry
            for entry in self.entries
            if len(entry.path) == len(path) + 1 and entry.path[: len(path)] == path
        )

    def place(self, line: int | None, column: int | None = None) -> str:
        """``path:line:column`` as far as they are known, for evidence."""
        return ":".join([self.path, *(str(each) for each in (line, column) if each is not None)])

    def origin(self, entry: ConfigEntry) -> str:
        """Where a value comes from, for evidence: a place in this file, or a line of that with the variables."""
        if entry.file is not None:
            return f"{entry.file}:{entry.line}"
        return self.place(entry.line, entry.column)


class VariableOutcome(StrEnum):
    """What the registry makes of one variable."""

    APPLIED = "applied"
    UNRECOGNISED = "unrecognised"
    """No setting has this name; the registry says so in a warning and goes on."""
    UNREACHABLE = "unreachable"
    """The setting exists, but no variable reaches it; the registry says so in a warning and goes on."""
    WITHOUT_EFFECT = "without-effect"
    """Nothing happens and nothing is said."""
    REFUSED = "refused"
    """The registry does not start with it."""


class RegistryVariable(msgspec.Struct, frozen=True, kw_only=True):
    """One variable of the registry's environment that it looks at, and what it makes of it."""

    name: str
    line: int
    outcome: VariableOutcome
    path: tuple[str, ...] = ()
    """The setting that it means, as far as it leads."""
    words: str | None = None
    """Of a refused one, what the registry prints."""
    service_link: bool = False
    """Whether it looks like one that Kubernetes or docker links make for a service: ``tcp://…`` or its parts."""
    suggestion: str | None = None
    """The name that was probably meant."""


class RegistryEnvironment(FileFact, frozen=True, kw_only=True):
    """The variables that the registry gets, and the configuration as they change it. Holds no secret."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.REGISTRY})

    path: str
    problem: str | None = None
    """Why the file with the variables could not be read."""
    variables: tuple[RegistryVariable, ...] = ()
    entries: tuple[ConfigEntry, ...] = ()


class EffectiveConfiguration(FileFact, frozen=True, kw_only=True):
    """The configuration as the registry has it in the end: the file, changed by the environment."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.REGISTRY})

    settings: ConfigFile
    versions: frozenset[str]
    """The major versions of the registry that it may be for: one where it is told or shown, else all."""


class FileState(StrEnum):
    """What stands at a path that the configuration names."""

    USABLE = "usable"
    MISSING = "missing"
    FORBIDDEN = "forbidden"
    FOLDER = "folder"
    UNREADABLE = "unreadable"
    NO_CERTIFICATE = "no-certificate"
    """It can be read, but there is no certificate in it where one is needed."""
    NO_KEY = "no-key"


class ConfiguredFile(msgspec.Struct, frozen=True, kw_only=True):
    """One file that the configuration names."""

    setting: tuple[str, ...]
    path: str
    found_at: str = ""
    """Where this host finds it, which for a registry in a container is another path."""
    state: FileState
    message: str = ""
    public_key: str | None = None
    """SHA-256 of the public key (SPKI) of the certificate or private key that comes first, in hex."""
    certificate: ServedCertificate | None = None
    """The certificate that comes first, where one is needed."""
    mode: int | None = None
    """Its permission bits; null where they were not looked at."""
    others_enter: bool = False
    """Whether other users of this host may enter all folders above it."""


class ConfiguredFiles(FileFact, frozen=True, kw_only=True):
    """The files that the configuration names, as this host has them."""

    kinds: ClassVar[frozenset[FileKind]] = frozenset({FileKind.REGISTRY})

    files: tuple[ConfiguredFile, ...] = ()

    def of(self, *setting: str) -> ConfiguredFile | None:
        """The file that a setting names, or None."""
        return next((file for file in self.files if file.setting == setting), None)
