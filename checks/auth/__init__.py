"""Authentication: what the registry asks for, what this host has to answer with, and what comes of it.

The anonymous look at ``/v2/`` gives the challenge. Where it names a token server, that server is a host on
the way of its own, and a token is asked for as docker and podman ask: with the stored credentials where there
are any, else anonymously. Every later request to the registry carries what came of it. Only where something
is refused, a few further questions are put that tell the causes apart. Credentials go where docker would send
them: over verified TLS, or in plain where the caller said so.
"""
