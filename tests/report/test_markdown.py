"""The Markdown report holds no more markup than its own."""

import pytest
from markdown_it import MarkdownIt
from markdown_it.token import Token

from regdoctor.report.markdown import render
from regdoctor.report.options import RenderOptions
from tests.report import examples


def tokens(outcome: str) -> list[Token]:
    source = render(examples.OUTCOMES[outcome](), RenderOptions(verbose=True)).decode("utf-8")
    parsed = MarkdownIt("commonmark").enable(["table", "strikethrough"]).parse(source)
    return [*parsed, *(child for token in parsed for child in token.children or [])]


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_there_are_no_links_images_or_html(outcome: str) -> None:
    found = tokens(outcome)
    assert not {"link_open", "image", "html_block"} & {token.type for token in found}
    assert {token.content for token in found if token.type == "html_inline"} <= {"<!-- -->"}


def test_commands_are_code_blocks_within_the_numbered_steps() -> None:
    found = tokens("failing")
    shell = [token.content.strip() for token in found if token.type == "fence" and token.info == "sh"]
    assert "openssl x509 -noout -enddate -in CERTIFICATE-FILE" in shell
    assert any(command.startswith("openssl s_client -connect reg.test:5000") for command in shell)
    lists = [token for token in found if token.type == "ordered_list_open"]
    assert len(lists) == 1


def test_a_table_row_is_one_row_whatever_its_cells_hold() -> None:
    found = tokens("hostile")
    rows = [token.type for token in found].count("tr_open")
    cells = [token.type for token in found].count("td_open") + [token.type for token in found].count(
        "th_open"
    )
    assert cells == 3 * rows


def test_the_verdict_and_the_cause_come_first() -> None:
    source = render(examples.failing(), RenderOptions()).decode("utf-8")
    assert source.startswith(
        "## FAILING: reg.test:5000/team/app:1.0\n\n"
        "**The server's certificate has expired**\n\n"
        "reg.test:5000 presents"
    )
