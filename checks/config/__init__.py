"""Registry configuration.

config.yml of the CNCF distribution registry (2.8 and 3) together with the REGISTRY_ variables that override
it: what stops it from starting, what it silently ignores, and what does not fit how clients reach it.

``ConfigFile`` is the file given with ``--config``, read as the registry's own YAML parser reads it: what that
refuses is refused here, in its words, with line and column. Every key keeps its place, so that findings point
at ``file:line``. Values that are secrets by the name of their key are blanked when the file is read.
"""
