"""Symptoms are folded under their causes; the verdict follows from what is left."""

from __future__ import annotations

import pytest

from regdoctor.engine.diagnosis import find, overall, root_causes, verdict
from regdoctor.engine.run import Absence, Judgement, Missing
from regdoctor.facts.base import Endpoint, Role
from regdoctor.model import Certainty, CheckResult, Finding, Severity, Status, Verdict
from regdoctor.oci.reference import parse_target
from regdoctor.signatures import Draft, Rule, finding
from tests.engine.examples import REGISTRY, TOKEN_SERVER, check_registry, code

CATALOGUE = check_registry(
    codes=(
        code("tcp/refused", explained_by=("config/syntax",)),
        code("http/late", explained_by=("tcp/refused",)),
        code("config/syntax"),
        code("tls/soon", Severity.WARNING),
        code("tls/failed", explained_by=("tls/soon",)),
        code("auth/note", Severity.INFO),
    ),
    areas={"tcp": (), "config": (), "http": (), "tls": (), "auth": ()},
).catalogue
TARGET = parse_target("reg.test:5000/app:1")


def diagnose(*drafts: Draft, wanted: dict[str, bool] | None = None) -> tuple[Finding, ...]:
    rule = Rule(function=lambda: iter(()), codes=(), needs=())
    return find([Judgement(check="test", rule=rule, drafts=drafts)], TARGET, CATALOGUE, wanted or {})


def by_code(findings: tuple[Finding, ...]) -> dict[str, Finding]:
    return {each.code: each for each in findings}


def test_a_symptom_names_the_finding_that_explains_it() -> None:
    found = by_code(
        diagnose(finding("tcp/refused", "closed", endpoint=REGISTRY), finding("config/syntax", "tab"))
    )

    assert found["tcp/refused"].caused_by == found["config/syntax"].id
    assert found["config/syntax"].caused_by is None


def test_only_what_nothing_explains_is_a_root_cause() -> None:
    findings = diagnose(
        finding("http/late", "late", endpoint=REGISTRY),
        finding("tcp/refused", "closed", endpoint=REGISTRY),
        finding("config/syntax", "tab"),
    )

    assert [each.code for each in root_causes(findings)] == ["config/syntax"]


def test_a_rule_may_say_that_a_usual_cause_is_none_this_time() -> None:
    findings = diagnose(
        finding("http/late", "late", endpoint=REGISTRY, unexplained_by=("tcp/refused",)),
        finding("tcp/refused", "closed", endpoint=REGISTRY),
    )

    assert {each.code for each in root_causes(findings)} == {"http/late", "tcp/refused"}


def test_a_fault_of_another_host_explains_nothing() -> None:
    findings = diagnose(
        finding("http/late", "late", endpoint=REGISTRY),
        finding("tcp/refused", "closed", endpoint=TOKEN_SERVER),
    )

    assert {each.code for each in root_causes(findings)} == {"http/late", "tcp/refused"}


def test_a_fault_of_the_proxy_explains_what_goes_through_it() -> None:
    proxy = Endpoint(role=Role.PROXY, scheme="http", host="proxy.test", port=3128)
    behind = Endpoint(role=Role.REGISTRY, scheme="https", host="reg.test", port=5000, proxy=proxy.url)

    found = by_code(
        diagnose(finding("http/late", "late", endpoint=behind), finding("tcp/refused", "no", endpoint=proxy))
    )

    assert found["http/late"].caused_by == found["tcp/refused"].id


def test_the_firmer_finding_comes_first() -> None:
    findings = diagnose(
        finding("tcp/refused", "perhaps", certainty=Certainty.POSSIBLE, endpoint=REGISTRY),
        finding("http/late", "surely", endpoint=TOKEN_SERVER),
    )

    assert [each.code for each in root_causes(findings)] == ["http/late", "tcp/refused"]


def test_texts_are_filled_with_the_host_that_the_finding_is_about() -> None:
    (found,) = diagnose(finding("tcp/refused", "closed", endpoint=TOKEN_SERVER))

    assert found.fix == ("mend auth.test",)
    assert found.reproduce == "look at auth.test:443 {}"
    assert (found.host, found.role) == ("auth.test:443", "token-server")


def test_the_same_statement_is_made_once() -> None:
    assert len(diagnose(finding("config/syntax", "tab"), finding("config/syntax", "tab"))) == 1


def test_a_code_that_the_caller_does_not_want_is_left_out() -> None:
    assert diagnose(finding("config/syntax", "tab"), wanted={"config/syntax": False}) == ()


def test_warnings_are_root_causes_only_where_there_is_no_error() -> None:
    assert [each.code for each in root_causes(diagnose(finding("tls/soon", "soon")))] == ["tls/soon"]
    both = diagnose(finding("tls/soon", "soon"), finding("config/syntax", "tab"))
    assert [each.code for each in root_causes(both)] == ["config/syntax"]


def test_a_warning_that_explains_an_error_is_a_root_cause_beside_the_other_errors() -> None:
    findings = diagnose(
        finding("tls/failed", "failed"), finding("tls/soon", "soon"), finding("config/syntax", "tab")
    )

    assert [each.code for each in root_causes(findings)] == ["config/syntax", "tls/soon"]


def test_information_is_never_a_root_cause() -> None:
    assert root_causes(diagnose(finding("auth/note", "note"))) == ()


def check(status: Status) -> CheckResult:
    return CheckResult(id="test", title="Test", status=status, reason="", duration_ms=0, needs=())


@pytest.mark.parametrize(
    ("drafts", "checks", "missing", "expected"),
    [
        ((), (Status.PASS,), (), Verdict.HEALTHY),
        ((finding("auth/note", "note"),), (Status.INFO,), (), Verdict.HEALTHY),
        ((finding("tls/soon", "soon"),), (Status.WARN,), (), Verdict.DEGRADED),
        ((finding("config/syntax", "tab"),), (Status.FAIL,), (), Verdict.FAILING),
        ((), (Status.PASS, Status.ERROR), (), Verdict.UNDETERMINED),
        ((), (Status.PASS,), (Missing(Absence.BLOCKED, "no way"),), Verdict.UNDETERMINED),
        ((), (Status.PASS,), (Missing(Absence.NOT_APPLICABLE, "not here"),), Verdict.HEALTHY),
        ((), (Status.SKIP,), (), Verdict.UNDETERMINED),
    ],
)
def test_the_verdict(
    drafts: tuple[Draft, ...], checks: tuple[Status, ...], missing: tuple[Missing, ...], expected: Verdict
) -> None:
    assert verdict(diagnose(*drafts), [check(status) for status in checks], missing) is expected


def test_the_worst_target_decides_a_run() -> None:
    assert overall([Verdict.HEALTHY, Verdict.FAILING]) is Verdict.FAILING
    assert overall([Verdict.HEALTHY, Verdict.UNDETERMINED, Verdict.DEGRADED]) is Verdict.UNDETERMINED
    assert overall([Verdict.HEALTHY, Verdict.HEALTHY]) is Verdict.HEALTHY


def test_what_a_server_named_cannot_break_out_of_a_command() -> None:
    hostile = Endpoint(role=Role.TOKEN_SERVER, scheme="https", host="a;rm -rf $HOME", port=443)
    (found,) = diagnose(finding("tcp/refused", "closed", endpoint=hostile))

    assert found.reproduce == "look at 'a;rm -rf $HOME:443' {}"
