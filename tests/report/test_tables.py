"""Facts that are best shown in rows and columns, in every format for people."""

from __future__ import annotations

import json

import pytest

from regdoctor.facts import Cell, Table, TableFact
from regdoctor.model import Report
from regdoctor.report import html, layout, markdown, text
from regdoctor.report import json as json_report
from regdoctor.report.options import RenderOptions
from regdoctor.report.scrub import scrubbed
from tests.report import examples

CA = "/etc/docker/certs.d/reg.test:5000/ca.crt"


class Routes(TableFact, frozen=True, kw_only=True):
    """A fact of the tests."""

    mirror: str = ""
    rows: int = 2

    def table(self) -> Table | None:
        """Two clients with the same CA."""
        if not self.rows:
            return None
        docker = (Cell(text="docker"), Cell(text=""), Cell(text="system", notes=(CA,)))
        other = (Cell(text="containerd"), Cell(text=self.mirror), Cell(text="", notes=("none", CA)))
        return Table(title="How clients go", columns=("client", "mirror", "CA"), rows=(docker, other))


def report(**facts: object) -> Report:
    return examples.report(examples.target(facts=facts))


def options(width: int = 80) -> RenderOptions:
    return RenderOptions(width=width, colour=False, verbose=False)


def test_text_has_aligned_columns_and_notes_below() -> None:
    found = text.render(report(routes=Routes(mirror="mirror.test")), options()).decode()

    assert (
        "How clients go\n"
        "  client      mirror       CA\n"
        "  docker      –            system [1]\n"
        "  containerd  mirror.test  – [2] [1]\n"
        f"  [1] {CA}\n"
        "  [2] none\n"
    ) in found


@pytest.mark.parametrize("width", [40, 80, 120])
def test_fields_that_do_not_fit_go_on_below(width: int) -> None:
    found = text.render(report(routes=Routes(mirror="word " * 40 + "w" * 300)), options(width)).decode()

    table = found.partition("How clients go\n")[2].partition("  [1] ")[0].splitlines()
    assert len(table) > 3
    assert max(map(len, table)) <= width
    assert "".join(table).count("word") == 40


def test_markdown_has_a_table_that_no_field_can_leave() -> None:
    found = markdown.render(report(routes=Routes(mirror=examples.HOSTILE)), options()).decode()

    rows = [line for line in found.splitlines() if line.startswith(("| client", "| docker", "| containerd"))]
    assert [row.replace("\\|", "").count("|") for row in rows] == [4, 4, 4]
    assert "| --- | --- | --- |" in found


def test_html_has_a_table_with_notes_in_their_fields() -> None:
    found = html.render(report(routes=Routes(mirror=examples.HOSTILE)), options()).decode()

    assert f"<td>system<br><small>{CA}</small></td>" in found
    assert "<script>" not in found


def test_facts_about_hosts_have_a_table_each() -> None:
    target = report(routes={"registry a:1": Routes(), "registry b:2": Routes()}).targets[0]

    assert len(layout.tables(target)) == 2


def test_a_fact_with_nothing_to_compare_has_no_table() -> None:
    assert layout.tables(report(routes=Routes(rows=0)).targets[0]) == []


def test_tables_outlive_that_facts_become_plain_values_and_hold_no_secret() -> None:
    found = scrubbed(
        report(routes=Routes(mirror="hunter2.test")), lambda text: text.replace("hunter2", "***")
    )

    assert found.targets[0].facts["routes"] == {"mirror": "***.test", "rows": 2}
    assert "***.test" in text.render(found, options()).decode()
    assert b"tables" not in json_report.render(found, options())


def test_programs_find_the_fact_itself() -> None:
    document = json.loads(json_report.render(report(routes=Routes(mirror="m")), options()))

    assert document["targets"][0]["facts"] == {"routes": {"mirror": "m", "rows": 2}}
