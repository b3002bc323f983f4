"""Security posture.

What strangers may do with the registry, how credentials travel, and how the host keeps its secrets. Advice, not
noise: each finding says who could do what.

What anonymous clients may pull, push and list comes from ``Permissions`` (of the check auth), which nothing had to
be written for; with ``--push`` an upload shows it. On the registry's own host (``--profile host`` or ``all``) its
configuration shows it too, as a warning. An open registry is right in a laboratory: to a client it is a note,
unless the Internet reaches it; on its own host what was shown is what the code says.

``LegacyHandshakes`` are handshakes that offer TLS 1.0 and 1.1 alone, with the registry and its token server.
``DebugEndpoints`` is what the debug server answers that the configuration names, by the target's own name.
Files and processes are those that the checks config and ports found. Services that nobody runs himself, such as
Docker Hub, are not judged.
"""
