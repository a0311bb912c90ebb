"""Which activation for which task: ``guide.yaml``, told as lines for a terminal and as the page docs/choosing.md."""

from __future__ import annotations

import textwrap
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml

from actsearch.errors import ReportError, suggest

DATA = Path(__file__).with_name("guide.yaml")
HEADINGS = {"output": "The last layer", "hidden": "Hidden layers"}
WIDTH = 80


@dataclass(frozen=True)
class Line:
    """One piece of advice.

    Attributes:
        use: names that ``actsearch.make`` knows.
        advice: what to do, with start and learning rate where they matter.
        source: who says so.
    """

    use: tuple[str, ...]
    advice: str
    source: str


@dataclass(frozen=True)
class Topic:
    """A task or an architecture, and the advice for it."""

    name: str
    part: str
    title: str
    lines: tuple[Line, ...]


@cache
def topics() -> tuple[Topic, ...]:
    """Return all topics in the order of the file.

    Example:
        >>> [topic.lines[0].use for topic in topics() if topic.name == "positive-head"]
        [('softplus',)]
    """
    read = yaml.safe_load(DATA.read_text(encoding="utf-8"))
    return tuple(
        Topic(
            row["name"],
            part,
            row["title"],
            tuple(Line(tuple(line["use"]), line["advice"], line["source"]) for line in row["lines"]),
        )
        for part in HEADINGS
        for row in read[part]
    )


def advise(name: str) -> str:
    """Return the advice of a topic, at most 80 columns wide.

    Raises:
        ReportError: there is no such topic; the message names all.
    """
    found = {topic.name: topic for topic in topics()}
    if name not in found:
        raise ReportError(f"there is no advice for {name!r}{suggest(name, found)} ({', '.join(found)})")
    parts = [found[name].title]
    for line in found[name].lines:
        parts.append(f"\n{', '.join(line.use) or 'any'}")
        parts.append(_wrapped(line.advice))
        parts.append(_wrapped(f"[{line.source}]"))
    return "\n".join(parts)


def page() -> str:
    """Return docs/choosing.md."""
    return "\n".join(_page()) + "\n"


def _page() -> Iterator[str]:
    yield "# Choosing an activation"
    yield ""
    yield "Made from `actsearch/report/guide.yaml`; `actsearch catalog --for NAME` prints one part of it. Every line"
    yield "has its source. What none of them can know is your task: `actsearch compare` measures there."
    for part, heading in HEADINGS.items():
        yield f"\n## {heading}"
        for topic in topics():
            if topic.part == part:
                yield f"\n**{topic.title}** (`--for {topic.name}`)\n"
                for line in topic.lines:
                    used = ", ".join(f"`{name}`" for name in line.use)
                    text = f"- {used + ': ' if used else ''}{line.advice} *{line.source}.*"
                    yield textwrap.fill(text, 120, subsequent_indent="  ", break_long_words=False)


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, initial_indent="  ", subsequent_indent="  ", break_long_words=False)


if __name__ == "__main__":
    print(page(), end="")
