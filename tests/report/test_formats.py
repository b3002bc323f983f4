"""What holds for every format and every outcome."""

import re

import pytest

from regdoctor.report.formats import MODULES, renderer
from regdoctor.report.options import RenderOptions
from tests.report import examples

every_format = pytest.mark.parametrize("name", MODULES)
every_outcome = pytest.mark.parametrize("outcome", examples.OUTCOMES)


@every_format
@every_outcome
@pytest.mark.parametrize("verbose", [False, True])
def test_a_rendering_is_a_function_of_the_report(name: str, outcome: str, verbose: bool) -> None:
    render = renderer(name)
    first, second = (render(examples.OUTCOMES[outcome](), RenderOptions(verbose=verbose)) for _ in range(2))
    assert first == second
    assert first.endswith(b"\n")


@every_format
@pytest.mark.parametrize("verbose", [False, True])
def test_nothing_that_a_terminal_obeys_or_hides_comes_through(name: str, verbose: bool) -> None:
    output = renderer(name)(examples.hostile(), RenderOptions(verbose=verbose)).decode("utf-8")
    acting = {character for character in output if not character.isprintable() and character not in "\n"}
    assert acting == set()


@every_format
def test_the_target_and_the_code_or_verdict_are_there(name: str) -> None:
    output = renderer(name)(examples.failing(), RenderOptions()).decode("utf-8")
    assert re.search(r"reg\.test(:|%3A)5000/team/app(:|%3A)1\.0", output)
    assert "tls/expired" in output or "CRITICAL" in output


@every_format
def test_an_empty_report_is_rendered(name: str) -> None:
    bare = examples.report(
        examples.target("reg.test", checks=(), registry=None, repository=None, reference=None)
    )
    assert renderer(name)(bare, RenderOptions(verbose=True))


def test_an_unknown_format_is_a_key_error() -> None:
    with pytest.raises(KeyError):
        renderer("xml")
