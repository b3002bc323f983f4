"""What is wrong with a text, in the words of yaml.v2."""

from __future__ import annotations

import re

from yaml.error import MarkedYAMLError


class YamlProblem(Exception):  # noqa: N818 - a problem of the text, not of the program
    """The text is not YAML for the registry. Lines and columns count from 1.

    ``began`` is the line on which the construct began that goes wrong here, or None where that says nothing.
    """

    def __init__(self, message: str, line: int, column: int, began: int | None = None) -> None:
        super().__init__(message)
        self.message = message
        self.line = line
        self.column = column
        self.began = began if began != line else None


class TooLarge(Exception):  # noqa: N818 - a state of the text
    """The text has more nodes or levels than this module reads; it may be right all the same."""


_WORDINGS = (
    (
        re.compile(r"found character .* that cannot start any token"),
        "found character that cannot start any token",
    ),
    (re.compile(r"mapping values are not allowed here"), "mapping values are not allowed in this context"),
    (re.compile(r"mapping keys are not allowed here"), "mapping keys are not allowed in this context"),
    (
        re.compile(r"sequence entries are not allowed here"),
        "block sequence entries are not allowed in this context",
    ),
    (re.compile(r"expected (',' or '[\]}]'), but got .*"), r"did not find expected \1"),
    (re.compile(r"expected the node content, but found .*"), "did not find expected node content"),
    (re.compile(r"expected '<document start>', but found .*"), "did not find expected <document start>"),
    (
        re.compile(r"expected alphabetic or numeric character, but found .*"),
        "did not find expected alphabetic or numeric character",
    ),
    (re.compile(r"found unknown escape character .*"), "found unknown escape character"),
    (re.compile(r"found unexpected document separator"), "found unexpected document indicator"),
    (re.compile(r"found undefined tag handle .*"), "found undefined tag handle"),
    (
        re.compile(r"expected a comment or a line break, but found .*"),
        "did not find expected comment or line break",
    ),
    (
        re.compile(r"expected chomping or indentation indicators, but found .*"),
        "did not find expected comment or line break",
    ),
)


def problem_of(error: MarkedYAMLError) -> YamlProblem:
    """PyYAML's error in the words of yaml.v2."""
    message = error.problem or "unknown problem parsing YAML content"
    if message.startswith("expected <block end>, but found"):
        in_list = error.context == "while parsing a block collection"
        message = "did not find expected '-' indicator" if in_list else "did not find expected key"
    for pattern, wording in _WORDINGS:
        message = pattern.sub(wording, message)
    mark = error.problem_mark or error.context_mark
    began = error.context_mark
    return YamlProblem(
        message,
        mark.line + 1 if mark is not None else 1,
        mark.column + 1 if mark is not None else 1,
        began.line + 1 if began is not None else None,
    )
