"""What every result says of its run: machine, versions, load, date; and where it is written."""

from __future__ import annotations

import datetime
import json
import os
import platform
import statistics
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

FOLDER = Path(__file__).parent / "results"


def machine(*packages: str) -> dict[str, str]:
    """Return what figures depend on, with the versions of ``packages``; the load is that of the run's begin."""
    lines = Path("/proc/cpuinfo").read_text().splitlines() if Path("/proc/cpuinfo").exists() else []
    model = next((line.split(":")[1].strip() for line in lines if line.startswith("model name")), platform.processor())
    return {
        "date": datetime.date.today().isoformat(),
        "cpu": model,
        "cores": str(os.cpu_count()),
        "load": " ".join(f"{value:.1f}" for value in os.getloadavg()),
        "system": platform.platform(terse=True),
        "python": platform.python_version(),
        **{package: _version(package) for package in packages},
    }


def write(name: str, title: str, how: str, results: dict[str, Any], body: Sequence[str], folder: Path) -> Path:
    """Write ``NAME-DATE.md`` and ``.json`` into ``folder``, print the page, and return its path.

    Args:
        name: of the benchmark.
        title: heading of the page.
        how: a sentence on how it was measured.
        results: plain data; ``results["machine"]`` is what :func:`machine` returned.
        body: the page's lines below its header.
        folder: where to.
    """
    header = [f"# {title}, {results['machine']['date']}", "", how, ""]
    header += [f"- {key}: {value}" for key, value in results["machine"].items()]
    page = "\n".join([*header, "", *body]) + "\n"
    folder.mkdir(parents=True, exist_ok=True)
    place = folder / f"{name}-{results['machine']['date']}"
    place.with_suffix(".json").write_text(json.dumps(results, indent=1) + "\n")
    place.with_suffix(".md").write_text(page)
    print(page)
    return place.with_suffix(".md")


def mean(values: Sequence[float]) -> float:
    """Return the geometric mean."""
    return statistics.geometric_mean(values)


def reached(value: float, target: float, at_least: bool = False) -> str:
    """Return "yes" or "**no**": whether a figure keeps to its target."""
    return "yes" if (value >= target if at_least else value <= target) else "**no**"


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"
