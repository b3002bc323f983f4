"""Runs the rules about configurations on a text."""

from __future__ import annotations

from msgspec.structs import replace

from regdoctor.api import (
    ConfigFile,
    ConfiguredFiles,
    Draft,
    Each,
    EffectiveConfiguration,
    RegistryEnvironment,
    Settings,
)
from regdoctor.checks.config import rules
from regdoctor.checks.config.probe import versions_of
from regdoctor.host.config_file import parse_config
from regdoctor.registry_config.environment import apply, read_assignments

PATH = "/srv/config.yml"


def effective(
    text: str, version: str | None = None, environment: str | None = None, *, path: str = PATH
) -> tuple[ConfigFile, RegistryEnvironment | None, EffectiveConfiguration]:
    """The facts of a file and of a file with variables."""
    config = parse_config(text.encode(), path)
    assert config.problem is None, config.problem
    variables = None
    settings = config
    if environment is not None:
        done, entries = apply(
            config.entries, read_assignments(environment), path="registry.env", version=version
        )
        variables = RegistryEnvironment(path="registry.env", variables=done, entries=entries)
        settings = replace(config, entries=entries)
    configuration = EffectiveConfiguration(settings=settings, versions=versions_of(settings, version))
    return config, variables, configuration


def drafts_of(
    text: str,
    settings: Settings | None = None,
    *,
    environment: str | None = None,
    files: ConfiguredFiles | None = None,
    path: str = PATH,
    mode: int | None = None,
) -> list[Draft]:
    """Everything that is found, in the order of the rules; nothing is contacted or looked at."""
    options = settings or Settings()
    config, variables, configuration = effective(text, options.registry_version, environment, path=path)
    drafts = [
        *rules.version(config),
        *rules.duplicate_key(config),
        *rules.secret_in_file(replace(config, mode=mode)),
        *rules.unknown_keys(configuration),
        *rules.values(config, configuration),
        *rules.other_values(configuration, options),
        *rules.storage(configuration, variables),
        *rules.auth(configuration, variables),
        *rules.middleware(configuration),
        *rules.host(configuration),
        *rules.file_missing(configuration, files or ConfiguredFiles(), Each({}), options),
        *rules.tls_pair_mismatch(configuration, files or ConfiguredFiles()),
        *rules.default_path_moved(configuration, Each({}), options),
        *rules.no_auth(configuration, options),
        *rules.no_tls(configuration, options),
        *rules.debug_exposed(configuration, options),
        *rules.http_secret_missing(configuration, variables),
        *rules.delete_disabled(configuration, None),
        *rules.read_only(configuration, options),
        *rules.pull_through(configuration, options),
    ]
    if variables is not None:
        drafts += rules.env_collision(configuration, variables)
        drafts += rules.env_invalid(configuration, variables)
        drafts += rules.env_ignored(variables)
    return drafts
