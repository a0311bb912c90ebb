"""Activations in a model that torch.fx has traced: its graph is edited, not its generated code."""

from __future__ import annotations

from torch import fx, nn

from actsearch.nn.known import BY_METHOD
from actsearch.nn.surgery.selection import Selection


def find_nodes(module: fx.GraphModule, chosen: Selection) -> tuple[list[fx.Node], list[str]]:
    """Return the nodes that call a selected activation, and the labels of those left alone."""
    selected: list[fx.Node] = []
    left: list[str] = []
    for node in module.graph.nodes:
        label = _label(node, chosen)
        if label is None:
            continue
        if label in chosen.labels or (callable(node.target) and chosen.has(node.target)):
            selected.append(node)
        else:
            left.append(label)
    return selected, left


def replace_node(module: fx.GraphModule, node: fx.Node, name: str, activation: nn.Module) -> None:
    """Let a submodule take a node's place."""
    module.add_module(name, activation)
    argument = node.args[0] if node.args else node.kwargs["input"]
    with module.graph.inserting_before(node):
        node.replace_all_uses_with(module.graph.call_module(name, (argument,)))
    module.graph.erase_node(node)
    module.recompile()


def _label(node: fx.Node, chosen: Selection) -> str | None:
    if node.op == "call_function":
        return chosen.label(node.target)
    if node.op == "call_method" and str(node.target) in BY_METHOD and len(node.args) == 1 and not node.kwargs:
        return BY_METHOD[str(node.target)].name
    return None
