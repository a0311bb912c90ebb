"""What the written files are like in their own surroundings: other types, gradients, weights, missing libraries."""

from __future__ import annotations

import ctypes
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from actsearch import plugins
from actsearch.cli import main
from actsearch.errors import ExportError, MissingExtraError
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import evaluate, lower
from actsearch.expr.resolve import to_expr
from actsearch.report.export import FORMATS, export

SPEC = "gamma[0.3, unit]*x*sigmoid(beta[1.0, positive, channel]*x)"
POINTS = np.concatenate([np.linspace(-20, 20, 401), [-1e3, -1e2, 1e2, 1e3]])


def run(script: str, folder: Path, **environment: str) -> str:
    done = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", "-c", script],
        cwd=folder, capture_output=True, text=True, env={**os.environ, **environment},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def hide(monkeypatch: pytest.MonkeyPatch, *names: str) -> None:
    for name in names:
        monkeypatch.setitem(sys.modules, name, None)


class TestNumPy:
    def test_needs_numpy_only_and_keeps_types(self, tmp_path: Path) -> None:
        export(SPEC, "numpy", tmp_path / "best.py")
        script = """
import sys
sys.modules["actsearch"] = sys.modules["scipy"] = sys.modules["torch"] = None
import numpy as np
from best import activation, derivatives, start
x = np.linspace(-1e4, 1e4, 12).reshape(3, 4)
for dtype in (np.float16, np.float32, np.float64):
    y, slopes = activation(x.astype(dtype)), derivatives(x.astype(dtype))
    assert y.dtype == dtype and all(s.dtype == dtype and s.shape == x.shape for s in slopes)
    assert np.isfinite(y).all() and all(np.isfinite(s).all() for s in slopes)
assert activation(3).shape == () and activation(np.arange(4)).dtype == np.float64
assert activation(x, beta=np.arange(1.0, 5.0)).shape == x.shape
print(start)
"""
        assert run(script, tmp_path) == "{'beta': 1.0, 'gamma': 0.3}"

    def test_derivatives_in_parameters(self, tmp_path: Path) -> None:
        path = export("x*sigmoid(beta[1.0]*x) + erf(alpha[0.5]*x)", "numpy", tmp_path / "best.py")
        content: dict[str, object] = {}
        exec(compile(path.read_text(), str(path), "exec"), content)
        f, slopes = content["activation"], content["derivatives"]
        x, step = np.linspace(-3, 3, 7), 1e-6
        for place, moved in enumerate([(x + step, 0.5, 1.0), (x, 0.5 + step, 1.0), (x, 0.5, 1.0 + step)]):
            numeric = (f(*moved) - f(x, 0.5, 1.0)) / step  # type: ignore[operator]
            assert np.allclose(slopes(x, 0.5, 1.0)[place], numeric, atol=1e-5)  # type: ignore[operator]


@pytest.mark.skipif(shutil.which("cc") is None, reason="needs a C compiler")
class TestC:
    def test_float_functions_and_derivatives_in_parameters(self, tmp_path: Path) -> None:
        path = export("double[0.5]*x*normal_cdf(x)", "c", tmp_path / "best.h")
        assert "#define best_double_START 0.5" in path.read_text()
        driver = tmp_path / "driver.c"
        names = ("value", "derivative", "derivative_double")
        driver.write_text(
            '#include "best.h"\n'
            + "".join(f"float {name}(float x, float p) {{ return best_{name}f(x, p); }}\n" for name in names)
        )
        library = tmp_path / "driver.so"
        subprocess.run(["cc", "-shared", "-fPIC", str(driver), "-o", str(library), "-lm"], check=True)
        x = POINTS.astype(np.float32)
        phi = evaluate(lower(to_expr("normal_cdf(x)")), x)
        density = np.exp(-0.5 * x.astype(np.float64) ** 2) / np.sqrt(2 * np.pi)
        for name, expected in zip(names, (0.5 * x * phi, 0.5 * (phi + x * density), x * phi), strict=True):
            function = getattr(ctypes.CDLL(str(library)), name)
            function.restype, function.argtypes = ctypes.c_float, [ctypes.c_float] * 2
            actual = np.array([function(value, 0.5) for value in x])
            assert np.allclose(actual, expected, rtol=2e-5, atol=1e-30), name

    def test_a_name_that_is_no_identifier(self, tmp_path: Path) -> None:
        path = export("tanh", "c", tmp_path / "2 tanh-like.h")
        assert "_2_tanh_like_value(double x)" in path.read_text()


def test_without_a_compiler_c_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugins.load(FORMATS, "c"), "c_compiler", lambda: None)
    with pytest.raises(ExportError, match=r"no C compiler was found .*check=False"):
        export("silu", "c", tmp_path / "it.h")
    assert list(tmp_path.iterdir()) == []
    assert export("silu", "c", tmp_path / "it.h", check=False).is_file()


def test_the_command_line_says_when_nothing_was_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["export", "silu", "--format", "jax", "--out", str(tmp_path / "it.py"), "--check", "false"]
    assert main(words) == 0
    assert "not compared" in capsys.readouterr().out


@pytest.mark.parametrize("format", ["jax", "keras"])
def test_a_target_that_is_not_installed_is_one_sentence(
    format: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    hide(monkeypatch, format)
    with pytest.raises(ExportError, match=rf"{format!r} is not installed: pip install 'actsearch\[{format}\]'"):
        export("silu", format, tmp_path / "it.py")
    assert list(tmp_path.iterdir()) == []
    assert export("silu", format, tmp_path / "it.py", check=False).is_file()


def test_onnx_cannot_be_written_without_onnx(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hide(monkeypatch, "onnx")
    with pytest.raises(MissingExtraError, match=r"actsearch\[onnx\]"):
        export("silu", "onnx", tmp_path / "it.onnx", check=False)


@pytest.mark.slow
def test_jax_transforms(tmp_path: Path) -> None:
    export(SPEC, "jax", tmp_path / "best.py")
    script = """
import sys
sys.modules["actsearch"] = sys.modules["torch"] = None
import jax, jax.numpy as jnp
from jax.test_util import check_grads
from best import activation, start
x = jnp.linspace(-3, 3, 12).reshape(3, 4)
with jax.enable_x64(True):
    check_grads(activation, (jnp.linspace(-3, 3, 7), 1.5, 0.3), order=2, modes=["fwd", "rev"])
wide = jnp.linspace(-1e4, 1e4, 101)
assert jnp.isfinite(jax.vmap(jax.grad(activation))(wide)).all()
slopes = jax.jit(jax.grad(lambda p: activation(x, **p).sum()))({**start, "beta": jnp.ones(4)})
assert slopes["beta"].shape == (4,) and slopes["gamma"].shape == ()
for dtype in (jnp.bfloat16, jnp.float16, jnp.float32):
    assert jax.jit(activation)(wide.astype(dtype)).dtype == dtype
print("done")
"""
    assert run(script, tmp_path) == "done"


KERAS = """
import sys
sys.modules["actsearch"] = None
import numpy as np, keras
from best import Activation
from plain import Activation as Plain, activation
x = np.linspace(-4, 4, 24).astype("float32").reshape(2, 3, 4)
layer = Activation()
y = keras.ops.convert_to_numpy(layer(x))
assert np.allclose(y, 0.3 * x / (1 + np.exp(-x)), atol=1e-6)
assert [(w.name, tuple(w.shape)) for w in layer.weights] == [("raw_beta", (4,)), ("raw_gamma", ())]
layers = [keras.layers.Dense(4, activation=activation), layer, Plain(), keras.layers.Dense(1)]
net = keras.Sequential([keras.Input((3, 4)), *layers])
if keras.backend.backend() != "numpy":
    net.compile("sgd", "mse")
    before = [keras.ops.convert_to_numpy(w).copy() for w in layer.weights]
    net.fit(x, x[..., :1], epochs=1, verbose=0)
    assert all((keras.ops.convert_to_numpy(w) != b).any() for w, b in zip(layer.weights, before))
net.save("net.keras")
again = keras.saving.load_model("net.keras")
assert np.allclose(again.predict(x, verbose=0), net.predict(x, verbose=0))
half = keras.ops.convert_to_numpy(Plain(dtype="float16")(x.astype("float16")))
assert half.dtype == np.float16 and np.isfinite(half).all()
print("done")
"""


@pytest.mark.slow
@pytest.mark.parametrize("backend", ["torch", "jax", "numpy"])
def test_keras_layer_on_its_backends(backend: str, tmp_path: Path) -> None:
    export(SPEC, "keras", tmp_path / "best.py", check=False)
    export("gelu", "keras", tmp_path / "plain.py", check=False)
    script = f"import warnings; warnings.simplefilter('ignore')\n{KERAS}"
    done = run(script, tmp_path, KERAS_BACKEND=backend)
    assert done.splitlines()[-1] == "done"


@pytest.mark.slow
def test_keras_tells_when_its_backend_has_no_float64(tmp_path: Path) -> None:
    script = """
import keras, actsearch
try:
    actsearch.export("silu", "keras", "it.py")
except actsearch.ActsearchError as error:
    print(error)
"""
    assert "Keras runs on jax here" in run(script, tmp_path, KERAS_BACKEND="jax")


@pytest.mark.slow
def test_onnx_models_run_in_onnxruntime(tmp_path: Path) -> None:
    """float32, where the tails are finite and right too."""
    import onnxruntime

    from tests.report.test_export import texts

    x = POINTS.astype(np.float32)
    for text in texts():
        model = export(text, "onnx", tmp_path / "it.onnx", check=False)
        session = onnxruntime.InferenceSession(str(model), providers=["CPUExecutionProvider"])
        (y,) = session.run(None, {"x": x[None]})
        starts = [parameter.start for parameter in parameters_of(to_expr(text))]
        expected = evaluate(lower(to_expr(text)), x, starts)
        comparable = np.isfinite(expected) & (np.abs(expected) < 1e30)
        # sin(30 x) is as far off as float32 rounds 30 x
        assert np.allclose(y[0][comparable], expected[comparable], rtol=1e-4, atol=5e-5), text


@pytest.mark.slow
def test_onnx_initializers_are_the_parameters(tmp_path: Path) -> None:
    import onnx

    model = onnx.load(str(export(SPEC, "onnx", tmp_path / "best.onnx")))
    found = {tensor.name: onnx.numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert found["beta"].shape == (1,)
    assert found["gamma"] == np.float32(0.3)
    assert [node.op_type for node in model.graph.node] == ["best"]
    onnx.checker.check_model(model, full_check=True)
