"""TCP: whether a connection to each address of a host opens, and how it fails where it does not.

``Connections`` holds one attempt for every address, made side by side within one time-out, with the ICMP
error that ended it and who sent that, where the kernel kept it (``IP_RECVERR``). A reset comes from the host
itself; an ICMP "prohibited" or "port unreachable" from a packet filter, and so does "host unreachable" where
the host says it about itself; the same said by this machine after some seconds means that nobody answers on
the local network; silence is a filter that drops. A forged reset cannot be told from a closed port from afar;
on this machine itself the kernel's table of listening sockets tells.

``RepeatedConnections`` tries again what was settled at once: one attempt proves neither health nor death.
``OtherPorts`` looks for a registry on other usual ports where the one asked for is closed. ``SegmentTrials``
repeats an exchange that hung with small packets, which pass where the path loses big ones.

An address of the other family that fails at once costs clients nothing (``localhost`` with a registry on IPv4
alone, a machine without IPv6) and is no finding.
"""
