"""One run over its targets: contexts made, plans carried out, reports put together."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from regdoctor import __version__
from regdoctor.context import Context, Deadline, Trace
from regdoctor.engine import diagnosis
from regdoctor.engine.plan import GIVEN, Plan
from regdoctor.engine.run import FactStore, gather, judge, nothing_gathered
from regdoctor.facts.base import Endpoint, Moment, Role, Settings, fact_name
from regdoctor.model import Report, TargetReport, Tool
from regdoctor.parallel import side_by_side

if TYPE_CHECKING:
    from regdoctor.oci.reference import Target
    from regdoctor.options import Options
    from regdoctor.secret import Secret

SCHEMA = "regdoctor.report/1"
TARGETS_AT_A_TIME = 4
"""A list may name a thousand images; each that is looked at has several requests under way."""
CLEANUP_SECONDS = 10.0
"""How long an ended or interrupted run waits for probes that have something to undo."""
LOOK_PATH = "/v2/"
"""What a first look at a registry asks for (OCI distribution-spec, end-1)."""


def check(
    targets: Sequence[Target],
    options: Options,
    plan: Plan,
    *,
    environment: Mapping[str, str],
    home: Path,
    conceal: Callable[[Secret], None],
    progress: Callable[[str], None],
    meanwhile: Callable[[], None] = lambda: None,
) -> Report:
    """Diagnoses every target, side by side, under one deadline.

    Targets share connections and trust stores. ``conceal`` receives every secret that comes up. ``meanwhile``
    is work that is wanted afterwards, such as loading renderers; it is done while the network is waited for.
    """
    started = datetime.now(UTC)
    clock = time.monotonic()
    deadline = Deadline(options.deadline, options.timeout)
    shared: dict[str, Any] = {}
    lock = threading.Lock()
    contexts = [
        make_context(
            target,
            options,
            deadline,
            environment=environment,
            home=home,
            conceal=conceal,
            progress=progress,
            shared=shared,
            lock=lock,
        )
        for target in targets
    ]

    def prepare() -> None:
        # What fails here fails again where it is needed, and is reported there.
        with suppress(Exception):
            plan.registry.texts.get()
            meanwhile()

    def diagnose(index: int) -> TargetReport:
        return diagnose_target(plan, contexts[index], Moment(now=started), prepare if index == 0 else None)

    try:
        done = tuple(side_by_side(diagnose, range(len(targets)), workers=TARGETS_AT_A_TIME))
    except BaseException as error:
        for left in _clean_up(contexts):
            error.add_note(left)
        raise
    else:
        _clean_up(contexts)
    finally:
        # The connections are shared: the first target that is done must not close those of the others.
        for context in contexts:
            context.http.close()
    return report_of(done, started, time.monotonic() - clock)


def _clean_up(contexts: Sequence[Context]) -> tuple[str, ...]:
    """Waits for probes to undo what they have changed, and returns what is left all the same, in words."""
    for context in contexts:
        context.cleanup.end()
    end = time.monotonic() + CLEANUP_SECONDS
    left = []
    for context in contexts:
        if not context.cleanup.wait(max(0.0, end - time.monotonic())):
            left.append(f"{context.target.text}: not everything could be undone in time")
        left.extend(f"{context.target.text}: {each}" for each in context.cleanup.left)
    return tuple(left)


def report_of(done: Sequence[TargetReport], started: datetime, seconds: float) -> Report:
    """Puts the reports of all targets together to that of the run."""
    return Report(
        schema=SCHEMA,
        tool=Tool(name="regdoctor", version=__version__),
        started_at=started.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
        duration_ms=round(seconds * 1000),
        verdict=diagnosis.overall([report.verdict for report in done]),
        targets=tuple(done),
    )


def make_context(
    target: Target,
    options: Options,
    deadline: Deadline,
    *,
    environment: Mapping[str, str],
    home: Path,
    conceal: Callable[[Secret], None],
    progress: Callable[[str], None],
    shared: dict[str, Any],
    lock: threading.Lock,
) -> Context:
    """What the probes of one target may use."""
    from regdoctor.host.insecure import insecure_entries
    from regdoctor.host.proxies import proxy_for
    from regdoctor.net.http import Client, without_userinfo

    trace = Trace()

    def find_proxy(url: str) -> str | None:
        configured = options.proxy or proxy_for(url, environment).proxy_url
        return without_userinfo(configured) if configured else None

    return Context(
        target=target,
        options=options,
        deadline=deadline,
        trace=trace,
        http=Client(
            options=options,
            deadline=deadline,
            trace=trace,
            environment=environment,
            home=home,
            shared=shared,
            lock=lock,
            registry=target.registry,
            domain=target.domain,
            conceal=conceal,
            insecure=insecure_entries(options, environment, home),
        ),
        environment=environment,
        home=home,
        conceal=conceal,
        progress=progress,
        shared=shared,
        lock=lock,
        find_proxy=find_proxy,
    )


def registry_endpoint(context: Context) -> Endpoint:
    """Where a client would contact the target's registry, with the scheme that it would use."""
    target, options = context.target, context.options
    scheme = target.scheme or ("http" if options.plain_http else "https")
    host = f"[{target.host}]" if ":" in target.host else target.host
    port = target.port or (443 if scheme == "https" else 80)
    from msgspec.structs import replace

    endpoint = context.endpoint(role=Role.REGISTRY, url=f"{scheme}://{host}:{port}{LOOK_PATH}")
    return replace(
        endpoint, host=target.ascii_host, scheme_given=target.scheme is not None or options.plain_http
    )


def settings_of(options: Options) -> Settings:
    """The part of the options that rules judge by."""
    return Settings(
        plain_http=options.plain_http,
        push=options.push,
        platforms=options.platforms,
        timeout=options.timeout,
        clock_tolerance=options.clock_tolerance,
        expiry_warning=options.expiry_warning,
        min_free=options.min_free,
        upload_age=options.upload_age,
        profile=options.profile.value,
        registry_version=options.registry_version,
        lint=options.lint,
    )


def diagnose_target(
    plan: Plan, context: Context, moment: Moment, meanwhile: Callable[[], None] | None = None
) -> TargetReport:
    """Gathers the facts about one target, judges them and names the root cause."""
    settings = settings_of(context.options)
    if context.target.defect is not None:
        reason = "the image reference cannot be read"
        return conclude(plan, nothing_gathered(plan, context.target, moment, settings, reason), context)
    store = gather(plan, context, registry_endpoint(context), moment, settings, meanwhile)
    return conclude(plan, store, context)


def conclude(plan: Plan, store: FactStore, context: Context) -> TargetReport:
    """Judges gathered facts; touches nothing but them."""
    target = context.target
    judgements = judge(plan, store)
    only, skip = context.options.only, context.options.skip
    wanted = {code: False for code in skip if "/" in code}
    if only:
        for each in plan.registry.checks:
            for code in each.codes:
                wanted[code] = (each.id in only or code in only) and wanted.get(code, True)
    findings = diagnosis.find(judgements, target, plan.registry.catalogue, wanted)
    checks = diagnosis.check_results(plan, judgements, findings, store)
    return TargetReport(
        target=target.text,
        registry=target.registry if target.host else None,
        repository=target.repository,
        reference=target.reference.reference if target.reference else None,
        verdict=diagnosis.verdict(findings, checks, tuple(store.missing.values())),
        root_causes=diagnosis.root_causes(findings),
        findings=findings,
        checks=checks,
        facts=facts_by_name(store),
        exchanges=context.trace.exchanges,
    )


def facts_by_name(store: FactStore) -> dict[str, Any]:
    """Every fact by name; those about hosts by ``role host:port`` below it."""
    facts: dict[str, Any] = {}
    for (kind, endpoint), fact in store.facts.items():
        if kind in GIVEN and endpoint is None:
            if kind is Moment or kind is Settings:
                facts[fact_name(kind)] = fact
            continue
        if endpoint is None:
            facts[fact_name(kind)] = fact
        else:
            facts.setdefault(fact_name(kind), {})[f"{endpoint.role.value} {endpoint.address}"] = fact
    return facts
