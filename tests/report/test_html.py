"""The HTML report is one page that needs nothing else and obeys nobody."""

import re
from html.parser import HTMLParser

import pytest

from regdoctor.report.html import render
from regdoctor.report.options import RenderOptions
from tests.report import examples

VOID = {"meta", "br", "link", "img", "hr", "input"}


class Page(HTMLParser):
    """Collects tags, attributes and text, and insists that every element is closed."""

    def __init__(self, source: bytes) -> None:
        super().__init__(convert_charrefs=True)
        self.tags: list[str] = []
        self.attributes: list[tuple[str, str, str | None]] = []
        self.text = ""
        self._open: list[str] = []
        self.feed(source.decode("utf-8"))
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.attributes.extend((tag, name, value) for name, value in attrs)
        if tag not in VOID:
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.text += data


@pytest.mark.parametrize("outcome", examples.OUTCOMES)
def test_the_page_loads_nothing_and_runs_nothing(outcome: str) -> None:
    source = render(examples.OUTCOMES[outcome](), RenderOptions())
    page = Page(source)
    assert not {"script", "link", "img", "iframe", "object", "base", "form"} & set(page.tags)
    assert not [name for _, name, _ in page.attributes if name.startswith("on") or name in {"src", "style"}]
    assert all((value or "").startswith("#target-") for _, name, value in page.attributes if name == "href")
    style = re.search(rb"<style>(.*?)</style>", source, re.DOTALL)
    assert style is not None
    assert b"url(" not in style[1]
    assert b"@import" not in style[1]


def test_hostile_text_is_shown_as_text() -> None:
    page = Page(render(examples.hostile(), RenderOptions()))
    assert "</pre><script>alert(1)</script>" in page.text
    assert "script" not in page.tags


def test_cause_steps_proof_and_symptoms_are_on_the_page() -> None:
    text = Page(render(examples.failing(), RenderOptions())).text
    for expected in (
        "FAILING",
        "The server's certificate has expired",
        "openssl x509 -noout -enddate -in CERTIFICATE-FILE",
        "openssl s_client -connect reg.test:5000",
        "What follows from it (2)",
        "Anonymous clients may pull",
        'www-authenticate: Basic realm="registry"',
        '"addresses": [',
    ):
        assert expected in text


def test_light_and_dark_are_left_to_the_reader() -> None:
    source = render(examples.healthy(), RenderOptions()).decode("utf-8")
    assert "prefers-color-scheme: dark" in source
    assert "color-scheme: light dark" in source
