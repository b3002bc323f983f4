"""Reads the registry's configuration."""

from __future__ import annotations

from regdoctor.api import ConfigFile, Context, NotApplicable, config_file, probe


@probe
def read_file(context: Context) -> ConfigFile:
    """The file given with ``--config``, as the registry reads it."""
    if context.options.config is None:
        raise NotApplicable("no configuration file is given (--config)")
    return config_file.read_config(context.options.config)
