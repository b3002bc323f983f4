"""The text report: five lines tell what is wrong and what to do; the rest tells why."""

import re

import pytest

from regdoctor.model import CheckResult, Finding, Report, Status, Verdict
from regdoctor.report.options import RenderOptions
from regdoctor.report.text import render
from tests.report import examples


def text(report: Report, *, width: int = 80, colour: bool = False, verbose: bool = False) -> str:
    return render(report, RenderOptions(width=width, colour=colour, verbose=verbose)).decode("utf-8")


def failing_with(
    finding: Finding, name: str = "reg.test:5000", checks: tuple[CheckResult, ...] | None = None
) -> Report:
    return examples.report(
        examples.target(name, Verdict.FAILING, findings=(finding,), checks=checks or examples.FAILING_CHECKS)
    )


def test_the_first_five_lines_say_what_is_wrong_and_what_to_do() -> None:
    assert text(examples.failing()).split("\n")[:6] == [
        "FAILING  reg.test:5000/team/app:1.0: The server's certificate has expired",
        "Seen: reg.test:5000 presents a certificate for CN=reg.test that ended on",
        "      2026-10-01 12:00:00 UTC, 53 days ago by this host's clock, which agrees …",
        "Do:   see what is served and what lies on disk:",
        "      openssl x509 -noout -enddate -in CERTIFICATE-FILE",
        "",
    ]


@pytest.mark.parametrize("length", [3, 20, 60, 150])
def test_what_to_do_ends_within_five_lines_however_much_was_seen(length: int) -> None:
    finding = examples.finding(detail="seen " * length, fix=("restart " * 15,), title="T" * 60)
    opening = text(failing_with(finding)).split("\n\n")[0].split("\n")
    assert len(opening) <= 5
    assert " ".join(" ".join(opening).split()).endswith("restart " * 14 + "restart")


def test_what_was_seen_gives_way_to_a_long_remedy() -> None:
    finding = examples.finding(detail="It was seen.", fix=("restart " * 40,))
    opening = text(failing_with(finding)).split("\n\n")[0]
    assert "Seen:" not in opening
    assert opening.count("restart") == 40


def test_a_cause_that_is_only_likely_is_called_likely() -> None:
    assert text(failing_with(examples.TOKEN_SERVER)).startswith(
        "FAILING  reg.test:5000: Likely cause: The host answers"
    )


def test_a_cause_is_followed_by_steps_proof_and_page() -> None:
    report = text(examples.failing())
    sections = [
        "What was seen\n",
        "What to do\n  1. see what is served",
        "See it yourself\n  openssl s_client -connect reg.test:5000",
        "regdoctor explain tls/expired (docs/codes/tls.md#tls-expired)",
        "What follows from it\n",
        "Warnings\n",
        "Worth knowing\n",
        "Checks: 2 failed, 4 passed, 1 skipped\n",
    ]
    positions = [report.index(section) for section in sections]
    assert positions == sorted(positions)


def test_every_cause_is_explained_and_the_first_lines_name_the_others() -> None:
    report = text(examples.two_causes())
    assert "Also: The host answers, but nothing listens on this port\n" in report
    assert "Cause 1 of 2: The server's certificate has expired\n" in report
    assert "Cause 2 of 2: Likely: The host answers" in report
    assert report.count("See it yourself\n") == 2


def test_healthy_says_what_was_verified_and_what_was_not_looked_at() -> None:
    report = text(examples.healthy())
    assert " ".join(report.split("\n\n")[0].split()) == (
        "HEALTHY reg.test:5000/team/app:1.0: Verified: "
        "DNS, TCP, TLS, HTTP and the registry API, Authentication, Clock, Image"
    )
    assert "push skipped: an upload is tried with --push only" in report


def test_undetermined_says_why_and_what_would_help() -> None:
    report = text(examples.undetermined())
    assert report.startswith("UNDETERMINED  reg.test:5000: No fault was found")
    assert "the deadline of 60 s for the whole run has passed" in report
    assert "Do:   mend what hindered" in report


def test_a_check_that_failed_to_run_is_not_blamed_on_the_registry() -> None:
    report = text(examples.broken_check())
    assert "acme stopped with KeyError: 'quota'. That is a fault of regdoctor or of a" in report
    assert "Traceback" not in report
    assert "Traceback" in text(examples.broken_check(), verbose=True)


def test_several_targets_begin_with_a_summary_worst_first() -> None:
    lines = text(examples.several()).split("\n")
    assert lines[0] == "FAILING  2 of 4 targets are failing, 1 is undetermined, 1 is healthy"
    assert lines[2].startswith("  ✗ reg.test:5000/team/app:1.0 and 1 more target: ")
    assert "The same holds for\n  reg.test:5000/team/web:2.4\n" in "\n".join(lines)


def test_suppressed_findings_are_listed_with_their_reason() -> None:
    report = text(examples.suppressed())
    assert report.startswith("HEALTHY")
    assert "Suppressed\n  – The certificate signs itself (tls/self-signed): lab registry\n" in report


def test_skipped_checks_with_one_reason_share_a_line() -> None:
    checks = tuple(
        examples.check(name, Status.SKIP, reason=f"needs {name}: nothing listens on reg.test:5000")
        for name in ("tls", "http", "auth")
    )
    report = text(failing_with(examples.EXPIRED, checks=checks))
    assert "tls, http, auth skipped: nothing listens on reg.test:5000\n" in report


@pytest.mark.parametrize("outcome", [name for name in examples.OUTCOMES if name != "hostile"])
@pytest.mark.parametrize("width", [60, 80, 100])
def test_prose_keeps_to_the_width_and_commands_stay_whole(outcome: str, width: int) -> None:
    report = examples.OUTCOMES[outcome]()
    commands = {
        each
        for target in report.targets
        for finding in target.findings
        for each in (finding.reproduce, *(fix.partition(": ")[2] for fix in finding.fix))
    }
    for line in text(report, width=width).split("\n"):
        assert len(line) <= width or line.strip().removeprefix("1. ") in commands, line


def test_a_command_of_any_length_is_one_line() -> None:
    command = (
        "curl -sS " + " ".join(f"-H 'X-{number}: {number}'" for number in range(40)) + " https://reg.test/v2/"
    )
    finding = examples.finding(fix=(f"look: {command}",), reproduce=command)
    lines = text(failing_with(finding)).split("\n")
    assert [line.strip() for line in lines].count(command) == 3


def test_verbose_adds_exchanges_and_facts() -> None:
    report = text(examples.failing(), verbose=True)
    assert "  x1 GET https://reg.test:5000/v2/ → 401\n" in report
    assert '     < www-authenticate: Basic realm="registry"\n' in report
    assert "  x2 GET https://reg.test:5000/v2/ → no answer (certificate verify failed)\n" in report
    assert "     Time: dns 1.5 ms, tcp 0.4 ms, tls 8.25 ms, wait 3 ms, read 0.1 ms\n" in report
    assert '  addresses:\n  {\n    "registry reg.test:5000": {\n' in report
    assert "HTTP exchanges" not in text(examples.failing())


def test_a_long_fact_is_cut_in_what_people_read() -> None:
    report = examples.report(examples.target(facts={"chain": {"pem": "A" * 5000}}))
    assert "(4700 more characters in the JSON report)" in text(report, verbose=True)


def test_without_colour_there_is_no_escape_sequence() -> None:
    assert "\x1b" not in text(examples.several(), verbose=True)


def test_colour_changes_no_word() -> None:
    coloured = text(examples.several(), colour=True)
    assert "\x1b[1;31mFAILING\x1b[0m" in coloured
    assert re.sub(r"\x1b\[[\d;]*m", "", coloured) == text(examples.several())
