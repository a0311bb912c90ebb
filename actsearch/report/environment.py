"""What a run ran on: versions, machine, and the commit of the working folder if it is a git repository."""

from __future__ import annotations

import os
import platform
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGES = ("actsearch", "torch", "lightning", "optuna", "sympy", "numpy", "scipy", "loky", "wandb")

_PROGRAM = {"__main__.py": "python -m actsearch"}


def environment() -> dict[str, Any]:
    """Return versions, machine, threads, git commit and the time, as JSON-able data."""
    return {
        "time": datetime.now(UTC).isoformat(timespec="seconds"),
        "python": platform.python_version(),
        "packages": {name: found for name in PACKAGES if (found := _version(name))},
        "platform": platform.platform(),
        "processor": platform.processor() or platform.machine(),
        "n_cpus": os.cpu_count(),
        "threads": os.environ.get("OMP_NUM_THREADS"),
        "git": git_commit(),
        "command": [_PROGRAM.get(os.path.basename(sys.argv[0]), os.path.basename(sys.argv[0])), *sys.argv[1:]],
    }


def git_commit() -> dict[str, Any] | None:
    """Return the commit of the current folder and whether files differ from it; None outside a repository."""
    commit = _git("rev-parse", "HEAD")
    return None if commit is None else {"commit": commit, "is_clean": _git("status", "--porcelain") == ""}


def _git(*words: str) -> str | None:
    try:
        done = subprocess.run(["git", *words], capture_output=True, text=True, timeout=10, check=False)
    except (OSError, subprocess.TimeoutExpired):  # no git, or a repository too slow to ask
        return None
    return done.stdout.strip() if done.returncode == 0 else None


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
