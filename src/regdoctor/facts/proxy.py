"""Facts about forward proxies: which one is used for a host, what it answers, and what its daemons use.

No fact holds a user name or password of a proxy.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from regdoctor.facts.base import Discovery, EndpointFact, Fact, Failure, Role
from regdoctor.facts.http import Answer
from regdoctor.facts.tls import Handshake


class ProxySetting(EndpointFact, frozen=True, kw_only=True):
    """Which forward proxy clients with this environment use for a host, and why (Go ``http/httpproxy``)."""

    proxy: str | None
    """Its URL without userinfo; null where clients connect directly."""
    source: str | None
    """The variable that names it, or ``--proxy``; also where its value is of no use."""
    why: str
    """One clause."""
    login: bool = False
    """Whether the URL holds a user name."""
    ignored: bool = False
    """Whether a variable names a proxy, and clients ignore it because its value is no URL."""
    no_proxy_source: str | None = None
    """The variable that lists exceptions."""
    no_proxy: str = ""
    """Its value, without userinfo."""
    problems: tuple[str, ...] = ()
    """Sentences on values that do not do what they seem to."""


class ForwardProxies(Discovery, frozen=True, kw_only=True):
    """The forward proxy that clients with this environment use for the registry."""

    discovers: ClassVar[Role] = Role.PROXY


class ProxyAnswer(EndpointFact, frozen=True, kw_only=True):
    """What the forward proxy says when it is asked for a host: CONNECT for https, the request itself for http.

    A failure is one of the connection to the proxy, by its own kind. The answer to a plain request may be the
    host's own, passed on; ``answer.producer`` tells, as far as it shows.
    """

    answer: Answer | None
    failure: Failure | None = None
    plain_line: str | None = None
    """The first line that the port of an https proxy answers to plain HTTP, where TLS did not come about."""

    @property
    def opened(self) -> bool:
        """Whether there is a tunnel."""
        return self.answer is not None and self.answer.method == "CONNECT" and 200 <= self.answer.status < 300


class DirectLook(EndpointFact, frozen=True, kw_only=True):
    """What a host answers past its forward proxy, tried where the proxy does not serve it. Bounded."""

    answer: Answer | None
    trusted: bool = True
    """Whether TLS verification passed; no credential is sent either way."""
    failure: Failure | None = None


class DirectHandshake(EndpointFact, frozen=True, kw_only=True):
    """A TLS handshake past the forward proxy, tried where the chain that comes through it is not trusted."""

    handshake: Handshake


class DaemonProxy(msgspec.Struct, frozen=True, kw_only=True):
    """Which forward proxy a daemon of this host uses for the registry, by its own settings."""

    daemon: str
    """``dockerd``, ``containerd``, ``kubelet`` or ``crio``."""
    source: str
    """Where that is read: the process's environment or command line, its unit files, or daemon.json."""
    proxy: str | None
    """Without userinfo; null where it connects directly."""
    why: str
    running: bool
    problems: tuple[str, ...] = ()
    answer: Answer | None = None
    """What its proxy says when it is asked for the registry, where the caller does not use the same one."""
    failure: Failure | None = None


class DaemonProxies(Fact, frozen=True, kw_only=True):
    """The container daemons of this host that read their proxy from settings of their own."""

    daemons: tuple[DaemonProxy, ...]
