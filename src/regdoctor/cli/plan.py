"""``regdoctor check --plan``: what would be contacted and read, found out without contacting anything."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from regdoctor.engine.plan import Plan
    from regdoctor.facts.base import Endpoint
    from regdoctor.oci.reference import Target
    from regdoctor.options import Options

FORMATS: Final = ("text", "json")
SCHEMA: Final = "regdoctor.plan/1"

_FILE_OPTIONS: Final = (
    "authfile",
    "cacert",
    "certs_dir",
    "cert",
    "key",
    "config",
    "storage",
    "log",
    "proxy_config",
    "daemon_json",
    "hosts_dir",
    "registries_conf",
    "policy",
    "pull_secret",
    "env_file",
)
"""Options that name files or folders to read."""


def render(
    plan: Plan,
    targets: Sequence[Target],
    options: Options,
    environment: Mapping[str, str],
    home: Path,
    format_: str,
) -> bytes:
    """The plan as text or JSON."""
    document = {
        "schema": SCHEMA,
        "targets": [_target(target, options, environment, home) for target in targets],
        "further_hosts": _further_hosts(plan),
        "files": [
            str(value) for name in _FILE_OPTIONS if (value := getattr(options, name, None)) is not None
        ],
        "changes": _changes(options),
        "steps": _steps(plan),
        "checks": list(dict.fromkeys(check.id for check, _rule in plan.rules)),
    }
    if format_ == "json":
        from regdoctor.report.json import encode

        return encode(document)
    return _text(document).encode("utf-8", "backslashreplace")


def _target(target: Target, options: Options, environment: Mapping[str, str], home: Path) -> dict[str, Any]:
    endpoint = _endpoint(target, options, environment, home)
    return {
        "target": target.text,
        "url": endpoint.url if endpoint is not None else None,
        "proxy": endpoint.proxy if endpoint is not None else None,
        "repository": target.repository,
        "reference": target.reference.reference if target.reference is not None else None,
    }


def _endpoint(
    target: Target, options: Options, environment: Mapping[str, str], home: Path
) -> Endpoint | None:
    """Where the run would begin, worked out by the very code that the run uses; None: nowhere."""
    if target.defect is not None:
        return None
    import threading

    from regdoctor.context import Deadline
    from regdoctor.engine.session import make_context, registry_endpoint

    context = make_context(
        target,
        options,
        Deadline(options.deadline, options.timeout),
        environment=environment,
        home=home,
        conceal=lambda _secret: None,
        progress=lambda _message: None,
        shared={},
        lock=threading.Lock(),
    )
    try:
        return registry_endpoint(context)
    finally:
        context.http.close()


def _further_hosts(plan: Plan) -> list[str]:
    """Hosts that only the run itself discovers, by what they are."""
    from regdoctor.facts.base import discovered_role
    from regdoctor.report.layout import ROLES

    roles = [discovered_role(node.probe.provides) for node in plan.order]
    return list(dict.fromkeys(ROLES.get(role.value, role.value) for role in roles if role is not None))


def _changes(options: Options) -> list[str]:
    if not options.push:
        return []
    changes = [
        "upload of a blob of a few bytes to the registry, and its deletion where the registry allows it",
        "uploads of 8 MB in all, which are cancelled",
        "the image's own manifest, where it exists, put again under its own tag without a change",
    ]
    if options.push_tag is not None:
        changes.append(f"a tiny image under the tag {options.push_tag}, and its deletion where allowed")
    return changes


def _steps(plan: Plan) -> list[dict[str, Any]]:
    """Every probe once, in an order that fits, with the hosts that it would look at."""
    from regdoctor.facts.base import fact_name
    from regdoctor.report.layout import ROLES

    steps: dict[str, dict[str, Any]] = {}
    for node in plan.order:
        name = fact_name(node.probe.provides)
        step = steps.setdefault(
            name,
            {
                "fact": name,
                "check": plan.registry.check_of(node.probe).id,
                "what": _summary(node.probe.function),
                "hosts": [],
            },
        )
        if node.role is not None:
            step["hosts"].append(ROLES.get(node.role.value, node.role.value))
    return list(steps.values())


def _summary(function: Any) -> str:
    """The first paragraph of a probe's docstring, without its markup."""
    paragraph = (inspect.getdoc(function) or "").partition("\n\n")[0]
    return " ".join(paragraph.replace("``", "").split())


def _text(document: Mapping[str, Any]) -> str:
    from regdoctor.report.options import RenderOptions
    from regdoctor.report.page import Page

    page = Page(RenderOptions())
    parts: list[str] = ["Nothing was contacted. A run would look at:", ""]
    for target in document["targets"]:
        if target["url"] is None:
            parts.append(page.prose(f"{target['target']}: nothing, it cannot be read as an image"))
            continue
        way = f"through the proxy {target['proxy']}" if target["proxy"] else "directly"
        parts.append(page.prose(f"{target['target']}: {target['url']}, {way}"))
    parts.extend(page.prose(f"{host}, where one is named") for host in document["further_hosts"])
    files = ", ".join(document["files"]) or "only those that clients read by default"
    changes = "; ".join(document["changes"]) or "none, everything is read-only"
    parts.extend(
        [
            "",
            page.item("Files:", files, indent=0),
            page.item("Changes:", changes, indent=0),
            page.item("Checks:", ", ".join(document["checks"]) or "none", indent=0),
            "",
            "Steps, in an order that fits:",
            "",
        ]
    )
    for step in document["steps"]:
        hosts = f" ({', '.join(step['hosts'])})" if step["hosts"] else ""
        parts.append(page.item("–", f"{step['fact']}{hosts}: {step['what']}"))
    return "\n".join(parts) + "\n"
