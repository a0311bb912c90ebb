"""The YAML side of a space file: its keys and texts, each with its line; what they mean is checked elsewhere.

Scalars are read as they are written: ``- -a``, ``- 1`` and ``- no`` are texts, whatever YAML would make of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import yaml

from actsearch.errors import suggest
from actsearch.space.faults import Faults

TEXT_KEYS = ("name", "title", "citation", "start", "depth")
MAPPING_KEYS = ("constants", "parameters")
KEYS = (*TEXT_KEYS, *MAPPING_KEYS, "rules", "families")
REQUIRED = ("name", "start", "rules")
WITHOUT_FORMULAS = ("start", "rules")
"""Required keys that a space of families alone does without."""


@dataclass(frozen=True, slots=True)
class Text:
    """A scalar of the file and its line, counted from 1."""

    text: str
    line: int


@dataclass
class Document:
    """The contents of a space file.

    Attributes:
        texts: single values: name, title, citation, start, depth.
        mappings: ``constants`` and ``parameters``: name -> text.
        rules: heading, such as ``"unary(a)"`` -> alternatives; the heading's line under ``rule_lines``.
        families: name of an adaptive family -> setting -> values; the name's line under ``family_lines``.
    """

    texts: dict[str, Text] = field(default_factory=dict)
    mappings: dict[str, dict[str, Text]] = field(default_factory=lambda: {key: {} for key in MAPPING_KEYS})
    rules: dict[str, list[Text]] = field(default_factory=dict)
    rule_lines: dict[str, int] = field(default_factory=dict)
    families: dict[str, dict[str, list[Text]]] = field(default_factory=dict)
    family_lines: dict[str, int] = field(default_factory=dict)


def read_document(text: str, faults: Faults) -> Document:
    """Return the contents of a YAML text; faults of form are noted, and what is left is returned."""
    document = Document()
    try:
        root = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        faults.add(mark.line + 1 if mark else 1, "", f"this is not YAML: {getattr(error, 'problem', None) or error}")
        return document
    except RecursionError:
        faults.add(1, "", "this is not YAML of a search space: it is nested too deeply")
        return document
    if root is None:
        faults.add(1, "", f"the file is empty; a space has the keys {', '.join(REQUIRED)}")
        return document
    for key, value in _pairs(root, "", faults):
        _read_key(key, value, document, faults)
    for required in REQUIRED:
        if not _has(root, required) and not (_has(root, "families") and required in WITHOUT_FORMULAS):
            faults.add(1, required, "this key is missing")
    return document


def _has(root: yaml.Node, key: str) -> bool:
    return isinstance(root, yaml.MappingNode) and any(getattr(k, "value", None) == key for k, _ in root.value)


def _read_key(key: Text, value: yaml.Node, document: Document, faults: Faults) -> None:
    if key.text in TEXT_KEYS:
        if (scalar := _scalar(value, key.text, faults)) is not None:
            document.texts[key.text] = scalar
    elif key.text in MAPPING_KEYS:
        for name, node in _pairs(value, key.text, faults):
            if (scalar := _scalar(node, f"{key.text}.{name.text}", faults)) is not None:
                document.mappings[key.text][name.text] = scalar
    elif key.text == "rules":
        for heading, node in _pairs(value, "rules", faults):
            document.rule_lines[heading.text] = heading.line
            document.rules[heading.text] = _items(node, f"rules.{heading.text.partition('(')[0].strip()}", faults)
    elif key.text == "families":
        for name, settings in _pairs(value, "families", faults):
            where = f"families.{name.text}"
            document.family_lines[name.text] = name.line
            document.families[name.text] = {
                setting.text: _items(node, f"{where}.{setting.text}", faults)
                for setting, node in _pairs(settings, where, faults)
            }
    else:
        faults.add(key.line, key.text, f"unknown key{suggest(key.text, KEYS)} (known: {', '.join(KEYS)})")


def _pairs(node: yaml.Node, key: str, faults: Faults) -> Iterator[tuple[Text, yaml.Node]]:
    """Yield the entries of a mapping, duplicates left out and noted."""
    if not isinstance(node, yaml.MappingNode):
        faults.add(_line(node), key, "a mapping (name: value) is expected here")
        return
    lines: dict[str, int] = {}
    for key_node, value in node.value:
        name = _scalar(key_node, key, faults)
        if name is None:
            continue
        if name.text in lines:
            full = f"{key}.{name.text}" if key else name.text
            faults.add(name.line, full, f"this key is there twice; the first is in line {lines[name.text]}")
            continue
        lines[name.text] = name.line
        yield name, value


def _items(node: yaml.Node, key: str, faults: Faults) -> list[Text]:
    if not isinstance(node, yaml.SequenceNode):
        what = "formulas" if key.startswith("rules.") else "values"
        faults.add(_line(node), key, f"a list of {what} is expected here")
        return []
    if not node.value:
        what = "the rule has no alternative" if key.startswith("rules.") else "the setting has no value"
        faults.add(_line(node), key, what)
    found = (_scalar(item, key, faults) for item in node.value)
    return [item for item in found if item is not None]


def _scalar(node: yaml.Node, key: str, faults: Faults) -> Text | None:
    if isinstance(node, yaml.ScalarNode) and node.value.strip():
        return Text(node.value.strip(), _line(node))
    what = (
        "nothing"
        if isinstance(node, yaml.ScalarNode)
        else "a list"
        if isinstance(node, yaml.SequenceNode)
        else "a mapping"
    )
    hint = "; put quotes around a formula that YAML reads otherwise" if what != "nothing" else ""
    faults.add(_line(node), key, f"a text is expected here, not {what}{hint}")
    return None


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1
