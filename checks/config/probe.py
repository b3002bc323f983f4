"""Reads the registry's configuration, the variables that change it, and the files that it names."""

from __future__ import annotations

from msgspec.structs import replace

from regdoctor.api import (
    Blocked,
    ConfigFile,
    ConfiguredFiles,
    Context,
    EffectiveConfiguration,
    NotApplicable,
    RegistryEnvironment,
    config_file,
    configured_files,
    probe,
    registry_environment,
    registry_keys,
)

PATHS = {"/etc/docker/registry/config.yml": "2.8", "/etc/distribution/config.yml": "3"}
"""Where the images of each major version look (distribution ``Dockerfile`` at v2.8.3 and v3.1.1)."""


@probe
def read_file(context: Context) -> ConfigFile:
    """The file given with ``--config``, as the registry reads it."""
    if context.options.config is None:
        raise NotApplicable("no configuration file is given (--config)")
    return config_file.read_config(context.options.config)


@probe
def read_environment(config: ConfigFile, context: Context) -> RegistryEnvironment:
    """The variables given with ``--env-file``, applied as the registry applies them."""
    if context.options.env_file is None:
        raise NotApplicable("no environment of the registry is given (--env-file)")
    _readable(config)
    versions = versions_of(config, context.options.registry_version)
    version = next(iter(versions)) if len(versions) == 1 else None
    return registry_environment.read_environment(context.options.env_file, config, version)


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
def look_at_files(configuration: EffectiveConfiguration) -> ConfiguredFiles:
    """Certificates, keys and the like that the configuration names."""
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
