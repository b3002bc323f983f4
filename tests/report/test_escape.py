"""What servers, files and logs say is shown, not obeyed."""

import pytest
from markdown_it import MarkdownIt

from regdoctor.report.escape import bounded, code_block, code_span, line, lines, markdown, short, visible
from tests.report.examples import HOSTILE


@pytest.mark.parametrize(
    ("character", "escaped"),
    [
        ("\x1b", r"\x1b"),
        ("\x07", r"\x07"),
        ("\x7f", r"\x7f"),
        ("\x9b", r"\x9b"),
        ("\u061c", r"\u061c"),
        ("\u200b", r"\u200b"),
        ("\u2028", r"\u2028"),
        ("\u202e", r"\u202e"),
        ("\u2066", r"\u2066"),
        ("\ufeff", r"\ufeff"),
        ("\udcff", r"\udcff"),
        ("\U000e0041", r"\U000e0041"),
    ],
)
def test_a_character_that_acts_or_hides_is_written_out(character: str, escaped: str) -> None:
    assert visible(f"a{character}b") == f"a{escaped}b"


def test_ordinary_text_in_any_script_stays() -> None:
    text = "naïve – 漢字 ✓ ‘quoted’ A-Z"
    assert visible(text) == text


def test_a_line_is_one_line() -> None:
    assert line("  a\r\n\tb\u00a0c\n") == "a b c"


def test_lines_keep_their_ends_and_indentation() -> None:
    assert lines("a\r\n  b\rc\n\n") == ["a", "  b", "c"]


def test_a_cut_says_how_much_is_missing() -> None:
    assert bounded("x" * 10, 4) == "xxxx… (6 more characters)"
    assert len(line("x" * 100_000)) < 5_000


def test_a_column_is_never_wider_than_asked() -> None:
    assert short("abcdef", 4) == "abc…"
    assert short("abcd", 4) == "abcd"


MARKUP = [
    HOSTILE,
    "[text](https://evil.test) ![image](https://evil.test/x.png)",
    "# heading",
    "> quote",
    "- item",
    "1. item",
    "1) item",
    "= setext",
    "**bold** _soft_ ~~gone~~ `code`",
    "<https://evil.test> <b>bold</b> &lt;",
    "[ref]: https://evil.test",
    "\\[x](y)",
]


@pytest.mark.parametrize("text", MARKUP)
def test_markdown_text_stays_text(text: str) -> None:
    tokens = MarkdownIt("commonmark").enable("strikethrough").parse(markdown(text))
    assert [token.type for token in tokens] == ["paragraph_open", "inline", "paragraph_close"]
    children = tokens[1].children or []
    comments = [child for child in children if child.type == "html_inline"]
    assert all(comment.content == "<!-- -->" for comment in comments)
    assert {child.type for child in children} <= {"text", "text_special", "html_inline"}
    assert "".join(child.content for child in children if child.type != "html_inline") == line(text)


@pytest.mark.parametrize("text", ["cc @octocat please", "see #1 and org/repo#2"])
def test_markdown_text_mentions_nobody(text: str) -> None:
    assert "@o" not in markdown(text)
    assert "#1" not in markdown(text)
    assert "#2" not in markdown(text)


@pytest.mark.parametrize("text", [*MARKUP, "`", "``", "` `` ```", "a`", ""])
def test_a_code_span_holds_everything(text: str) -> None:
    tokens = MarkdownIt("commonmark").parse(code_span(text))
    children = tokens[1].children or []
    assert [child.type for child in children] == ["code_inline"]
    assert children[0].content.strip() == line(text)


def test_a_code_block_cannot_be_left() -> None:
    tokens = MarkdownIt("commonmark").parse(code_block("a\n```\n# heading\n````\nb", "sh"))
    assert [token.type for token in tokens] == ["fence"]
    assert tokens[0].content == "a\n```\n# heading\n````\nb\n"
