"""Configurations of reverse proxies: nginx, haproxy, Traefik and Caddy.

Each is read into directives, sections or nodes with their places, and from these into the ways that uploads take
(:class:`regdoctor.facts.ProxyRoute`), in which the programs are alike. Nothing of the network is touched, every
file, pattern and recursion is bounded, and what cannot be told from the text is said to be unknown.
"""

from regdoctor.host.proxyconf.fronts import DEFAULT_PORTS, Front, fronts
from regdoctor.host.proxyconf.matching import names_match
from regdoctor.host.proxyconf.reading import Unreadable, read
from regdoctor.host.proxyconf.requests import START

__all__ = ["DEFAULT_PORTS", "START", "Front", "Unreadable", "fronts", "names_match", "read"]
