"""Reads the registry's configuration, the variables that change it, and the files that it names."""

from __future__ import annotations

from pathlib import Path

from msgspec.structs import replace

from regdoctor.api import (
    Blocked,
    ConfigFile,
    ConfiguredFiles,
    Context,
    EffectiveConfiguration,
    NotApplicable,
    RegistryEnvironment,
    RunningRegistries,
    config_file,
    configured_files,
    probe,
    registry_environment,
    registry_keys,
    registry_process,
)

PATHS = {"/etc/docker/registry/config.yml": "2.8", "/etc/distribution/config.yml": "3"}
"""Where the images of each major version look (distribution ``Dockerfile`` at v2.8.3 and v3.1.1)."""


@probe
def read_file(running: RunningRegistries | None, context: Context) -> ConfigFile:
    """The file given with ``--config``, or that of the target's process on this host, as the registry reads it."""
    if context.options.config is not None:
        return config_file.read_config(context.options.config)
    if running is not None and running.config is not None:
        return config_file.read_config(Path(running.config))
    raise NotApplicable("no configuration file is given (--config), and no running registry shows one")


@probe
def read_environment(
    config: ConfigFile, running: RunningRegistries | None, context: Context
) -> RegistryEnvironment:
    """The variables given with ``--env-file``, or of the process that runs with the file, applied as it does."""
    path = context.options.env_file or registry_process.environment_of(_started_with(config, running))
    if path is None:
        raise NotApplicable("no environment of the registry is given (--env-file), and none can be seen")
    _readable(config)
    versions = versions_of(config, context.options.registry_version)
    version = next(iter(versions)) if len(versions) == 1 else None
    return registry_environment.read_environment(path, config, version)


def _started_with(
    config: ConfigFile, running: RunningRegistries | None
) -> tuple[registry_process.RegistryProcess, ...]:
    """The processes that run with the configuration; the target's own alone, where it is known."""
    found = registry_process.started_with(Path(config.path))
    own = [each for each in found if running is not None and each.process.pid == running.serving]
    return tuple(own) or found


@probe
def combine(
    config: ConfigFile, environment: RegistryEnvironment | None, context: Context
) -> EffectiveConfiguration:
    """The file as the environment changes it."""
    _readable(config)
    settings = config if environment is None else replace(config, entries=environment.entries)
    return EffectiveConfiguration(
        settings=settings, versions=versions_of(settings, context.options.registry_version)
    )


@probe
def look_at_files(
    configuration: EffectiveConfiguration, running: RunningRegistries | None
) -> ConfiguredFiles:
    """Certificates, keys and the like that the configuration names, as the process has them that runs with it."""
    found = _started_with(configuration.settings, running)
    if len(found) == 1:
        return configured_files.look_at_files(configuration.settings, found[0].locate)
    return configured_files.look_at_files(configuration.settings)


def _readable(config: ConfigFile) -> None:
    if config.problem is not None:
        raise Blocked(f"{config.path} cannot be read as a configuration")
    if config.root != "map":
        raise Blocked(f"{config.path} holds no configuration")


def versions_of(config: ConfigFile, told: str | None) -> frozenset[str]:
    """The registry's major versions that a file may be for.

    It is the one that is told; else the one whose images read the file at this path; else the one that alone
    knows some of its keys, unless others are known to the other one alone.
    """
    if told is not None:
        return frozenset({told})
    for path, version in PATHS.items():
        if path.startswith("/etc/distribution") and config.path == path:
            return frozenset({version})
    schema = registry_keys.schema()
    found = {key.in_ for entry in config.entries if (key := schema.find(entry.path)) is not None and key.in_}
    return frozenset(found) if len(found) == 1 else registry_keys.VERSIONS
