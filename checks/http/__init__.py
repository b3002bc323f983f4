"""HTTP: what answers at ``/v2/`` and below it, and who.

The first look is an anonymous GET of ``/v2/``, as docker and podman begin; redirects are followed as Go's
clients follow them. The answer's status alone says little: who made it (the registry, a reverse proxy, a
forward proxy, a CDN, something else) decides what it means, and is read off pages, error bodies and headers.
A repository name made up at random shows what serves anything. The same request is then sent several times
side by side, also to each address of the name, and once past all caches: replicas that are not equal, limits
on requests, timers that cut and caches that are out of date show in the difference. The answers about the
image's manifests and blobs are judged in the same way.
"""
