"""The order in which reports for people show things."""

import pytest

from regdoctor.model import Certainty, Severity, Status, Verdict
from regdoctor.report import layout
from tests.report import examples


def test_symptoms_fold_under_the_cause_that_explains_them() -> None:
    (diagnosis,) = layout.arrange(examples.failing())
    (cause,) = diagnosis.causes
    assert cause.finding.code == "tls/expired"
    assert [(each.finding.code, each.depth) for each in cause.symptoms] == [
        ("auth/realm-unreachable", 1),
        ("image/manifest-gone", 2),
    ]


def test_warnings_and_notes_of_their_own_stand_apart() -> None:
    (diagnosis,) = layout.arrange(examples.failing())
    assert [each.finding.code for each in diagnosis.warnings] == ["tls/weak-key"]
    assert [each.finding.code for each in diagnosis.notes] == ["security/anonymous-pull"]


def test_causes_keep_the_order_of_the_report() -> None:
    (diagnosis,) = layout.arrange(examples.two_causes())
    assert [each.finding.code for each in diagnosis.causes] == ["tls/expired", "tcp/refused"]


def test_the_warning_that_degrades_a_target_is_its_cause() -> None:
    (diagnosis,) = layout.arrange(examples.degraded())
    assert [each.finding.code for each in diagnosis.causes] == ["tls/weak-key"]
    assert diagnosis.warnings == ()


def test_suppressed_findings_are_no_causes() -> None:
    (diagnosis,) = layout.arrange(examples.suppressed())
    assert diagnosis.causes == diagnosis.warnings == diagnosis.notes == ()
    assert [each.code for each in diagnosis.suppressed] == ["tls/self-signed"]


def test_a_cause_that_is_missing_or_suppressed_explains_nothing() -> None:
    orphan = examples.finding("f1", caused_by="f9")
    (diagnosis,) = layout.arrange(
        examples.report(
            examples.target(verdict=Verdict.FAILING, findings=(orphan,), root_causes=()),
        )
    )
    assert [each.finding for each in diagnosis.causes] == [orphan]


def test_findings_that_explain_each_other_are_all_shown() -> None:
    first = examples.finding("f1", caused_by="f2")
    second = examples.finding("f2", "tls/weak-key", caused_by="f1")
    (diagnosis,) = layout.arrange(
        examples.report(
            examples.target(verdict=Verdict.FAILING, findings=(first, second), root_causes=()),
        )
    )
    assert [each.finding for each in diagnosis.causes] == [first, second]


def test_targets_come_worst_first_and_equal_diagnoses_together() -> None:
    diagnoses = layout.arrange(examples.several())
    assert [each.verdict for each in diagnoses] == [Verdict.FAILING, Verdict.UNDETERMINED, Verdict.HEALTHY]
    assert [each.target for each in diagnoses[0].also] == ["reg.test:5000/team/web:2.4"]


def test_targets_whose_findings_differ_are_not_put_together() -> None:
    one = examples.target(verdict=Verdict.FAILING, findings=(examples.EXPIRED,))
    other = examples.target(
        verdict=Verdict.FAILING, findings=(examples.finding(detail="Another certificate."),)
    )
    assert len(layout.arrange(examples.report(one, other))) == 2


def test_targets_whose_findings_differ_in_measured_times_alone_are_put_together() -> None:
    one, other = (
        examples.target(
            f"reg.test:5000/app:{number}",
            verdict=Verdict.FAILING,
            findings=(examples.finding(detail=f"Refused after {number} ms, in 0.{number} s, at 10.0.0.5."),),
        )
        for number in (1, 2)
    )
    (diagnosis,) = layout.arrange(examples.report(one, other))
    assert diagnosis.also == (other,)


def test_evidence_says_what_became_of_an_exchange() -> None:
    exchanges = (examples.exchange(), examples.exchange("x2", status=None, error="timed out"))
    finding = examples.finding(evidence=("x1", "x2", "config.yml:3", "handshakes"))
    assert layout.evidence(finding, exchanges) == [
        "x1: GET https://reg.test:5000/v2/ → 401",
        "x2: GET https://reg.test:5000/v2/ → no answer (timed out)",
        "config.yml:3",
        "handshakes",
    ]


@pytest.mark.parametrize(
    ("detail", "sentence"),
    [
        ("The port is closed. Nothing listens.", "The port is closed."),
        (
            "reg.test. and registry.example.com answer. Others do not.",
            "reg.test. and registry.example.com answer.",
        ),
        ("No full stop", "No full stop"),
        ('It said: no. "EOF" followed.', "It said: no."),
    ],
)
def test_the_first_sentence_ends_where_a_sentence_ends(detail: str, sentence: str) -> None:
    assert layout.first_sentence(detail) == sentence


@pytest.mark.parametrize(
    ("step", "parts"),
    [
        ("see what listens: ss -ltnp", ("see what listens", "ss -ltnp", "")),
        (
            "apply it: systemctl daemon-reload && systemctl restart docker (likewise containerd)",
            ("apply it", "systemctl daemon-reload && systemctl restart docker", "(likewise containerd)"),
        ),
        ("nc -zv reg.test 5000", ("", "nc -zv reg.test 5000", "")),
        ("find the text: grep 'this and that' file", ("find the text", "grep 'this and that' file", "")),
        ("correct the record: the address is stale", ("correct the record: the address is stale", None, "")),
        (
            "look at the file: cat /etc/resolv.conf and then restart the daemon",
            ("look at the file: cat /etc/resolv.conf and then restart the daemon", None, ""),
        ),
        (
            "create it: aws ecr create-repository --repository-name app; a project in Harbor",
            ("create it: aws ecr create-repository --repository-name app; a project in Harbor", None, ""),
        ),
        (
            "try all: for a in $(getent ahosts reg.test | awk '{print $1, $2}'); do nc -zv $a 443; done",
            (
                "try all",
                "for a in $(getent ahosts reg.test | awk '{print $1, $2}'); do nc -zv $a 443; done",
                "",
            ),
        ),
        ("publish it on port 443", ("publish it on port 443", None, "")),
    ],
)
def test_only_a_command_that_can_be_pasted_is_split_off(
    step: str, parts: tuple[str, str | None, str]
) -> None:
    assert layout.split_command(step) == parts


def test_skipped_checks_with_one_reason_are_named_together() -> None:
    reason = "nothing listens on reg.test:5000"
    checks = (
        examples.check("tls", Status.SKIP, reason=f"needs handshakes: {reason}"),
        examples.check("http", Status.SKIP, reason=f"needs ping: {reason}"),
        examples.check("push", Status.SKIP, reason="needs upload: not asked for"),
        examples.check("dns"),
    )
    assert layout.skips(checks) == {reason: ["tls", "http"], "not asked for": ["push"]}


def test_a_finding_that_is_not_proven_says_so() -> None:
    finding = examples.finding(certainty=Certainty.POSSIBLE, severity=Severity.ERROR, title="It is full")
    assert layout.qualified_title(finding) == "Possible: It is full"
    assert layout.qualified_title(finding, "cause") == "Possible cause: It is full"


def test_the_summary_counts_verdicts() -> None:
    assert layout.summary(examples.several()) == "2 of 4 targets are failing, 1 is undetermined, 1 is healthy"


def test_a_check_that_saw_a_part_only_is_named_before_those_that_saw_nothing() -> None:
    checks = (
        examples.check("config", Status.SKIP, reason="no configuration file is given"),
        examples.check("image", reason="needs verified-blobs: there was no time for 3 of 12 layers"),
    )
    (diagnosis,) = layout.arrange(
        examples.report(examples.target(verdict=Verdict.UNDETERMINED, checks=checks))
    )

    seen = layout.headline(diagnosis).seen
    assert seen == "image could look at a part only: there was no time for 3 of 12 layers"


def test_a_title_that_stands_more_than_once_is_counted() -> None:
    findings = [examples.finding("f1"), examples.finding("f2"), examples.finding("f3", title="Another")]
    causes = [layout.Cause(finding=finding, symptoms=(), evidence=()) for finding in findings]
    assert layout.titles(causes) == ["The server's certificate has expired (2 times)", "Another"]
