"""HTTP: what answers at ``/v2/``, and who.

The first look is an anonymous GET of ``/v2/``, as docker and podman begin. The answer's status alone says
little: who made it (the registry, a reverse proxy, a CDN, something else) decides what it means.
"""
