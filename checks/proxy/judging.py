"""What the answers of a forward proxy amount to. Pure."""

from __future__ import annotations

from regdoctor.api import Answer, Endpoint, Ping, ProducerKind, ProxyAnswer, Role, errors

LOGIN_WANTED = 407


def wants_login(answer: Answer) -> bool:
    """Whether the proxy refuses for want of a login, or for a wrong one.

    What answers CONNECT is the proxy; tinyproxy says 401 where the login is wrong (``reqs.c``).
    """
    return answer.status == LOGIN_WANTED or (answer.method == "CONNECT" and answer.status == 401)


def serves(asked: ProxyAnswer, ping: Ping | None, *, has_ping: bool) -> bool:
    """Whether a request came through the proxy to the host, as far as can be seen.

    An open tunnel does not say that there is anything at its other end: some proxies answer 200 before they
    connect, and show a page of their own in it.

    :param has_ping: whether the host is one that is looked at over HTTP, so that a missing look says something.
    """
    answer = asked.answer
    if answer is None:
        return False
    if answer.method == "CONNECT":
        return asked.opened and (not has_ping or (ping is not None and ping.answer is not None))
    return looks_right(answer)


def looks_right(answer: Answer) -> bool:
    """Whether an answer is one that a host on the way would give, and no proxy in its place."""
    if answer.producer.kind is ProducerKind.FORWARD_PROXY or answer.status == LOGIN_WANTED:
        return False
    if answer.producer.kind is ProducerKind.REGISTRY:
        return True
    return (answer.status < 400 and not is_page(answer)) or answer.header("www-authenticate") is not None


def answers_as_host(endpoint: Endpoint, answer: Answer) -> bool:
    """Whether an answer got past the proxy shows the host itself at work."""
    if endpoint.role in (Role.REGISTRY, Role.MIRROR, Role.UPSTREAM):
        return looks_right(answer)
    return answer.status < 500


def is_page(answer: Answer) -> bool:
    """Whether the answer is an HTML page."""
    return errors.looks_like_html(answer.body_excerpt.encode(), answer.header("content-type"))


def by_proxy(answer: Answer) -> bool:
    """Whether an answer to a plain request is the proxy's own, as far as it shows."""
    kind = answer.producer.kind
    if kind is ProducerKind.FORWARD_PROXY or answer.status == LOGIN_WANTED:
        return True
    return answer.status >= 400 and not looks_right(answer) and answer.header("via") is not None
