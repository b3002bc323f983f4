"""Whether a host name is one of those that a way through a proxy is for."""

from __future__ import annotations

from collections.abc import Sequence

from regdoctor.host.proxyconf.patterns import search


def names_match(names: Sequence[str], host: str) -> bool:
    """Whether a host name fits one of several patterns, in nginx's notation.

    ``reg.test`` is the name itself, ``*.test`` and ``reg.*`` have one wildcard at an end, ``.test`` is both
    ``test`` and ``*.test``, and ``~…`` is a regular expression (``ngx_http_core_module``, server_name).
    """
    return any(_matches(name, host.rstrip(".").lower()) for name in names)


def _matches(name: str, host: str) -> bool:
    if name.startswith("~"):
        return search(name[1:], host, ignore_case=True) is True
    name = name.lower().rstrip(".")
    name = name.partition(":")[0] if name.count(":") == 1 else name
    if name.startswith("."):
        return host == name[1:] or host.endswith(name)
    if name.startswith("*"):
        return host.endswith(name[1:]) and len(host) > len(name) - 1
    if name.endswith(".*"):
        return host.startswith(name[:-1])
    return host == name
