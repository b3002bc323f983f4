"""Reports made by hand, one for each kind of outcome."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from regdoctor.model import (
    Certainty,
    CheckResult,
    Exchange,
    Finding,
    Place,
    Report,
    Severity,
    Status,
    TargetReport,
    Timings,
    Tool,
    Verdict,
)

HOSTILE = (
    "\x1b[2J\x1b]0;owned\x07 \x9b31m \u202egnp.exe\u2066 \u200b</pre><script>alert(1)</script> `x` | "
    "%0A::error::no\r\n::warning::no"
)
"""What a hostile server might put anywhere: terminal sequences, bidirectional overrides, markup, commands."""


def finding(identity: str = "f1", code: str = "tls/expired", **changes: Any) -> Finding:
    fields: dict[str, Any] = {
        "id": identity,
        "code": code,
        "severity": Severity.ERROR,
        "check": code.partition("/")[0],
        "title": "The server's certificate has expired",
        "detail": (
            "reg.test:5000 presents a certificate for CN=reg.test that ended on 2026-10-01 12:00:00 UTC, "
            "53 days ago by this host's clock, which agrees with the registry's Date header. "
            'docker and containerd refuse it with "x509: certificate has expired or is not yet valid".'
        ),
        "fix": (
            "see what is served and what lies on disk: openssl x509 -noout -enddate -in CERTIFICATE-FILE",
            "renewed already: reload the server (nginx -s reload; systemctl reload haproxy; "
            "restart the registry container, it does not reload certificates)",
            "not renewed: certbot renew, kubectl describe certificate (cert-manager), or your CA; "
            "then reload",
        ),
        "reproduce": (
            "openssl s_client -connect reg.test:5000 -servername reg.test </dev/null 2>/dev/null "
            "| openssl x509 -noout -dates; date -u"
        ),
        "evidence": ("handshakes", "x1"),
        "caused_by": None,
        "certainty": Certainty.PROVEN,
        "docs": f"docs/codes/{code.partition('/')[0]}.md#{code.replace('/', '-')}",
        "host": "reg.test:5000",
        "role": "registry",
    }
    fields |= changes
    places = tuple(place for each in fields["evidence"] if (place := Place.of(each)))
    return Finding(**({"places": places} | fields))


def check(identity: str, status: Status = Status.PASS, title: str = "", **changes: Any) -> CheckResult:
    fields: dict[str, Any] = {
        "id": identity,
        "title": title or identity.upper(),
        "status": status,
        "reason": "",
        "duration_ms": 12,
        "needs": (),
    }
    return CheckResult(**(fields | changes))


def exchange(identity: str = "x1", **changes: Any) -> Exchange:
    fields: dict[str, Any] = {
        "id": identity,
        "method": "GET",
        "url": "https://reg.test:5000/v2/",
        "status": 401,
        "request_headers": (("user-agent", "regdoctor/0.1.0"), ("accept", "*/*")),
        "response_headers": (
            ("content-type", "application/json; charset=utf-8"),
            ("docker-distribution-api-version", "registry/2.0"),
            ("www-authenticate", 'Basic realm="registry"'),
        ),
        "body_excerpt": '{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}\n',
        "timings_ms": Timings(dns=1.5, tcp=0.4, tls=8.25, wait=3.0, read=0.1),
    }
    return Exchange(**(fields | changes))


def target(
    name: str = "reg.test:5000/team/app:1.0",
    verdict: Verdict = Verdict.HEALTHY,
    findings: Sequence[Finding] = (),
    checks: Sequence[CheckResult] | None = None,
    facts: Mapping[str, Any] | None = None,
    exchanges: Sequence[Exchange] = (),
    **changes: Any,
) -> TargetReport:
    counted = [each for each in findings if each.caused_by is None and each.suppressed is None]
    errors = [each for each in counted if each.severity is Severity.ERROR]
    warnings = [each for each in counted if each.severity is Severity.WARNING]
    fields: dict[str, Any] = {
        "target": name,
        "registry": "reg.test:5000",
        "repository": "team/app",
        "reference": "1.0",
        "verdict": verdict,
        "root_causes": tuple(errors or warnings),
        "findings": tuple(findings),
        "checks": tuple(checks if checks is not None else HEALTHY_CHECKS),
        "facts": dict(facts or {}),
        "exchanges": tuple(exchanges),
    }
    return TargetReport(**(fields | changes))


def report(*targets: TargetReport, verdict: Verdict | None = None) -> Report:
    order = (Verdict.FAILING, Verdict.UNDETERMINED, Verdict.DEGRADED, Verdict.HEALTHY)
    return Report(
        schema="regdoctor.report/1",
        tool=Tool(name="regdoctor", version="0.1.0"),
        started_at="2026-11-23T03:07:12.345Z",
        duration_ms=412,
        verdict=verdict or min((each.verdict for each in targets), key=order.index),
        targets=targets,
    )


HEALTHY_CHECKS = (
    check("dns", title="DNS", duration_ms=31),
    check("tcp", title="TCP", duration_ms=2),
    check("tls", title="TLS", duration_ms=18),
    check("http", title="HTTP and the registry API", duration_ms=5),
    check("auth", title="Authentication", duration_ms=44),
    check("clock", title="Clock"),
    check("image", title="Image", duration_ms=61),
    check(
        "push",
        Status.SKIP,
        title="Upload",
        reason="needs upload: an upload is tried with --push only",
        duration_ms=0,
    ),
)

FAILING_CHECKS = (
    check("dns", title="DNS", duration_ms=31),
    check("tcp", title="TCP", duration_ms=2),
    check("tls", Status.FAIL, title="TLS", duration_ms=18),
    check("http", Status.PASS, title="HTTP and the registry API", duration_ms=5),
    check(
        "auth",
        Status.FAIL,
        title="Authentication",
        duration_ms=44,
        needs=("ping", "handshakes"),
    ),
    check("clock", title="Clock"),
    check(
        "image",
        Status.SKIP,
        title="Image",
        reason="needs manifest: no credentials are sent to a host whose certificate is not trusted",
        duration_ms=0,
    ),
)

EXPIRED = finding()
FOLLOWING = finding(
    "f2",
    "auth/realm-unreachable",
    title="The token server that the challenge names cannot be reached",
    detail="The token server https://reg.test:5000/token presents the same expired certificate.",
    fix=("mend the token server first",),
    evidence=("x2",),
    caused_by="f1",
    role="token-server",
)
FURTHER = finding(
    "f3",
    "image/manifest-gone",
    severity=Severity.WARNING,
    title="The tag is listed but its manifest is gone",
    detail="team/app lists the tag 1.0 and answers 404 for its manifest.",
    caused_by="f2",
)
WEAK_KEY = finding(
    "f4",
    "tls/weak-key",
    severity=Severity.WARNING,
    title="The certificate's key is weak",
    detail="The leaf certificate has an RSA key of 1024 bits; current OpenSSL refuses fewer than 2048.",
    fix=(
        "make a new key and certificate: "
        "openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out registry.key",
    ),
)
ANONYMOUS = finding(
    "f5",
    "security/anonymous-pull",
    severity=Severity.INFO,
    title="Anonymous clients may pull",
    detail="The manifest of team/app:1.0 was served without credentials.",
    fix=("nothing to do where that is wanted",),
)
TOKEN_SERVER = finding(
    "f6",
    "tcp/refused",
    title="The host answers, but nothing listens on this port",
    detail="auth.test:8443 (10.0.0.7) refused the connection. The registry sends clients there for tokens.",
    fix=(
        "on the registry's host see what listens: ss -ltnp 'sport = :8443'",
        "see why the registry stopped: "
        "docker ps -a; docker logs --tail 50 registry; journalctl -u docker-registry -n 50",
    ),
    reproduce="nc -zv auth.test 8443",
    evidence=("connections", "/etc/docker/registry/config.yml:14"),
    certainty=Certainty.LIKELY,
    host="auth.test:8443",
    role="token-server",
)

SELF_SIGNED = finding(code="tls/self-signed", title="The certificate signs itself", suppressed="lab registry")

FACTS = {
    "settings": {"timeout": 5.0, "push": False},
    "addresses": {"registry reg.test:5000": {"host": "reg.test", "addresses": ["10.0.0.5"], "failure": None}},
}


def failing() -> Report:
    """One root cause with two symptoms, and a warning and a note of their own."""
    return report(
        target(
            verdict=Verdict.FAILING,
            findings=(EXPIRED, FOLLOWING, FURTHER, WEAK_KEY, ANONYMOUS),
            checks=FAILING_CHECKS,
            facts=FACTS,
            exchanges=(
                exchange(),
                exchange("x2", status=None, error="certificate verify failed", body_excerpt=""),
            ),
        )
    )


def two_causes() -> Report:
    """Two independent root causes, the second one only likely and about another host."""
    return report(
        target(
            verdict=Verdict.FAILING,
            findings=(EXPIRED, TOKEN_SERVER),
            checks=FAILING_CHECKS,
            exchanges=(exchange(),),
        )
    )


def healthy() -> Report:
    """Nothing at fault."""
    return report(target(facts=FACTS, exchanges=(exchange(),)))


def degraded() -> Report:
    """One warning and nothing worse."""
    return report(
        target(
            verdict=Verdict.DEGRADED,
            findings=(WEAK_KEY,),
            checks=(check("dns", title="DNS"), check("tls", Status.WARN, title="TLS")),
        )
    )


def undetermined() -> Report:
    """No finding, and a check was hindered."""
    return report(
        target(
            "reg.test:5000",
            Verdict.UNDETERMINED,
            checks=(
                check("dns", title="DNS"),
                check(
                    "tls",
                    Status.SKIP,
                    title="TLS",
                    reason="needs handshakes: the deadline of 60 s for the whole run has passed",
                ),
            ),
            repository=None,
            reference=None,
        )
    )


def broken_check() -> Report:
    """No finding, and a check failed to run."""
    return report(
        target(
            "reg.test:5000",
            Verdict.UNDETERMINED,
            checks=(
                check("dns", title="DNS"),
                check(
                    "acme",
                    Status.ERROR,
                    title="Acme's own rules",
                    reason="KeyError: 'quota'",
                    traceback="Traceback (most recent call last):\n  in judge\nKeyError: 'quota'\n",
                ),
            ),
            repository=None,
            reference=None,
        )
    )


def suppressed() -> Report:
    """The only finding is set aside by the caller."""
    return report(
        target(
            findings=(
                finding(
                    code="tls/self-signed", title="The certificate signs itself", suppressed="lab registry"
                ),
            ),
            checks=(check("dns", title="DNS"), check("tls", Status.INFO, title="TLS")),
        )
    )


def several() -> Report:
    """A healthy target, two that fail for the same reason, one undetermined."""
    undecided = undetermined().targets[0]
    failed = failing().targets[0]
    return report(
        healthy().targets[0],
        failed,
        target(
            "reg.test:5000/team/web:2.4",
            Verdict.FAILING,
            findings=failed.findings,
            checks=failed.checks,
            repository="team/web",
            reference="2.4",
        ),
        undecided,
    )


def hostile() -> Report:
    """Every text that a server, a file or a plug-in can have a hand in is hostile."""
    hostile_finding = finding(
        title=f"title {HOSTILE}",
        detail=f"detail {HOSTILE}",
        fix=(f"fix {HOSTILE}", f"run: curl {HOSTILE}"),
        reproduce=f"curl {HOSTILE}",
        evidence=("x1", f"/etc/{HOSTILE}:3", HOSTILE),
        host=f"{HOSTILE}:5000",
    )
    followed = finding("f2", "http/server-error", title=HOSTILE, detail=HOSTILE, caused_by="f1")
    note = finding("f3", "security/anonymous-pull", severity=Severity.INFO, title=HOSTILE, detail=HOSTILE)
    warning = finding("f4", "tls/weak-key", severity=Severity.WARNING, title=HOSTILE, detail=HOSTILE)
    aside = finding("f5", "tls/self-signed", title=HOSTILE, detail=HOSTILE, suppressed=HOSTILE)
    return report(
        target(
            f"reg.test/{HOSTILE}",
            Verdict.FAILING,
            findings=(hostile_finding, followed, note, warning, aside),
            checks=(
                check("tls", Status.FAIL, title=HOSTILE),
                check("push", Status.SKIP, reason=HOSTILE),
                check("acme", Status.ERROR, reason=HOSTILE, traceback=HOSTILE),
            ),
            facts={f"fact {HOSTILE}": {HOSTILE: [HOSTILE, 1, None]}},
            exchanges=(
                exchange(
                    url=f"https://reg.test/{HOSTILE}",
                    response_headers=(("server", HOSTILE), (HOSTILE, "x")),
                    body_excerpt=HOSTILE,
                ),
                exchange("x2", status=None, error=HOSTILE),
            ),
        ),
        target(f"other {HOSTILE}"),
    )


OUTCOMES = {
    "failing": failing,
    "two causes": two_causes,
    "healthy": healthy,
    "degraded": degraded,
    "undetermined": undetermined,
    "broken check": broken_check,
    "suppressed": suppressed,
    "several": several,
    "hostile": hostile,
}
