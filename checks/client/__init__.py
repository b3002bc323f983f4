"""Client configuration.

The settings of docker, containerd, podman and buildkit on this host that decide how a registry is reached:
daemon.json, hosts.toml, config.toml, registries.conf, policy.json, config.json and buildkitd.toml.

Files are looked at where an option names them (``--daemon-json``, ``--hosts-dir``, ``--registries-conf``,
``--policy``); those in their usual places, the daemon's command line and what the running daemon says of itself
with ``--profile host`` or ``all`` alone. ``lint`` judges each of these files by itself. They are read as their
programs read them: tests compare with dockerd 20.10, containerd 1.6 and skopeo 1.9; what newer versions take or
refuse otherwise follows their sources, and so does all about buildkit, which could not be run.

``ClientRoutes`` is what comes of it for one target, as a table of the report: whether each client would reach it,
by which scheme, through which mirrors and proxy, with whose authorities and which login. Mirrors are asked what a
client would ask them.
"""
