"""What keeps the registry from starting with its configuration, and what it reads otherwise than it looks."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from regdoctor.api import (
    Certainty,
    ConfigFile,
    ConfigProblem,
    ConfigProblemKind,
    ConfiguredFiles,
    DeletionRefusal,
    Draft,
    Each,
    EffectiveConfiguration,
    Endpoint,
    Ping,
    ProducerKind,
    RegistryEnvironment,
    RepeatedKey,
    Role,
    Settings,
    Severity,
    Target,
    finding,
    rule,
)
from regdoctor.checks.config import exposure, keys, sections, variables

VERSION = "0.1"
"""The only version of the configuration there is (distribution ``configuration/configuration.go``)."""

_UNREAD = {
    ConfigProblemKind.MISSING: "does not exist",
    ConfigProblemKind.NOT_A_FILE: "is not a file",
    ConfigProblemKind.READ_ERROR: "cannot be read",
}

_HINTS = (
    (
        "found character that cannot start any token",
        "A tab indents the line, or a value begins with @, ` or %: YAML indents with blanks only, and such "
        "values need quotes.",
    ),
    ("tab character", "YAML indents with blanks only."),
    (
        "mapping values are not allowed",
        "Two colons stand on one line, or the line is indented deeper than the one that it belongs to; a "
        "value with a colon and a blank in it needs quotes.",
    ),
    (
        "did not find expected key",
        "The indentation fits no line above, or a quote or bracket ends too early.",
    ),
    ("did not find expected '-' indicator", "In a list every item begins with a dash in the same column."),
    ("could not find expected ':'", "A key stands there without its colon."),
    ("found unexpected end of stream", "A quote is never closed."),
    ("did not find expected ',' or", "A bracket is never closed, or a comma is missing."),
    ("unknown anchor", "A value that begins with * needs quotes."),
    ("alphabetic or numeric character", "A value that begins with & or * needs quotes."),
    ("unknown directive", "A line may not begin with %: it is no template and no comment."),
    ("invalid UTF", "Save the file as UTF-8."),
    ("control characters", "The file holds bytes that are no text; save it as plain UTF-8."),
)


@rule("config/unreadable")
def unreadable(config: ConfigFile) -> Iterator[Draft]:
    """There is nothing to read at the path."""
    problem = config.problem
    if problem is None or problem.kind is ConfigProblemKind.SYNTAX:
        return
    if problem.kind is ConfigProblemKind.TOO_LARGE:
        yield finding(
            "config/unreadable",
            f"{config.path} was not read ({problem.message}): no registry's configuration is like that. Is "
            "it the right file?",
            certainty=Certainty.POSSIBLE,
            severity=Severity.WARNING,
            evidence=(config.path,),
        )
        return
    if problem.kind is ConfigProblemKind.FORBIDDEN:
        yield finding(
            "config/unreadable",
            f"{config.path} may not be read by this user: {problem.message}. Whether the registry's own user "
            "may, this run cannot see; run it as root, or as that user.",
            certainty=Certainty.POSSIBLE,
            severity=Severity.WARNING,
            evidence=(config.path,),
        )
        return
    seen = f"{config.path} {_UNREAD[problem.kind]}: {problem.message}."
    if problem.kind is ConfigProblemKind.NOT_A_FILE and problem.message == "a folder":
        seen = (
            f"{config.path} is a folder. Docker makes one where a file is to be mounted that does not exist "
            "on the host; the registry then finds a folder in place of its configuration."
        )
    yield finding(
        "config/unreadable",
        f"{seen} A registry started with it stops at once with “configuration error”.",
        evidence=(config.path,),
    )


@rule("config/syntax")
def syntax(config: ConfigFile, pings: Each[Ping]) -> Iterator[Draft]:
    """The registry's YAML parser refuses the file."""
    problem = config.problem
    if problem is None or problem.kind is not ConfigProblemKind.SYNTAX:
        return
    place = (
        f"line {problem.line}, column {problem.column}" if problem.line is not None else "an unknown place"
    )
    seen = [f"{config.path}, {place}: {problem.message}."]
    if problem.excerpt and problem.excerpt.strip():
        seen.append(f"The line reads “{problem.excerpt}” (→ is a tab).")
    if problem.began is not None and problem.began != problem.line:
        seen.append(f"What goes wrong there began on line {problem.began}.")
    seen.extend(_hint(problem))
    seen.append(
        "The registry stops with “configuration error: error parsing …: yaml: …” when it starts with it."
    )
    yield finding(
        "config/syntax",
        " ".join([*seen, *_answers(pings)]),
        reproduce=_start(config),
        evidence=(config.place(problem.line, problem.column),),
    )


def _start(config: ConfigFile) -> str:
    """A command that has the registry read the file and do nothing else."""
    return (
        f'docker run --rm -v "$(realpath {shlex.quote(config.path)})":/config.yml:ro registry:2 '
        "garbage-collect --dry-run /config.yml 2>&1 | head -1"
    )


def _hint(problem: ConfigProblem) -> Iterator[str]:
    """What the parser's words usually come from."""
    for words, hint in _HINTS:
        if words in problem.message:
            yield hint
            return


def _answers(pings: Each[Ping]) -> Iterator[str]:
    """Says that the registry runs nevertheless, where it does."""
    endpoint = next((each for each, ping in pings.items() if _is_registry(each, ping)), None)
    if endpoint is not None:
        yield (
            f"{endpoint.address} answers nevertheless: it was started with another file or before this "
            "change, and will not start again with it."
        )


def _is_registry(endpoint: Endpoint, ping: Ping) -> bool:
    return (
        endpoint.role is Role.REGISTRY
        and ping.answer is not None
        and ping.answer.producer.kind is ProducerKind.REGISTRY
    )


@rule("config/version")
def version(config: ConfigFile) -> Iterator[Draft]:
    """``version: 0.1`` is not there."""
    if config.problem is not None:
        return
    entry = config.get("version")
    if entry is not None and entry.value == VERSION:
        return
    if entry is not None and entry.kind not in ("null", "map", "list"):
        seen = f"{config.place(entry.line)} says version: {entry.value}."
    elif entry is not None:
        seen = f"{config.place(entry.line)}: version has no value that a version could be."
    elif config.root == "null":
        seen = f"{config.path} is empty ({config.size} bytes, nothing but comments)."
    elif config.root != "map":
        seen = f"{config.path} holds no keys at its top level but a {config.root}."
    else:
        seen = f"{config.path} has no key version at its top level."
    yield finding(
        "config/version",
        f"{seen} The registry reads nothing but version 0.1 and does not start.",
        reproduce=_start(config),
        evidence=(config.place(entry.line if entry is not None else None),),
    )


@rule("config/duplicate-key")
def duplicate_key(config: ConfigFile) -> Iterator[Draft]:
    """A key stands twice in the same map."""
    for repeated in config.repeated:
        yield finding(
            "config/duplicate-key",
            f"{repeated.name} stands {_times(repeated)} in {config.path}: lines "
            f"{' and '.join(map(str, repeated.lines))}. {_effect(repeated, config)}",
            evidence=tuple(config.place(line) for line in repeated.lines),
        )


def _times(repeated: RepeatedKey) -> str:
    return "twice" if len(repeated.lines) == 2 else f"{len(repeated.lines)} times"


def _effect(repeated: RepeatedKey, config: ConfigFile) -> str:
    last = repeated.lines[-1]
    if repeated.mixed:
        return "The registry mixes them: of a setting that both have the later one counts."
    entry = config.get(*repeated.path)
    if entry is not None and entry.kind == "map":
        return f"The registry takes the one of line {last} alone; what only the earlier one says is lost."
    return f"The registry takes the value of line {last} and says nothing about the others."


@rule("config/delete-disabled")
def deletion_refused(refusal: DeletionRefusal) -> Iterator[Draft]:
    """A registry that was pushed to says that it deletes nothing."""
    by_distribution = refusal.answer.header("docker-distribution-api-version") is not None
    yield finding(
        "config/delete-disabled",
        f"DELETE of a blob was answered {refusal.answer.status} UNSUPPORTED, as by every registry whose "
        f"storage.delete.enabled is not set. The {refusal.remain.size} bytes that --push uploaded to "
        f"{refusal.remain.where} stay until garbage collection.",
        certainty=Certainty.PROVEN if by_distribution else Certainty.LIKELY,
        evidence=(refusal.answer.exchange,),
    )


@rule("config/unknown-key", "config/misplaced-key", "config/removed-key")
def unknown_keys(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Keys that have no effect where they stand."""
    yield from keys.unknown_keys(configuration)


@rule("config/wrong-type", "config/required-missing", "config/env-invalid")
def values(config: ConfigFile, configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Values that the registry refuses, or takes for something else than they look."""
    yield from keys.wrong_types(config, configuration)
    yield from keys.wrong_values(configuration)
    yield from sections.options_of_storage(configuration)
    yield from sections.listener(configuration)


@rule("config/wrong-type", "config/env-invalid")
def other_values(configuration: EffectiveConfiguration, settings: Settings) -> Iterator[Draft]:
    """The same for sections of which other areas judge more once there is a registry."""
    yield from sections.others(configuration, lint=settings.lint is not None)


@rule(
    "config/storage-drivers",
    "config/driver-unsupported",
    "config/required-missing",
    "config/wrong-type",
    "config/env-invalid",
)
def storage(
    configuration: EffectiveConfiguration, environment: RegistryEnvironment | None
) -> Iterator[Draft]:
    """One storage driver that exists, with all that it needs."""
    yield from sections.storage(configuration, environment_known=environment is not None)
    yield from sections.cache(configuration, environment_known=environment is not None)


@rule("config/auth-methods", "config/required-missing", "config/wrong-type", "config/env-invalid")
def auth(configuration: EffectiveConfiguration, environment: RegistryEnvironment | None) -> Iterator[Draft]:
    """One method of login that exists, with all that it needs."""
    yield from sections.auth(configuration, environment_known=environment is not None)


@rule("config/middleware-unknown", "config/required-missing")
def middleware(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """Middleware that the version has."""
    yield from sections.middleware(configuration)


@rule("config/http-host", "config/wrong-type", "config/env-invalid")
def host(configuration: EffectiveConfiguration) -> Iterator[Draft]:
    """``http.host`` is a whole URL."""
    yield from sections.host(configuration)


@rule("config/http-host")
def host_and_target(
    configuration: EffectiveConfiguration, target: Target, endpoints: Each[Endpoint]
) -> Iterator[Draft]:
    """``http.host`` is the address that clients use."""
    for endpoint in endpoints.values():
        if endpoint.role is Role.REGISTRY:
            yield from exposure.host_and_target(configuration, target, endpoint)


@rule("config/env-collision")
def env_collision(configuration: EffectiveConfiguration, environment: RegistryEnvironment) -> Iterator[Draft]:
    """Variables that were meant for somebody else."""
    yield from variables.collisions(environment, configuration)


@rule("config/env-invalid")
def env_invalid(configuration: EffectiveConfiguration, environment: RegistryEnvironment) -> Iterator[Draft]:
    """Variables that the registry stops at."""
    yield from variables.refused(environment, configuration)


@rule("config/env-ignored")
def env_ignored(environment: RegistryEnvironment) -> Iterator[Draft]:
    """Variables without effect."""
    yield from variables.ignored(environment)


@rule("config/file-missing")
def file_missing(
    configuration: EffectiveConfiguration, files: ConfiguredFiles, pings: Each[Ping], settings: Settings
) -> Iterator[Draft]:
    """Files that the configuration names are there."""
    runs = any(_is_registry(endpoint, ping) for endpoint, ping in pings.items())
    yield from exposure.files(configuration, files, runs=runs, alone=settings.lint is not None)


@rule("config/tls-pair-mismatch")
def tls_pair_mismatch(configuration: EffectiveConfiguration, files: ConfiguredFiles) -> Iterator[Draft]:
    """Certificate and key belong together."""
    yield from exposure.pair(configuration, files)


@rule("config/default-path-moved")
def default_path_moved(
    configuration: EffectiveConfiguration, pings: Each[Ping], settings: Settings
) -> Iterator[Draft]:
    """The file lies where the images of this version look."""
    answers = [
        ping.answer.status == 401
        for endpoint, ping in pings.items()
        if _is_registry(endpoint, ping) and ping.answer is not None and ping.answer.status in (200, 401)
    ]
    yield from exposure.default_path(configuration, settings, asked_for_login=answers[0] if answers else None)


@rule("config/no-auth")
def no_auth(configuration: EffectiveConfiguration, settings: Settings) -> Iterator[Draft]:
    """Nobody is asked to log in."""
    yield from exposure.no_auth(configuration, settings)


@rule("config/no-tls")
def no_tls(configuration: EffectiveConfiguration, settings: Settings) -> Iterator[Draft]:
    """Plain HTTP."""
    yield from exposure.no_tls(configuration, settings)


@rule("config/debug-exposed")
def debug_exposed(configuration: EffectiveConfiguration, settings: Settings) -> Iterator[Draft]:
    """The debug server is open to other hosts."""
    yield from exposure.debug_exposed(configuration, settings)


@rule("config/http-secret-missing")
def http_secret_missing(
    configuration: EffectiveConfiguration, environment: RegistryEnvironment | None
) -> Iterator[Draft]:
    """Replicas would not understand each other."""
    yield from exposure.http_secret_missing(configuration, environment_known=environment is not None)


@rule("config/delete-disabled")
def delete_disabled(
    configuration: EffectiveConfiguration, refusal: DeletionRefusal | None
) -> Iterator[Draft]:
    """Deletion is off, which is the default; said once, and by the registry itself where it was asked."""
    if refusal is None:
        yield from exposure.delete_disabled(configuration)


@rule("config/read-only")
def read_only(configuration: EffectiveConfiguration, settings: Settings) -> Iterator[Draft]:
    """Pushes are refused."""
    yield from exposure.read_only(configuration, settings)


@rule("config/pull-through")
def pull_through(configuration: EffectiveConfiguration, settings: Settings) -> Iterator[Draft]:
    """A cache takes no pushes."""
    yield from exposure.pull_through(configuration, settings)


@rule("config/secret-in-file")
def secret_in_file(config: ConfigFile) -> Iterator[Draft]:
    """Others can read a credential."""
    yield from exposure.secret_in_file(config)
