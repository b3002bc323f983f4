"""What this host's packet filter (nftables, iptables) does with connections from other machines.

Nothing is sent: the rules are read, and a new TCP connection is walked through them on paper. Where that depends
on what is not known (the sender's address, a rate, an unknown match) the outcome is unclear, never a guess.
"""

from regdoctor.host.packet_filter.reading import Unreadable, read_rules
from regdoctor.host.packet_filter.rules import Connection, Passage, Ruleset, walk

__all__ = ["Connection", "Passage", "Ruleset", "Unreadable", "read_rules", "walk"]
