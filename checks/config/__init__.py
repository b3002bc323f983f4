"""Registry configuration.

config.yml of the CNCF distribution registry (2.8 and 3) together with the REGISTRY_ variables that override
it: what stops it from starting, what it silently ignores, and what does not fit how clients reach it.
"""
