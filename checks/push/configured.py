"""What the configuration of a reverse proxy says about the methods and paths of uploads. Pure.

Where an upload was tried, it settles what happens, and the configuration only says why.
"""

from __future__ import annotations

import shlex
from collections.abc import Iterable, Iterator

from regdoctor.api import (
    Certainty,
    Draft,
    Endpoint,
    ProxyConfig,
    ReverseProxySetting,
    Severity,
    finding,
    proxy_configs,
)

_PUSHING = ("POST", "PATCH", "PUT")
_NEEDED = ("HEAD", *_PUSHING)
_ROOT = "/v2/"


def refusals(config: ProxyConfig, registries: Iterable[Endpoint]) -> Iterator[Draft]:
    """``push/method-blocked`` for filters of methods that let a part of an upload through.

    One that refuses every method of pushes is for pulls on purpose, and one that refuses DELETE keeps images.
    """
    for front in proxy_configs.fronts(config, registries):
        refused = front.route.refused
        if refused is None:
            continue
        needed = [method for method in _NEEDED if method in refused.methods]
        on_purpose = set(_PUSHING) <= set(refused.methods) and "HEAD" not in needed
        if not needed:
            continue
        effect = (
            "No push is let through, which is right for a registry that is only pulled from."
            if on_purpose
            else "The registry never sees such requests, and every push stops there."
        )
        yield _found(
            "push/method-blocked",
            f"{_shown(refused)} holds for {front.where}, and refuses {_listed(needed)}. {effect}",
            config,
            front,
            refused,
            severity=Severity.INFO if on_purpose else None,
            fix=f"let {', '.join(_NEEDED)} and GET through at {refused.place or front.route.place}",
        )


def path_changes(config: ProxyConfig, registries: Iterable[Endpoint]) -> Iterator[Draft]:
    """``push/path-rewritten`` where the registry gets a path that none of its API has, or loses the query."""
    for front in proxy_configs.fronts(config, registries):
        route = front.route
        sent, change = route.sent_path, route.path_change
        if front.pulls_only:
            continue
        if sent is not None and change is not None and not _usable(sent):
            yield _found(
                "push/path-rewritten",
                f"{_shown(change)} holds for {front.where}. An upload to {proxy_configs.START} reaches the "
                f"registry as {sent}, which is no address of an upload, and no push begins.",
                config,
                front,
                change,
                fix=f"pass the path on as it comes: look at {change.place or route.place}",
            )
        elif route.query_loss is not None:
            loss = route.query_loss
            yield _found(
                "push/path-rewritten",
                f"{_shown(loss)} holds for {front.where}, and passes on requests without their query. There "
                "the registry keeps the state of an upload (_state), and it takes the upload for invalid.",
                config,
                front,
                loss,
                fix=f"name no path after the address at {loss.place or route.place}, or $request_uri",
            )


def _usable(path: str) -> bool:
    """Whether a registry may take a path for that of an upload, below another one or in another namespace."""
    return _ROOT in path and path.endswith(proxy_configs.START.removeprefix(_ROOT))


def told(setting: ReverseProxySetting | None) -> str:
    """That a setting says what was seen, as a sentence; empty without one."""
    return f" The proxy's configuration says so: {_shown(setting)}." if setting is not None else ""


def refusing(
    config: ProxyConfig | None, registries: Iterable[Endpoint], methods: Iterable[str]
) -> ReverseProxySetting | None:
    """The filter that refuses one of these methods."""
    wanted = set(methods)
    for front in proxy_configs.fronts(config, registries) if config is not None else ():
        if front.route.refused is not None and wanted & set(front.route.refused.methods):
            return front.route.refused
    return None


def rewriting(config: ProxyConfig | None, registries: Iterable[Endpoint]) -> ReverseProxySetting | None:
    """What changes the path of an upload, or loses its query."""
    for front in proxy_configs.fronts(config, registries) if config is not None else ():
        route = front.route
        if route.query_loss is not None:
            return route.query_loss
        if route.sent_path != proxy_configs.START and route.path_change is not None:
            return route.path_change
    return None


def _shown(setting: ReverseProxySetting) -> str:
    shown = f"{setting.name} {setting.value}".strip()
    return f"{setting.place}: {shown}" if setting.place is not None else shown


def _listed(words: list[str]) -> str:
    return " and ".join(filter(None, (", ".join(words[:-1]), words[-1])))


def _found(
    code: str,
    detail: str,
    config: ProxyConfig,
    front: proxy_configs.Front,
    setting: ReverseProxySetting,
    *,
    severity: Severity | None = None,
    fix: str,
) -> Draft:
    possible = front.certainty is Certainty.POSSIBLE
    if possible:
        detail += " Only the path or the port says that a registry may be behind it."
        severity = severity or Severity.WARNING
    files = " ".join(shlex.quote(file) for file in (config.files or (config.path,))[:5])
    return finding(
        code,
        detail,
        certainty=Certainty.POSSIBLE if possible else Certainty.LIKELY,
        severity=severity,
        fix=(fix,),
        reproduce=f"grep -nHiE 'location|method|limit_except|rewrite|prefix|path|proxy_pass' {files}",
        evidence=(setting.place or front.route.place,),
        endpoint=front.endpoint,
    )
