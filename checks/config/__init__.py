"""Registry configuration.

config.yml of the CNCF distribution registry (2.8 and 3) together with the REGISTRY_ variables that override
it: what stops it from starting, what it silently ignores, and what does not fit how clients reach it.

``ConfigFile`` is the file given with ``--config``, read as the registry's own YAML parser reads it: what that
refuses is refused here, in its words, with line and column. Every key keeps its place, so that findings point
at ``file:line``. Values that are secrets by the name of their key are blanked when the file is read.

``RegistryEnvironment`` is what the variables given with ``--env-file`` make of it, applied in the registry's own
order and by its own rules; ``EffectiveConfiguration`` is the outcome, in which every value knows its origin, and
which all further rules judge. Its keys are held against a table for 2.8 and 3 (``--registry-version``); where the
version is not told and the file does not show it, only what no version knows is unknown. What is said of 2.8 was
compared with the real registry; what is said of 3 follows its source.

``ConfiguredFiles`` are certificates, keys and bundles that the configuration names, as this host has them. In
``lint`` the file may belong to another host, so that a missing one proves nothing there.
"""
