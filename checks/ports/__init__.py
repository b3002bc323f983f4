"""Ports of this host.

On the registry's own host (``--profile host`` or ``all``): what listens on the configured port, on which address,
who owns it, whether the local firewall lets clients in, and the process's limits.

``RunningRegistries`` are the processes of CNCF distribution on this host, whatever their program is called and
also in containers, with the files that they use, seen through ``/proc``. One of them is the target's: that with
the configuration or storage that the caller names, that which listens on the target's port here (or whose
published port docker-proxy does), or the only one here. Its configuration, environment, storage and log are what
the other checks look at, where the caller names none. Where none runs, an enabled systemd service for the
target's port names the configuration.

``ListeningSockets`` is the kernel's table with the owners. ``PacketFilter`` walks a new connection from another
machine through the rules of nftables and iptables on paper: a port counts as blocked only where no sender can
get through; rules that let some in are somebody's intention. ``ListenRefusal`` is a log that ends with the
registry's not being able to listen.

A registry on loopback is right behind a proxy that takes the connections of others, and where the target is
loopback itself. What only root may see is said to be unseen, and nothing is concluded from it.
"""
