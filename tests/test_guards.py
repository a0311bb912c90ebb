"""Guards on the house itself: public names, light import, paths and links in the documents, README commands."""

from __future__ import annotations

import importlib
import pkgutil
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import actsearch

ROOT = Path(__file__).parents[1]
DOCUMENTS = sorted([*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md"), *ROOT.glob("benchmarks/**/*.md")])
PUBLIC_NAMES = {
    "Activation",
    "ActsearchError",
    "CompiledActivation",
    "Parameter",
    "catalog",
    "compare",
    "compile",
    "distill",
    "export",
    "fingerprint",
    "format",
    "gain",
    "initialise",
    "lightning_task",
    "load_space",
    "load_task",
    "make",
    "parse",
    "search",
    "swap",
}


def submodules() -> list[str]:
    found = pkgutil.walk_packages(actsearch.__path__, "actsearch.")
    return [info.name for info in found if "__main__" not in info.name]


def test_public_names_change_only_on_purpose() -> None:
    assert set(actsearch.__all__) == PUBLIC_NAMES


def test_public_names_survive_the_import_of_every_submodule() -> None:
    """A public function that bears a subpackage's name would be overwritten by the module."""
    for name in submodules():
        importlib.import_module(name)
    for name in PUBLIC_NAMES - {"catalog"}:
        assert callable(getattr(actsearch, name)), name
    assert "silu" in actsearch.catalog.names()


@pytest.mark.parametrize(
    ("statement", "absent"),
    [
        ("import actsearch", ("torch", "lightning", "optuna", "wandb", "sympy", "matplotlib")),
        ("import actsearch; actsearch.parse('silu(x)')", ("torch", "lightning", "optuna", "wandb")),
        ("import actsearch; actsearch.load_space('tiny').size()", ("torch", "lightning", "optuna", "wandb")),
        ("import actsearch; actsearch.make('silu')", ("lightning", "optuna", "wandb")),
    ],
)
def test_imports_are_light(statement: str, absent: tuple[str, ...]) -> None:
    check = f"import sys; {statement}; print([name for name in {absent!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", check], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_every_path_that_architecture_names_exists() -> None:
    text = (ROOT / "ARCHITECTURE.md").read_text()
    named = set(re.findall(r"`((?:actsearch|search_spaces|scripts|benchmarks|tests|docs)/[\w./-]*)`", text))
    assert len(named) >= 10
    assert [path for path in sorted(named) if not (ROOT / path).exists()] == []


@pytest.mark.parametrize("document", DOCUMENTS, ids=lambda path: str(path.relative_to(ROOT)))
def test_relative_links_lead_somewhere(document: Path) -> None:
    targets = re.findall(r"\]\(([^)#\s]+)[^)]*\)", document.read_text())
    local = [target for target in targets if not target.startswith(("http", "mailto"))]
    assert [target for target in local if not (document.parent / target).exists()] == []


def test_readme_names_only_make_targets_that_exist() -> None:
    targets = set(re.findall(r"^([\w-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    used = set(re.findall(r"^\$? ?make ([\w -]+?)\s*(?:#.*)?$", (ROOT / "README.md").read_text(), re.MULTILINE))
    assert used
    assert {word for line in used for word in line.split()} <= targets


def test_every_extra_and_dependency_says_who_needs_it() -> None:
    """A dependency without a reason is the first to be dropped."""
    lines = (ROOT / "pyproject.toml").read_text().split("dependencies = [")[1].split("]")[0].splitlines()
    assert [line for line in lines if line.strip() and "#" not in line] == []


def test_what_the_package_reads_is_installed_with_it() -> None:
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]
    patterns = settings["package-data"]["actsearch"]
    package = ROOT / "actsearch"
    files = [path for path in package.rglob("*") if path.is_file() and path.suffix not in (".py", ".pyc")]
    assert files
    missing = [path for path in files if not any(path.relative_to(package).match(pattern) for pattern in patterns)]
    assert missing == []
