"""Client configuration.

The settings of docker, containerd, podman and buildkit on this host that decide how a registry is reached:
daemon.json, hosts.toml, config.toml, registries.conf, policy.json and config.json.
"""
