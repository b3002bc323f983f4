"""Suppressions: what they are read from, what they cover, and what a report comes to without it."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from regdoctor import suppress
from regdoctor.model import Severity, Status, Verdict
from regdoctor.suppress import Suppression, SuppressionError, apply, expired, parse
from tests.report import examples

CODES = {
    "tls/expired",
    "tls/weak-key",
    "auth/realm-unreachable",
    "image/manifest-gone",
    "security/anonymous-pull",
}


def read(text: str, name: str = "ignore") -> tuple[Suppression, ...]:
    return parse(text.encode(), name, CODES)


def entry(code: str = "tls/expired", **changes: Any) -> Suppression:
    return Suppression(**({"code": code, "reason": "known"} | changes))


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("tls/expired renewal is planned", entry(reason="renewal is planned")),
        ("tls/expired reg.test the lab", entry(host="reg.test", reason="the lab")),
        ("tls/expired reg.test:5000 the lab", entry(host="reg.test:5000", reason="the lab")),
        ("tls/expired registry:5000 the lab", entry(host="registry:5000", reason="the lab")),
        ("tls/expired [::1]:5000 the lab", entry(host="[::1]:5000", reason="the lab")),
        ("tls/expired localhost the lab", entry(host="localhost", reason="the lab")),
        (
            "tls/expired reg.test until=2026-12-31 the lab",
            entry(host="reg.test", until=date(2026, 12, 31), reason="the lab"),
        ),
        ("  tls/expired until=2026-12-31 see ticket", entry(until=date(2026, 12, 31), reason="see ticket")),
        ("tls/expired e.g. for tests", entry(reason="e.g. for tests")),
    ],
)
def test_a_line_is_code_host_day_and_reason(line: str, expected: Suppression) -> None:
    assert read(f"# comment\n\n{line}\n") == (
        Suppression(
            **{
                **{name: getattr(expected, name) for name in ("code", "host", "until", "reason")},
                "place": "ignore:3",
            }
        ),
    )


def test_toml_says_the_same() -> None:
    text = """
        [[suppress]]
        code = "tls/expired"
        host = "reg.test:5000"
        until = 2026-12-31
        reason = "the lab"

        [[suppress]]
        code = "tls/weak-key"
        reason = "so be it"
    """
    first, second = read(text)
    assert (first.code, first.host, first.until, first.reason) == (
        "tls/expired",
        "reg.test:5000",
        date(2026, 12, 31),
        "the lab",
    )
    assert (second.code, second.host, second.until, second.place) == (
        "tls/weak-key",
        None,
        None,
        "ignore: entry 2",
    )


def test_an_empty_file_suppresses_nothing() -> None:
    assert read("") == read("# nothing\n") == read("", "x.toml") == ()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("tls/expired", "ignore:1: the reason is missing"),
        ("tls/expired reg.test", "ignore:1: the reason is missing"),
        ("\ntls/expired until=2026-12-31", "ignore:2: the reason is missing"),
        ("tls/expired until=tomorrow because", "until=tomorrow is no date"),
        ("expired because", "'expired' is no finding code"),
        ("tls/typo because", "unknown code 'tls/typo'"),
        ("[[suppress]]\ncode = 'tls/expired'", "ignore: entry 1: "),
        ("[[suppress]]\ncode = 'tls/expired'\nreason = ' '", "the reason is missing"),
        ("[[suppress]]\ncode = 'tls/expired'\nreason = 'x'\nhosts = 'y'", "hosts"),
        ("[[suppress]]\ncode = 'tls/expired'\nreason = 'x'\nhost = 'a b'", "'a b' is no host"),
        ("[[suppress]]\ncode = 'tls/expired'\nreason = 'x'\nuntil = 'soon'", "until"),
        ("[[suppress]]\ncode = ", "is not TOML"),
        ("[other]\nx = 1", "may hold [[suppress]] tables only"),
    ],
)
def test_what_is_wrong_is_named_with_its_place(text: str, words: str) -> None:
    with pytest.raises(SuppressionError) as error:
        read(text)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


def test_binary_and_endless_files_are_refused() -> None:
    with pytest.raises(SuppressionError, match="not UTF-8"):
        parse(b"\xff", "ignore", CODES)
    with pytest.raises(SuppressionError, match="larger than"):
        parse(b"#" * (suppress.LARGEST + 1), "ignore", CODES)


@pytest.mark.parametrize(
    ("changes", "covered"),
    [
        ({}, True),
        ({"host": "reg.test:5000"}, True),
        ({"host": "REG.test"}, True),
        ({"host": "reg.test:443"}, False),
        ({"host": "other.test"}, False),
        ({"host": "eg.test"}, False),
        ({"until": date(2026, 11, 23)}, True),
        ({"until": date(2026, 11, 22)}, False),
        ({"code": "tls/weak-key"}, False),
    ],
)
def test_code_host_and_day_decide(changes: dict[str, Any], covered: bool) -> None:
    (target,) = examples.failing().targets
    assert entry(**changes).covers(examples.EXPIRED, target, date(2026, 11, 23)) is covered


def test_a_finding_about_no_host_belongs_to_the_targets_registry() -> None:
    (target,) = examples.failing().targets
    about_a_file = examples.finding(host=None, role=None)
    assert entry(host="reg.test:5000").covers(about_a_file, target, date(2026, 11, 23))
    assert not entry(host="other.test").covers(about_a_file, target, date(2026, 11, 23))


def test_without_suppressions_the_report_is_the_same() -> None:
    report = examples.failing()
    assert apply(report, ()) is report
    assert apply(report, (entry("auth/realm-unreachable", host="other.test"),)) == report


def test_a_suppressed_finding_stays_with_its_reason_and_does_not_count() -> None:
    (target,) = apply(examples.degraded(), (entry("tls/weak-key", reason="until the move"),)).targets
    assert [finding.suppressed for finding in target.findings] == ["until the move"]
    assert target.root_causes == ()
    assert target.verdict is Verdict.HEALTHY
    assert {check.id: check.status for check in target.checks} == {"dns": Status.PASS, "tls": Status.INFO}


def test_what_a_suppressed_finding_explains_counts_by_itself() -> None:
    (target,) = apply(examples.failing(), (entry("tls/expired"),)).targets
    assert [finding.code for finding in target.root_causes] == ["auth/realm-unreachable"]
    assert target.verdict is Verdict.FAILING


def test_the_verdict_is_that_of_what_is_left() -> None:
    suppressions = [entry("tls/expired"), entry("auth/realm-unreachable")]
    report = apply(examples.failing(), suppressions)
    assert report.verdict is report.targets[0].verdict is Verdict.DEGRADED
    assert [finding.severity for finding in report.targets[0].root_causes] == [
        Severity.WARNING,
        Severity.WARNING,
    ]


def test_behind_a_suppressed_error_nothing_is_proven_where_checks_were_skipped() -> None:
    suppressions = [entry(code) for code in CODES]
    assert apply(examples.failing(), suppressions).verdict is Verdict.UNDETERMINED


def test_a_check_that_failed_to_run_keeps_the_verdict_open() -> None:
    checks = (examples.check("tls", Status.FAIL), examples.check("acme", Status.ERROR, reason="KeyError"))
    report = examples.report(
        examples.target(verdict=Verdict.FAILING, findings=(examples.EXPIRED,), checks=checks)
    )
    assert apply(report, [entry("tls/expired")]).verdict is Verdict.UNDETERMINED


def test_entries_whose_last_day_has_passed_are_told() -> None:
    old, new = entry(until=date(2026, 11, 22)), entry(until=date(2026, 11, 23))
    assert expired(examples.failing(), [old, new, entry()]) == (old,)
