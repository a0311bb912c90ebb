"""Faulty files: each fault with its line and key, all at once, and never a traceback."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from actsearch.errors import SpaceError
from actsearch.space import load_space
from actsearch.space.check import make_grammar
from actsearch.space.document import read_document
from actsearch.space.faults import Faults

GOOD = "name: s\nstart: f(x)\nrules:\n  f(a):\n    - a\n    - sin(a)\n"


def faults_of(text: str) -> str:
    faults = Faults("s.yaml")
    make_grammar(read_document(text, faults), faults)
    with pytest.raises(SpaceError) as caught:
        faults.raise_any()
    return str(caught.value)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (GOOD + "deph: 3\n", "line 7, deph: unknown key; did you mean 'depth'?"),
        (GOOD + "depth: many\n", "line 7, depth: a whole number from 1 to 20 is expected, not 'many'"),
        (GOOD + "depth: 0\n", "line 7, depth: a whole number"),
        (GOOD + "name: t\n", "line 7, name: this key is there twice; the first is in line 1"),
        (GOOD.replace("sin(a)", "sinn(a)"), "line 6, rules.f: unknown function 'sinn'; did you mean 'sin'?"),
        (GOOD.replace("f(x)", "ff(x)"), "line 2, start: unknown function 'ff'; did you mean 'f'?"),
        (GOOD.replace("f(x)", "f(x, x)"), "line 2, start: the rule 'f' takes 1 argument, not 2"),
        (GOOD.replace("sin(a)", "sin(a, a)"), "line 6, rules.f: sin takes 1 argument, not 2"),
        (GOOD.replace("sin(a)", "sin(b)"), "line 6, rules.f: unknown name 'b'"),
        (GOOD.replace("sin(a)", "sin(a"), "line 6, rules.f: this is not a formula"),
        (GOOD.replace("sin(a)", "a"), "line 6, rules.f: 'a' is there twice; the first is in line 5"),
        (GOOD.replace("sin(a)", "( a )"), "line 6, rules.f: '( a )' is there twice; the first is in line 5"),
        (GOOD.replace("sin(a)", "{a: 1}"), "line 6, rules.f: a text is expected here, not a mapping; put quotes"),
        (GOOD.replace("sin(a)", ""), "line 6, rules.f: a text is expected here, not nothing"),
        (GOOD + "  g(a): []\n", "line 7, rules.g: the rule has no alternative"),
        (GOOD + "  g(a): [a]\n", "line 7, rules.g: nothing calls this rule"),
        (GOOD + "  sin(a): [a]\n", "line 7, rules.sin: a primitive has this name"),
        (GOOD + "  f(a, b): [a]\n", "line 7, rules.f: two rules have this name"),
        (GOOD + "  g(a, a): [a]\n", "line 7, rules.g: two arguments have one name"),
        (GOOD + "  7: [x]\n", "line 7, rules.7: a rule is headed by its name and arguments"),
        (GOOD.replace("sin(a)", "f(a)"), "line 4, rules.f: this rule leads back to itself: the space needs a depth"),
        ("name: s\nstart: f(x)\ndepth: 3\nrules:\n  f(a): [f(a)]\n", "line 5, rules.f: every alternative leads back"),
        ("name: s\nstart: f(x)\ndepth: 1\nrules:\n  f(a): [g(a)]\n  g(a): [a]\n", "start needs a depth of at least 2"),
        (GOOD + "constants: {eps: x}\n", "line 7, constants.eps: a constant does not contain x"),
        (GOOD + "constants: {eps: 1 +}\n", "line 7, constants.eps: this is not a formula"),
        (GOOD + "constants: {a: 1}\n", "the argument 'a' has the name of a constant or parameter"),
        (GOOD + "parameters: {beta: 'one'}\n", "line 7, parameters.beta: unknown name 'one'"),
        (GOOD + "parameters: {beta: '1.0, chanel'}\n", "did you mean 'channel'?"),
        ("start: x\nrules: {}\n", "line 1, name: this key is missing"),
        ("- a\n- b\n", "a mapping (name: value) is expected here"),
        ("", "the file is empty"),
        ("name: [\n", "this is not YAML"),
        ("name: !!python/object/apply:os.system [ls]\nstart: x\nrules: {}\n", "a text is expected here, not a list"),
        ("a: 1\n---\nb: 2\n", "this is not YAML"),
        ("[" * 3000, "this is not YAML"),
    ],
)
def test_each_fault_has_its_place(text: str, expected: str) -> None:
    assert expected in faults_of(text)


def test_all_faults_are_told_at_once() -> None:
    message = faults_of("nam: s\nstart: g(x)\nrules:\n  f(a):\n    - sin(a, a)\n    - sillu(a)\n    - a +\n")
    assert message.startswith("s.yaml has 6 faults:")
    lines = [int(line.split()[1].strip(",:")) for line in message.splitlines() if line.startswith("  line")]
    assert lines == sorted(lines)
    assert len(lines) == 6


def test_a_bad_formula_shows_its_place() -> None:
    assert "sillu(a)\n            ^" in faults_of(GOOD.replace("sin(a)", "1 + sillu(a)"))


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("core_unitt", "unknown space 'core_unitt'; did you mean 'core_unit'"),
        ("missing.yaml", "there is no file 'missing.yaml'"),
        ("a/b", "there is no file 'a/b'"),
        ("", "unknown space ''"),
        ("\0", "cannot be the name|unknown space"),
        ("x" * 5000, "cannot be the name"),
    ],
)
def test_names_that_lead_nowhere(name: str, expected: str) -> None:
    with pytest.raises(SpaceError, match=expected):
        load_space(name)


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(GOOD.encode() + b"# \xff\xfe")
    with pytest.raises(SpaceError, match="not UTF-8 text: byte 58 is 0xff"):
        load_space(path)
    path.write_bytes(b"#" * 1_000_001)
    with pytest.raises(SpaceError, match="more than 1,000,000 bytes"):
        load_space(path)
    with pytest.raises(SpaceError, match="is a folder"):
        load_space(tmp_path)
    path.unlink()
    with pytest.raises(SpaceError, match="there is no file"):
        load_space(path)
    with pytest.raises(SpaceError, match="named by a text or a path"):
        load_space(None)  # type: ignore[arg-type]


def test_a_file_without_permission(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, **options: str) -> str:
        raise PermissionError(13, "Permission denied")

    path = tmp_path / "s.yaml"
    path.write_text(GOOD)
    monkeypatch.setattr(Path, "read_text", refuse)  # root may read every file
    with pytest.raises(SpaceError, match=r"s\.yaml cannot be read: Permission denied"):
        load_space(path)


def test_a_byte_order_mark_and_windows_line_ends_do_not_matter(tmp_path: Path) -> None:
    path = tmp_path / "s.yaml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load_space(path).size() == load_space(str(path)).size() == 2


@settings(max_examples=150, deadline=None)
@given(st.data())
def test_no_damage_leads_to_anything_but_a_space_error(data: st.DataObject) -> None:
    text = GOOD + "depth: 3\nconstants: {eps: 1e-7}\n"
    for _ in range(data.draw(st.integers(1, 3))):
        at = data.draw(st.integers(0, len(text)))
        to = data.draw(st.integers(at, min(len(text), at + 6)))
        text = text[:at] + data.draw(st.text(max_size=4)) + text[to:]
    faults = Faults("s.yaml")
    grammar = make_grammar(read_document(text, faults), faults)
    if grammar is None:
        with pytest.raises(SpaceError):
            faults.raise_any()
