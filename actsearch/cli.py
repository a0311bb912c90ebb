"""The command line: ``actsearch search | compare | show | export | check | catalog | bench``.

Each command is a function whose keyword arguments are the options of its row in ``COMMANDS``. What takes time to import
is imported by the command that needs it, so that ``--help`` answers at once.
"""

from __future__ import annotations

import logging
import os
import sys
import traceback
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import actsearch
from actsearch._arguments import Command, Option, UsageError, comma_list, numbers, parse, sizes, word
from actsearch.errors import ActsearchError, ReportError

if TYPE_CHECKING:
    from actsearch.study.result import StudyResult
    from actsearch.tasks.task import Task

USER_ERROR, USAGE_ERROR, INTERRUPTED = 1, 2, 130
N_ROWS = 10


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command and return the exit code: 0, 1 (a mistake in what was asked), 2 (usage), 130 (Ctrl-C)."""
    words = list(sys.argv[1:] if argv is None else argv)
    try:
        command, values = parse(words, COMMANDS, actsearch.__version__)
    except UsageError as error:
        print(f"actsearch: {error}", file=sys.stderr)
        return USAGE_ERROR
    is_debug = values.pop("debug")
    _log_to_stderr(is_debug)
    try:
        code = command.run(**values)
        sys.stdout.flush()
        return code
    except ActsearchError as error:
        if is_debug:
            traceback.print_exc()
        print(f"actsearch {command.name}: {error}", file=sys.stderr)
        return USER_ERROR
    except BrokenPipeError:  # the reader of a pipe, such as head, has enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except KeyboardInterrupt:
        print(f"actsearch {command.name}: interrupted", file=sys.stderr)
        return INTERRUPTED


def search(
    *,
    space: str,
    task: list[str],
    nets: list[str] | None,
    task_settings: dict[str, Any] | None,
    storage: str | None,
    out: str | None,
    name: str | None,
    wandb: str,
    wandb_project: str,
    wandb_finals: bool,
    **settings: Any,
) -> int:
    """Search a space, show it as it goes, and write the results folder."""
    from actsearch.report.display import display
    from actsearch.report.folder import ResultsFolder, make_folder
    from actsearch.report.summary import lines
    from actsearch.report.track import tracker
    from actsearch.report.track_fit import fit_loggers
    from actsearch.space.load import load_space
    from actsearch.study.search import search as run

    options: dict[str, Any] = {"space": space, "task": task, "nets": nets, "task_settings": task_settings, "name": name}
    options |= {"storage": storage, **settings, "wandb": wandb, "wandb_project": wandb_project}
    options["wandb_finals"] = wandb_finals
    loaded, tasks = load_space(space), _tasks(task, nets, task_settings)
    name = name or "-".join([loaded.name, *dict.fromkeys(one.name for one in tasks)])
    folder = make_folder(Path(out or Path("results") / name))
    results = ResultsFolder(folder, {key: value for key, value in options.items() if value is not None})
    track = tracker(wandb, folder, wandb_project)
    callbacks = [display(), results, *([track] if track else [])]
    given = {key: value for key, value in settings.items() if value is not None}
    if wandb_finals:
        given["final_logger"] = fit_loggers(wandb, folder, wandb_project, group=name)
    with _closing(callbacks, folder):
        result = run(
            loaded, tasks, storage=storage or str(folder / "study.journal"), name=name, callbacks=callbacks, **given
        )
    print()
    _print_lines(lines(result, N_ROWS))
    if results.error is not None:
        raise results.error
    print(f"\nResults: {folder / 'README.md'}")
    if result.interrupted:
        print("Interrupted: the same command goes on from here.")
    return INTERRUPTED if result.interrupted else 0


def compare(
    *,
    specs: list[str],
    task: list[str],
    nets: list[str] | None,
    task_settings: dict[str, Any] | None,
    panel: list[str] | None,
    out: str | None,
    **settings: Any,
) -> int:
    """Fit functions again and again, paired, and say which differ on the test split."""
    from actsearch.report import tables, verdict
    from actsearch.report.display import display
    from actsearch.report.folder import make_folder, write_comparison
    from actsearch.study.finals import compare as run

    folder = make_folder(Path(out)) if out else None
    callbacks = [display()]
    given = {key: value for key, value in settings.items() if value is not None}
    given |= {"panel": panel} if panel is not None else {}
    given |= {"storage": str(folder / "study.journal")} if folder and "storage" not in given else {}
    with _closing(callbacks, folder):
        comparison = run(specs, _tasks(task, nets, task_settings), callbacks=callbacks, **given)
    print(f"\n{tables.short_comparison(comparison).text()}\n")
    _print_lines([verdict.verdict(comparison), *verdict.caveats(comparison)])
    if folder:
        write_comparison(comparison, folder)
        print(f"\nResults: {folder}")
    return 0


def show(*, path: str, name: str | None, rows: int) -> int:
    """Print what a results folder or a storage holds; a search that runs can be looked at."""
    from actsearch.report.summary import lines

    _print_lines(lines(_result(path, name), rows))
    return 0


def export(*, what: str, format: str, out: str | None, name: str | None, check: bool) -> int:
    """Write one formula, or the best of a study, in one format."""
    from actsearch.report.export import export as run
    from actsearch.report.export import suffix

    spec = _result(what, name) if _is_place(what) else what
    stem = (name or "best") if spec is not what else what if what.isidentifier() else "activation"
    path = run(spec, format, out or f"{stem}{suffix(format)}", check=check)
    print(f"wrote {path} ({'read back and compared: equal' if check else 'not compared with the original'})")
    return 0


def check(*, space: str, samples: int) -> int:
    """Tell what is in a space: size, distinct functions, samples, and what the screen rejects."""
    from actsearch.expr.text import format as format_expr
    from actsearch.report.bar import bar
    from actsearch.report.spaces import describe
    from actsearch.space.load import load_space
    from actsearch.space.survey import survey

    loaded = load_space(space)
    with bar("evaluating every candidate") as progress:
        found = survey(loaded, progress)
    print(describe(loaded, found))
    if samples:
        print("\nsamples")
        _print_lines([format_expr(loaded.sample(seed)) for seed in range(samples)], indent="  ")
    return 0


def catalog(
    *, name: str | None, where: list[str], count: bool, plot: str | None, low: float, high: float, **others: str | None
) -> int:
    """List the named activations, or show one: formula, derivative, traits, moments, curve; or advise for a task."""
    from actsearch.report import activations, guide

    if (task := others["for"]) is not None:  # "for" cannot name a parameter in Python
        print(guide.advise(task))
        return 0
    if count:
        print(activations.counted())
        return 0
    if name is None:
        if plot:
            raise ReportError("name the activation to plot: actsearch catalog silu --plot silu.png")
        print(activations.listing(where))
        return 0
    if not low < high:
        raise ReportError(f"the range from {low:g} to {high:g} is empty; --low must be below --high")
    unicode = (sys.stdout.encoding or "").lower().replace("-", "").startswith("utf")
    print(activations.describe(name, low, high, unicode=unicode))
    if plot:
        print(f"\nwrote {activations.picture(name, Path(plot))}")
    return 0


def bench(*, spec: str, sizes: list[int] | None, torch_compile: bool, json: bool, **settings: Any) -> int:
    """Time a formula beside torch's own function, the same as torch operations, and a plain copy."""
    from actsearch.report.bar import bar
    from actsearch.report.bench import bench as run
    from actsearch.report.bench_table import print_bench

    given: dict[str, Any] = {} if sizes is None else {"sizes": sizes}
    with bar("timing") as progress:
        found = run(spec, torch_compile=torch_compile, progress=progress, **given, **settings)
    if json:
        from json import dumps

        print(dumps(found.as_dict(), indent=1))
    else:
        print_bench(found)
    return 0


def _tasks(names: Sequence[str], nets: list[str] | None, settings: dict[str, Any] | None) -> list[Task]:
    from actsearch.tasks.load import load_task

    return [load_task(name, nets, **(settings or {})) for name in names]


def _result(place: str, name: str | None) -> StudyResult:
    """Return the result that a results folder, a storage's file or URL holds."""
    from actsearch.report.folder import storage_of
    from actsearch.study.result import load_result

    return load_result(storage_of(Path(place)) if Path(place).is_dir() else place, name)


def _is_place(what: str) -> bool:
    return "://" in what or Path(what).is_dir() or (Path(what).is_file() and Path(what).suffix != "")


def _print_lines(parts: Iterable[str], indent: str = "", width: int = 80) -> None:
    """Print sentences, each wrapped at words (a formula is not broken elsewhere), and tables as they are."""
    import textwrap

    wrapper = textwrap.TextWrapper(
        width, initial_indent=indent, subsequent_indent=f"{indent}  ", break_long_words=False, break_on_hyphens=False
    )
    for part in parts:
        print(f"{part}\n" if "\n" in part else wrapper.fill(part))


@contextmanager
def _closing(callbacks: Sequence[Any], folder: Path | None = None) -> Iterator[None]:
    """Close what a failed run left open, so that no display stays on the terminal; closing twice does nothing.

    A results folder into which nothing was written goes.
    """
    try:
        yield
    except BaseException:
        for callback in callbacks:
            callback.close(None)
        if folder is not None:
            with suppress(OSError):  # it holds something
                folder.rmdir()
        raise


class _Stderr(logging.Handler):
    """Warnings in one line each, on the standard error of the moment: a live display puts its own in place."""

    def __init__(self, is_debug: bool) -> None:
        super().__init__(logging.DEBUG if is_debug else logging.WARNING)
        self.is_debug = is_debug

    def emit(self, record: logging.LogRecord) -> None:
        """Print one record; a traceback with ``--debug`` only."""
        print(f"{record.levelname.lower()}: {record.getMessage()}", file=sys.stderr)
        if self.is_debug and record.exc_info:
            traceback.print_exception(*record.exc_info)


def _log_to_stderr(is_debug: bool) -> None:
    logger = logging.getLogger("actsearch")
    logger.handlers = [handler for handler in logger.handlers if not isinstance(handler, _Stderr)]
    logger.addHandler(_Stderr(is_debug))
    logger.propagate = False
    if is_debug:
        logger.setLevel(logging.DEBUG)


_DEBUG = Option("--debug", "show Python's traceback of an error, and more of what happens", type=bool, default=False)
_TASK = (
    Option("--task", "what to train: a shipped task (mnist1d, digits, toy) or your own, module:object", type=comma_list,
           default=["mnist1d"], metavar="NAME"),
    Option("--nets", "only these nets of the task, such as deep,residual", type=comma_list, metavar="A,B"),
    Option("--task-settings", "settings of the task, such as '{n_steps: 1000}'", type=dict[str, Any] | None,
           metavar="YAML"),
)  # fmt: skip
_RUNNING = (
    Option("--seed", "everything random follows from it", type=int, default=0),
    Option("--n-workers", "fits at once; 0: in this process", type=int | None, metavar="N"),
    Option("--normalise", "give every function mean 0 and variance 1", type=bool, default=True),
)

COMMANDS = (
    Command(
        "search",
        "Search a space for the activation function that is best on a task.",
        {
            "what to search, and on what": (
                Option("--space", "a shipped space (core_unit, pangaea, ...) or a YAML file", required=True),
                *_TASK,
            ),
            "how": (
                Option("--n-trials", "how many distinct functions to train", type=int, default=100),
                Option("--sampler", "surrogate, tpe, random, evolution, ...", default="surrogate", metavar="NAME"),
                Option("--pruner", "stops poor candidates early: halving, hyperband, median, none", default="halving",
                       metavar="NAME"),
                Option("--rungs", "where candidates are compared: fractions of a fit, or steps", type=numbers,
                       metavar="1/9,1/3,1"),
                Option("--finalists", "best candidates to compare on the test split", type=int, default=3),
                Option("--n-replicates", "fits of each in that comparison", type=int, default=8),
                Option("--n-null-control", "copies of relu that show what luck does", type=int, default=5),
                Option("--symmetry", "auto: of functions that the nets cannot tell apart, train one; off: each",
                       type=word, default="auto", metavar="auto|off"),
                Option("--screen-by", "skip the worst candidates by a proxy, such as fisher (default: skip none)",
                       metavar="NAME"),
                Option("--screen-share", "share of the space's candidates that it skips", type=float, default=0.5),
                Option("--mode", "single, population (many fits at once), or auto: measured once", default="auto",
                       metavar="NAME"),
                Option("--population-size", "how many fits at once (default: measured)", type=int, metavar="K"),
                *_RUNNING,
            ),
            "where": (
                Option("--out", "folder of the results (default: results/NAME)", metavar="FOLDER"),
                Option("--storage", "journal file or database URL (default: study.journal in the folder)",
                       metavar="PLACE"),
                Option("--name", "name of the study (default: made from space and task)"),
                Option("--wandb", "Weights & Biases: nothing is uploaded but with 'online'",
                       type=Literal["offline", "online", "off"], default="offline"),
                Option("--wandb-project", "its project there", default="actsearch", metavar="NAME"),
                Option("--wandb-finals", "a run for each final fit too", type=bool, default=False),
            ),
            "other": (_DEBUG,),
        },
        "actsearch search --space core_unit --task mnist1d --nets deep,residual",
        search,
        has_config=True,
    ),
    Command(
        "compare",
        "Compare functions on the test split, each with its own learning rate, over paired replicates.",
        {
            "what": (
                Option("specs", "names or formulas, such as silu 'x*sigmoid(1.7*x)'", nargs="+", required=True),
                *_TASK,
            ),
            "how": (
                Option("--n-replicates", "fits of each function; below 8 nothing is called better", type=int,
                       default=8),
                Option("--panel", "baselines to fit alongside (default: ten; none: '')", type=comma_list,
                       metavar="A,B"),
                Option("--reference", "what all are compared with (default: the baseline best on validation)",
                       metavar="NAME"),
                *_RUNNING,
            ),
            "where": (
                Option("--out", "folder for tables and picture; the same command continues there", metavar="FOLDER"),
                Option("--storage", "journal file or database URL", metavar="PLACE"),
                Option("--name", "name of the comparison in the storage", default="compare"),
            ),
            "other": (_DEBUG,),
        },
        "actsearch compare gelu 'x*sigmoid(1.7*x)' --task digits",
        compare,
        has_config=True,
    ),
    Command(
        "show",
        "Show the leaderboard and the verdict of a study, also while it runs.",
        {
            "what": (
                Option("path", "results folder, journal file or database URL", required=True),
                Option("--name", "the study, where there is more than one"),
                Option("--rows", "length of the leaderboard", type=int, default=N_ROWS),
                _DEBUG,
            )
        },
        "actsearch show results/core_unit-mnist1d",
        show,
    ),
    Command(
        "export",
        "Write a formula, or the best of a study, for another program: torch, ONNX, JAX, Keras, C, LaTeX, ...",
        {
            "what": (
                Option("what", "a name, a formula, a results folder, or a storage", required=True),
                Option("--format", "torch, numpy, jax, keras, onnx, c, sympy, latex, json, text", default="torch",
                       metavar="NAME"),
                Option("--out", "the file to write (default: in the current folder)", metavar="FILE"),
                Option("--name", "the study, where there is more than one"),
                Option("--check", "read the file back and compare it with the original", type=bool, default=True),
                _DEBUG,
            )
        },
        "actsearch export results/core_unit-mnist1d --format torch --out best.py",
        export,
    ),
    Command(
        "check",
        "Check a search space: size, distinct functions, samples, and what the screen rejects and why.",
        {
            "what": (
                Option("space", "a YAML file, or the name of a shipped space", required=True),
                Option("--samples", "how many random candidates to print", type=int, default=5),
                _DEBUG,
            )
        },
        "actsearch check my_space.yaml",
        check,
    ),
    Command(
        "catalog",
        "List the named activation functions, or show one with its derivative, traits and curve; or advise for a task.",
        {
            "what": (
                Option("name", "a name, or a formula"),
                Option("--where", "list those with these traits, such as smooth,odd,not-bounded", type=comma_list,
                       default=[], metavar="TRAITS"),
                Option("--for", "what to use for a task or an architecture, such as classification-head or cnn",
                       metavar="TASK"),
                Option("--count", "tell how many functions there are", type=bool, default=False),
                Option("--plot", "also draw it, with derivatives, into this file (.png or .svg)", metavar="FILE"),
                Option("--low", "left end of the curve", type=float, default=-5.0),
                Option("--high", "right end of the curve", type=float, default=5.0),
                _DEBUG,
            )
        },
        "actsearch catalog silu",
        catalog,
    ),
    Command(
        "bench",
        "Time a formula beside torch's own function, the same as torch operations, and a plain copy.",
        {
            "what": (Option("spec", "a name, or a formula", required=True),),
            "where": (
                Option("--dtype", "float32, float64, bfloat16, float16", default="float32", metavar="NAME"),
                Option("--device", "cpu, cuda or cuda:N", default="cpu", metavar="NAME"),
                Option("--threads", "of torch (default: as many as it takes)", type=int | None, metavar="N"),
                Option("--backend", "auto, c, triton or reference", default="auto", metavar="NAME"),
            ),
            "how": (
                Option("--sizes", "elements of the input (default: 2^12,2^16,2^20,2^22)", type=sizes, metavar="N,N"),
                Option("--seconds", "for each size", type=float, default=1.0),
                Option("--torch-compile", "time torch.compile too, which takes some 20 s to begin with", type=bool,
                       default=False),
                Option("--json", "print JSON", type=bool, default=False),
                _DEBUG,
            ),
        },
        "actsearch bench 'x*sigmoid(atan(x))' --threads 1",
        bench,
    ),
)  # fmt: skip
