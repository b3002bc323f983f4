"""Ports of this host.

On the registry's own host: what listens on the configured port, on which address, who owns it, whether the
local firewall lets clients in, and the process's limits.
"""
