"""The guide: one file of data, told by the command line and by docs/choosing.md alike."""

from __future__ import annotations

from pathlib import Path

import pytest

from actsearch.errors import ReportError
from actsearch.nn.make import make
from actsearch.report.guide import HEADINGS, WIDTH, advise, page, topics

PAGE = Path(__file__).parents[2] / "docs" / "choosing.md"


def test_the_page_is_made_from_the_data() -> None:
    assert PAGE.read_text(encoding="utf-8") == page(), "python -m actsearch.report.guide > docs/choosing.md"


def test_every_line_has_a_source_and_names_what_can_be_made() -> None:
    assert {topic.part for topic in topics()} == set(HEADINGS)
    for topic in topics():
        assert topic.lines, topic.name
        for line in topic.lines:
            assert line.source, topic.name
            assert line.advice.endswith("."), topic.name
            for name in line.use:
                make(name)


@pytest.mark.parametrize("topic", topics(), ids=lambda topic: topic.name)
def test_advice_fits_a_terminal_and_says_what_the_page_says(topic) -> None:
    text = advise(topic.name)
    assert max(map(len, text.splitlines())) <= WIDTH
    told, written = ("".join(one.split()) for one in (text, page()))  # lines break elsewhere
    for line in topic.lines:
        for words in (line.advice, line.source):
            assert "".join(words.split()) in told
            assert "".join(words.split()) in written


def test_the_tasks_of_the_last_layer() -> None:
    first = {topic.name: topic.lines[0].use for topic in topics() if topic.part == "output"}
    assert first == {
        "regression-head": ("identity",),
        "classification-head": ("softmax",),
        "binary-head": ("sigmoid",),
        "multi-label-head": ("sigmoid",),
        "positive-head": ("softplus",),
    }


def test_an_unknown_task_gets_the_nearest() -> None:
    with pytest.raises(ReportError, match=r"no advice for 'cn'; did you mean 'cnn'\? \(regression-head, "):
        advise("cn")
