"""An ONNX model of one node, which calls a function in standard operations: for any runtime, in float32 or float64.

The function takes the type of its input, as ONNX's own functions do; parameters are the model's initializers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import sympy
from scipy import special

import actsearch
from actsearch.errors import MissingExtraError
from actsearch.expr import portable
from actsearch.expr.expand import expand
from actsearch.expr.graph import Node, Program
from actsearch.expr.parameters import parameters_of
from actsearch.expr.program import lower
from actsearch.expr.text import format
from actsearch.report.exporters._evaluate import Array, Function

SUFFIX = ".onnx"
EXTRA = "onnx"
OPSET = 18
DOMAIN = "actsearch"
_DOUBLE = 11  # TensorProto.DOUBLE
_SHAPE = ("batch", "channel")

_LACKING = frozenset({"raw_erfc", "raw_erfcx", "raw_i0e", "raw_i1e", "raw_expm1", "log1p"})
_OPERATORS = {
    **{"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div", "plus": "Add", "minus": "Sub", "times": "Mul"},
    **{"neg": "Neg", "abs": "Abs", "sign": "Sign", "floor": "Floor", "round": "Round", "sqrt": "Sqrt"},
    **{"maximum": "Max", "minimum": "Min", "lt": "Less", "le": "LessOrEqual", "eq": "Equal"},
    **{"and": "And", "or": "Or", "not": "Not", "select": "Where", "raw_power": "Pow"},
    **{"raw_exp": "Exp", "log": "Log", "erf": "Erf", "raw_sin": "Sin", "raw_cos": "Cos", "tan": "Tan"},
    **{"sinh": "Sinh", "cosh": "Cosh", "tanh": "Tanh", "asin": "Asin", "acos": "Acos", "atan": "Atan"},
    **{"asinh": "Asinh", "acosh": "Acosh", "atanh": "Atanh"},
    # ONNX cannot take bits apart: the rest is then rounding error instead of what rounding lost, and as small
    "head": "Identity",
}


def export(expr: sympy.Expr, path: Path) -> Path:
    """Write the model: input ``x`` of shape (batch, channel) in float32, output ``y``; initializers are the parameters.

    A parameter of each channel is an initializer of shape (1,), to be replaced by one of shape (channel,). The graph
    has two dimensions since a graph must have a number of them; the function serves any.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    onnx = _onnx()
    helper, kind = onnx.helper, onnx.TensorProto.FLOAT
    program, parameters = lower(expr), parameters_of(expr)
    name = re.sub(r"\W", "_", path.stem)
    ops = portable.needed({name: program}, _LACKING)
    functions = [_function(helper, op.removeprefix("raw_"), portable.definition(op)) for op in ops]
    functions.append(_function(helper, name, program))
    starts = [
        helper.make_tensor(p.name, kind, (1,) if p.granularity == "channel" else (), [p.start]) for p in parameters
    ]
    graph = helper.make_graph(
        [helper.make_node(name, ["x", *(p.name for p in parameters)], ["y"], domain=DOMAIN)],
        name,
        [helper.make_tensor_value_info("x", kind, _SHAPE)],
        [helper.make_tensor_value_info("y", kind, _SHAPE)],
        initializer=starts,
        doc_string=f"f(x) = {format(expr)}",
    )
    model = helper.make_model(
        graph,
        functions=functions,
        opset_imports=_opsets(helper),
        producer_name="actsearch",
        producer_version=actsearch.__version__,
        ir_version=8,
    )
    onnx.checker.check_model(model)
    onnx.save_model(model, str(path))
    return path


def load(path: Path) -> Function:
    """Return the model's function in float64, computed by ONNX's own reference evaluator.

    Raises:
        MissingExtraError: onnx is not installed.
    """
    onnx = _onnx()
    from onnx.inliner import inline_local_functions
    from onnx.reference import ReferenceEvaluator

    model = onnx.load_model(str(path))
    for value in (*model.graph.input, *model.graph.output):
        value.type.tensor_type.elem_type = onnx.TensorProto.DOUBLE
    names = [start.name for start in model.graph.initializer]
    del model.graph.initializer[:]
    for name in names:
        model.graph.input.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.DOUBLE, None))
    # functions would not see our erf
    evaluator = ReferenceEvaluator(inline_local_functions(model), new_ops=[_double_erf()])

    def function(points: Array, *values: float) -> Array:
        given = dict(zip(names, (np.float64(value).reshape(()) for value in values), strict=True))
        with np.errstate(all="ignore"):
            (result,) = evaluator.run(None, {"x": np.asarray(points, dtype=np.float64)[None], **given})
        return np.asarray(result[0], dtype=np.float64)

    return function


def _function(helper: Any, name: str, program: Program) -> Any:
    """Return the function ``name`` of inputs x and the parameters, and output y, as ONNX's model-local function."""
    basic = expand(program)
    nodes: list[Any] = []
    names: list[str] = []
    for number, node in enumerate(basic.nodes):
        names.append(_name(node, number))
        nodes.extend(_nodes(helper, node, names))
    result = names[basic.outputs[0]]
    # a result that does not depend on x gets its shape, as one that is x itself gets a name of its own
    nodes += [
        helper.make_node("Shape", ["x"], ["shape"]),
        helper.make_node("Expand", [result, "shape"], ["y"]),
    ]
    return helper.make_function(DOMAIN, name, ["x", *basic.parameter_names], ["y"], nodes, _opsets(helper))


def _nodes(helper: Any, node: Node, names: Sequence[str]) -> list[Any]:
    output = names[-1]
    if node.op in ("x", "parameter"):
        return []
    if node.op == "constant":
        tensor = helper.make_tensor("value", _DOUBLE, (), [_number(node)])
        return [
            helper.make_node("Constant", [], [f"{output}_double"], value=tensor),
            helper.make_node("CastLike", [f"{output}_double", "x"], [output]),
        ]
    inputs = [names[i] for i in node.args]
    if node.op in _LACKING:
        return [helper.make_node(node.op.removeprefix("raw_"), inputs, [output], domain=DOMAIN)]
    return [helper.make_node(_OPERATORS[node.op], inputs, [output])]


def _number(node: Node) -> float:
    return float(node.value)  # type: ignore[arg-type]


def _name(node: Node, number: int) -> str:
    if node.op == "x":
        return "x"
    return str(node.value) if node.op == "parameter" else f"v.{number}"


def _double_erf() -> type:
    """Return erf for the reference evaluator, whose own rounds to float32."""
    from onnx.reference.op_run import OpRun

    class Erf(OpRun):
        op_domain = ""

        def _run(self, x: Array) -> tuple[Array]:
            return (np.asarray(special.erf(x)),)

    return Erf


def _opsets(helper: Any) -> list[Any]:
    return [helper.make_opsetid("", OPSET), helper.make_opsetid(DOMAIN, 1)]


def _onnx() -> Any:
    try:
        import onnx
        import onnx.checker
        import onnx.reference
    except ImportError:
        raise MissingExtraError("onnx", EXTRA) from None
    return onnx
