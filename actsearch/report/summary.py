"""The README of a results folder: verdict, best function, tables, pictures, and how to reproduce the run."""

from __future__ import annotations

from collections.abc import Sequence

from actsearch.report import tables, verdict
from actsearch.report.progress import duration, title
from actsearch.report.records import baselines, records
from actsearch.study.result import StudyResult

N_ROWS = 10


def summary(result: StudyResult, best: str | None, reproduce: str, pictures: Sequence[str]) -> str:
    """Return the Markdown text.

    Args:
        result: the study's.
        best: text of the best function with its normalising map, None when no candidate finished.
        reproduce: what to type or call for the same run.
        pictures: paths relative to the folder.
    """
    parts = [f"# {title(result.name, result.config)}", f"**{verdict.verdict(result.finals)}**"]
    if result.interrupted:
        parts.append("The run was interrupted; the same command continues it.")
    if result.finals is not None:
        parts.append("\n".join(f"- {line}" for line in verdict.caveats(result.finals, result)))
    parts.append(_counts(result))
    if best is not None:
        parts += ["## Best function", _best(result, best)]
    rows = records(result.study.get_trials(deepcopy=False))
    panel = baselines(records(result.panel_study.get_trials(deepcopy=False)))
    leaders = tables.leaderboard(rows, panel[0] if panel else None, N_ROWS)
    if leaders.rows:
        parts += [f"## Leaderboard, the first {N_ROWS}", _SCORE, leaders.markdown()]
    if result.finals is not None:
        parts += ["## Finals", tables.comparison(result.finals).markdown()]
    parts += ["## Pictures", "\n".join(f"![{name}]({name})" for name in pictures)] if pictures else []
    parts += ["## Again", f"```\n{reproduce}\n```", _FILES]
    return "\n\n".join(part.strip() for part in parts) + "\n"


def lines(result: StudyResult, n_rows: int) -> list[str]:
    """Return what the command line prints of a study: title, counts, tables (several lines), verdict and caveats."""
    rows = records(result.study.get_trials(deepcopy=False))
    panel = baselines(records(result.panel_study.get_trials(deepcopy=False)))
    leaders = tables.leaderboard(rows, panel[0] if panel else None, n_rows)
    shown = [column for column in leaders.header if column not in ("trial", "seconds", "n_parameters", "baseline")]
    board = f"\n{leaders.only(*shown).text()}" if leaders.rows else "No candidate finished."
    parts = [title(result.name, result.config), _counts(result), board]
    if result.finals is not None:
        parts.append(f"On the test split:\n{tables.short_comparison(result.finals).text()}")
        parts += [verdict.verdict(result.finals), *verdict.caveats(result.finals, result)]
    elif result.leaderboard(1):
        parts += [verdict.verdict(None), *([verdict.luck_sentence(result)] if verdict.luck_sentence(result) else [])]
    return parts


_SCORE = (
    "A score says by how many seed-to-seed standard deviations of the panel a function is above the panel's median, "
    "on validation, mean over the cells. The row `panel` is the best baseline."
)

_FILES = """\
| file | holds |
|---|---|
| `leaderboard.csv`, `trials.csv` | finished candidates; every trial with its outcome |
| `comparison.csv` | the finals on the test split |
| `formula/` | the best function as text, SymPy, LaTeX, JSON, and a module that needs torch only |
| `plots/` | every picture as PNG and SVG |
| `config.yaml`, `settings.json`, `environment.json` | options, all resolved settings, versions and machine |
"""


def _counts(result: StudyResult) -> str:
    counted = [
        f"{result.n_trained} distinct functions trained",
        f"{result.n_pruned} of them stopped early",
        f"{result.n_diverged} diverged",
        f"{result.n_duplicates} duplicates and {result.n_rejected} rejected without training",
    ]
    if result.n_skipped:
        counted.append(f"{result.n_skipped} of these by the proxy {result.config['screen_by']}: trainings saved")
    if result.n_mirrored:
        counted.append(f"symmetry saved {result.n_mirrored} trainings of mirror images")
    stopped = f" {result.stopped}." if result.stopped else ""
    return f"{', '.join(counted)}; {duration(result.seconds)}.{stopped}"


def _best(result: StudyResult, best: str) -> str:
    lines = [f"```\n{result.best}\n```"]
    if best != result.best:
        lines.append(
            f"As trained and exported, with mean 0 and variance 1 for a unit-normal input:\n\n```\n{best}\n```"
        )
    if learned := _learned(result):
        lines.append(
            "\n".join(["Learned in the search:", "", *(f"- {cell}: `{text}`" for cell, text in learned.items())])
        )
    lines.append(
        "Use it: copy `formula/best_torch.py` into a project and say `from best_torch import Activation`, or "
        f'`actsearch.make("{result.best}", normalise={bool(result.config.get("normalise", False))})`.'
    )
    return "\n\n".join(lines)


def _learned(result: StudyResult) -> dict[str, str]:
    """Return what the best candidate's parameters became in the search: cell -> formula."""
    rows = records(result.study.get_trials(deepcopy=False))
    return next((dict(row.learned) for row in rows if row.text == result.best and row.learned), {})
