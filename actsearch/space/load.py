"""Reading a search space from a YAML file; every fault is reported at once, with file, line and key."""

from __future__ import annotations

from pathlib import Path

import actsearch
from actsearch.errors import SpaceError, suggest
from actsearch.space.check import make_grammar
from actsearch.space.document import read_document
from actsearch.space.families import make_families
from actsearch.space.faults import Faults
from actsearch.space.space import Space

MAX_BYTES = 1_000_000
"""A space is written by hand; a larger file is something else."""


def shipped_folder() -> Path:
    """Return the folder of the spaces that come with the package."""
    package = Path(actsearch.__file__).parent
    inside = package / "search_spaces"
    return inside if inside.is_dir() else package.parent / "search_spaces"


def space_names() -> list[str]:
    """Return the sorted names of the spaces that come with the package.

    Example:
        >>> "core_unit" in space_names()
        True
    """
    return sorted(path.stem for path in shipped_folder().glob("*.yaml"))


def load_space(path_or_name: str | Path) -> Space:
    """Return the space of a YAML file, or a shipped one by its bare name.

    Args:
        path_or_name: ``"core_unit"`` for a shipped space, ``"my/space.yaml"`` for a file.

    Raises:
        SpaceError: there is no such space or file, it cannot be read, or it has faults; all of them are listed.

    Example:
        >>> load_space("core_unit").size()
        6250
    """
    path = _find(path_or_name)
    faults = Faults(str(path))
    document = read_document(_read(path), faults)
    families = make_families(document, faults)
    grammar = make_grammar(document, faults)
    faults.raise_any()
    texts = {key: given.text for key, given in document.texts.items()}
    return Space(texts["name"], grammar, texts.get("title", ""), texts.get("citation", ""), path, families)


def _find(path_or_name: str | Path) -> Path:
    if not isinstance(path_or_name, str | Path):
        raise SpaceError(f"a space is named by a text or a path, not by {type(path_or_name).__name__}")
    text = str(path_or_name)
    if isinstance(path_or_name, str) and text in space_names():
        return shipped_folder() / f"{text}.yaml"
    try:
        if (path := Path(text)).is_file():
            return path
        is_folder = path.is_dir() and bool(text)
    except (OSError, ValueError) as error:
        raise SpaceError(f"{text!r} cannot be the name of a space: {error}") from None
    if is_folder and path.name != text:
        raise SpaceError(f"{text!r} is a folder; a space is one YAML file")
    if path.suffix in (".yaml", ".yml") or len(path.parts) > 1:
        raise SpaceError(f"there is no file {text!r}{suggest(path.stem, space_names())}")
    known = space_names()
    raise SpaceError(
        f"unknown space {text!r}{suggest(text, known)} (shipped: {', '.join(known)}; a file of your own ends in .yaml)"
    )


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_BYTES:
            raise SpaceError(f"{path} has more than {MAX_BYTES:,} bytes; that is no search space")
        return path.read_text(encoding="utf-8-sig")
    except UnicodeDecodeError as error:
        raise SpaceError(f"{path} is not UTF-8 text: byte {error.start} is {error.object[error.start]:#04x}") from None
    except OSError as error:
        raise SpaceError(f"{path} cannot be read: {error.strerror or error}") from None
