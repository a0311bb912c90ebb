"""Every exporter on every named activation and primitive, and on forms that are hard to write down."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import sympy
import torch

from actsearch import plugins
from actsearch.errors import ExportError, ExprError, ReportError
from actsearch.expr import catalog
from actsearch.expr.primitives import PRIMITIVES
from actsearch.expr.resolve import to_expr
from actsearch.expr.text import parse
from actsearch.nn.make import make
from actsearch.report.export import FORMATS, POINTS, export, suffix
from actsearch.study.result import StudyResult

ALL = plugins.names(FORMATS)
EXTRAS = [name for name in ALL if hasattr(plugins.load(FORMATS, name), "EXTRA")]
# what needs another library, or a compiler for each function, is dear
DEAR = [*EXTRAS, "c"]
FORMAT = pytest.mark.parametrize(
    "format", [pytest.param(name, marks=pytest.mark.slow) if name in EXTRAS else name for name in ALL]
)
HARD = (
    "x/3*(1 + x)**(1/3)",
    "abs(x)**1.5",
    "sin(x)**2*x",
    "2e-7*exp(x)",
    "(1/3)**x",
    "pi*x + e",
    "max(x, 0, min(x, 1))",
    "x if x > 0 and x < 1 else 0",
    "x**2 if (x > 1 or x < -2) and x != 5 else x",
    "-(x if x > 0 else 0.1*x)",
    "sqrt(x**2 + 1) - 1",
    "sigmoid(x)**x/sigmoid(x)**2",
    "0.1*x + 0.30000000000000004*x**3",
    "beta_1[1.0]*x*(1 + x)",
    "sigma[2.0]*(x + 1)*sigmoid(x)",
    "exp[2.0]*exp(x) + lambda_2[0.5]*x",
    "alpha1[1.0, positive]*x + gammaq[2.0, positive, channel]*sin(x)",
    "train[0.3, unit]*min(x, 0) + alpha_left_side[1.0]*max(x, 0)",
)


def texts() -> list[str]:
    arguments = ("x", "2*x", "3")
    calls = [f"{row.name}({', '.join(arguments[: row.arity or 2])})" for row in PRIMITIVES.values()]
    return [*catalog.names(), *calls, *HARD]


def some_texts(every: int) -> list[str]:
    """Every n-th row of the catalog, and all hard forms."""
    return [*catalog.names()[::every], *HARD]


@pytest.mark.parametrize(
    "format", [pytest.param(name, marks=pytest.mark.slow) if name in DEAR else name for name in ALL]
)
def test_some_functions_are_read_back_equal(format: str, tmp_path: Path) -> None:
    for text in some_texts(every=20):
        assert export(text, format, tmp_path / f"it{suffix(format)}").is_file(), text


@pytest.mark.slow
@pytest.mark.parametrize("format", ALL)
def test_every_function_is_read_back_equal(format: str, tmp_path: Path) -> None:
    # JAX compiles each function for half a second
    for text in some_texts(every=4) if format == "jax" else texts():
        assert export(text, format, tmp_path / f"it{suffix(format)}").is_file(), text


def test_suffixes_differ() -> None:
    assert len({suffix(format) for format in ALL}) == len(ALL) == 10


@FORMAT
def test_a_wrong_file_is_not_taken(format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is read back is compared with the original, not with what was written."""
    exporter = plugins.load(FORMATS, format)
    write = exporter.export
    wrong = parse("x*sigmoid(beta[1.0]*x) + 1e-6*x")
    monkeypatch.setattr(exporter, "export", lambda expr, path: write(wrong, path))
    target = tmp_path / f"it{suffix(format)}"
    target.write_text("earlier")
    with pytest.raises(ExportError, match=f"{format} export of .* differs from the original"):
        export("x*sigmoid(beta[1.0]*x)", format, target)
    assert target.read_text() == "earlier"
    assert list(tmp_path.iterdir()) == [target]


def test_a_parameter_frozen_at_its_start_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = plugins.load(FORMATS, "sympy")
    write = exporter.export

    def frozen(expr: sympy.Expr, path: Path) -> Path:
        write(expr, path)
        path.write_text(path.read_text().replace("-beta*x", "-x"))
        return path

    monkeypatch.setattr(exporter, "export", frozen)
    with pytest.raises(ExportError, match="differs"):
        export("x*sigmoid(beta[1.0]*x)", "sympy", tmp_path / "it.py")


def test_a_wrong_backward_is_noticed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    exporter = plugins.load(FORMATS, "torch")
    write = exporter.export

    def broken(expr: sympy.Expr, path: Path) -> Path:
        write(expr, path)
        path.write_text(path.read_text().replace("(grad * slope)", "(2 * grad * slope)"))
        return path

    monkeypatch.setattr(exporter, "export", broken)
    with pytest.raises(ExportError, match="derivative in the torch export"):
        export("silu", "torch", tmp_path / "it.py")


def test_a_function_that_is_finite_nowhere_cannot_be_compared(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="cannot be compared"):
        export("log(-x**2 - 1)", "text", tmp_path / "it.txt")


def test_unknown_formats_and_functions_name_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(ExportError, match="did you mean 'latex'"):
        export("silu", "latx", tmp_path / "it")
    with pytest.raises(ExprError, match="did you mean 'silu'"):
        export("sillu", "text", tmp_path / "it")


def test_a_place_that_cannot_be_written_is_one_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(ReportError, match="cannot write"):
        export("silu", "text", tmp_path / "file" / "it.txt")


def test_latex_defines_what_is_no_textbook_notation(tmp_path: Path) -> None:
    text = export("mish(beta[1.0, positive]*x)", "latex", tmp_path / "it.tex").read_text()
    assert r"f(x) &= \operatorname{Mish}{\left(\beta x \right)}" in text
    assert r"\operatorname{Mish}(t) &= t \tanh" in text
    assert r"% parameter \beta : beta, starts at 1.0, positive" in text


@pytest.mark.parametrize(
    "text", ["", r"\begin{aligned}\end{aligned}", "\\begin{aligned}\n  f(x) &= \\int x\n\\end{aligned}"]
)
def test_latex_of_another_kind_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "it.tex"
    path.write_text(text)
    with pytest.raises(ExportError):
        plugins.load(FORMATS, "latex").load(path)


def test_json_tells_other_programs_enough(tmp_path: Path) -> None:
    content = json.loads(export("x*sigmoid(beta[1.0, positive, channel]*x)", "json", tmp_path / "it.json").read_text())
    assert content["schema"] == "actsearch.activation/1"
    assert content["parameters"] == [{"name": "beta", "start": 1.0, "constraint": "positive", "granularity": "channel"}]
    x, f = np.array(content["samples"]["x"]), np.array(content["samples"]["f"])
    assert np.allclose(f, x / (1 + np.exp(-x)))
    assert content["moments"]["gain"] == pytest.approx(1 / np.sqrt(content["moments"]["mean_square"]))


@pytest.mark.parametrize(("key", "value"), [("schema", "other/2"), ("text", "x*sigmoid(1.1*x)")])
def test_a_changed_json_file_is_refused(key: str, value: str, tmp_path: Path) -> None:
    path = export("silu", "json", tmp_path / "it.json")
    path.write_text(json.dumps({**json.loads(path.read_text()), key: value}))
    with pytest.raises(ExportError):
        plugins.load(FORMATS, "json").load(path)


def test_sympy_file_needs_sympy_only_and_keeps_the_parameter(tmp_path: Path) -> None:
    path = export("x*sigmoid(beta[0.5]*x)", "sympy", tmp_path / "swish.py")
    check = "import sys; sys.modules['actsearch'] = None; import swish; print(swish.expression, swish.start)"
    done = subprocess.run([sys.executable, "-c", check], cwd=path.parent, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "x/(1 + exp(-beta*x)) {beta: 0.5}"


STAND_ALONE = """
import sys
sys.modules["actsearch"] = None
import torch
from best import Activation

torch.manual_seed(0)
module = Activation(n_channels=3)
x = torch.randn(5, 3, dtype=torch.float64, requires_grad=True)
assert torch.autograd.gradcheck(module.double(), (x,))
assert torch.autograd.gradgradcheck(module, (x,))
per_point = torch.func.vmap(torch.func.grad(lambda row: module(row[None]).sum()))(x)
assert torch.allclose(per_point, torch.autograd.grad(module(x).sum(), x)[0])
half = module.to(torch.bfloat16)
assert half(x.to(torch.bfloat16)).dtype == torch.bfloat16
print(sorted(module.state_dict()), Activation(3, channel_dim=-1)(torch.zeros(2, 4, 3)).shape)
"""


def test_torch_file_needs_torch_only(tmp_path: Path) -> None:
    export("gamma[0.3, unit, channel]*x*sigmoid(beta[1.0, positive]*x)", "torch", tmp_path / "best.py")
    done = subprocess.run([sys.executable, "-c", STAND_ALONE], cwd=tmp_path, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == "['raw_beta', 'raw_gamma'] torch.Size([2, 4, 3])"


def test_trained_weights_fit_the_torch_file(tmp_path: Path) -> None:
    spec = "a[0.25, channel]*min(0, x) + max(0, x)*b[1.0, positive]"
    trained = make(spec, n_channels=4)
    with torch.no_grad():
        for parameter in trained.parameters():
            parameter.add_(0.3)
    path = export(spec, "torch", tmp_path / "best.py")
    content: dict[str, type[torch.nn.Module]] = {}
    exec(compile(path.read_text(), str(path), "exec"), content)  # our own file, just compared
    copy = content["Activation"](n_channels=4)  # type: ignore[call-arg]
    copy.load_state_dict(trained.state_dict())
    x = torch.randn(3, 4)
    assert torch.equal(copy(x), trained(x))


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore::DeprecationWarning")  # torch.compile uses what torch itself deprecates
def test_torch_file_works_under_torch_compile(tmp_path: Path) -> None:
    path = export("x*sigmoid(beta[1.0]*x) + (x if x > 0 else 0.1*x)", "torch", tmp_path / "best.py")
    content: dict[str, type[torch.nn.Module]] = {}
    exec(compile(path.read_text(), str(path), "exec"), content)
    module = content["Activation"]()
    compiled = torch.compile(module, fullgraph=True)
    x = torch.randn(100, requires_grad=True)
    assert torch.allclose(compiled(x), module(x), atol=1e-6)
    slopes = [torch.autograd.grad(f(x).sum(), x)[0] for f in (compiled, module)]
    assert torch.allclose(*slopes, atol=1e-5)


def test_a_module_is_exported_with_what_it_learned(tmp_path: Path) -> None:
    module = make("x*sigmoid(beta[1.0]*x)")
    with torch.no_grad():
        module.beta.fill_(1.5)
    assert export(module, "text", tmp_path / "it.txt").read_text() == "x*sigmoid(1.5*x)\n"


def test_channels_that_learned_different_functions_are_not_one_formula(tmp_path: Path) -> None:
    module = make("prelu", n_channels=2)
    with torch.no_grad():
        next(module.parameters())[1] = 0.5
    with pytest.raises(ExportError, match="one for each channel"):
        export(module, "text", tmp_path / "it.txt")


def test_a_study_is_exported_with_its_normalising_map(result: StudyResult, tmp_path: Path) -> None:
    written = parse(export(result, "text", tmp_path / "it.txt").read_text())
    assert written == make(result.best, normalise=True).expr
    assert written != to_expr(result.best)


def test_the_points_of_comparison_reach_both_tails() -> None:
    assert POINTS.min() == -1e3
    assert POINTS.max() == 1e3
    assert (np.abs(POINTS) < 1e-5).sum() >= 3
