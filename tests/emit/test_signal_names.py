"""Names of signals in the emitted Verilog: the same whatever Python emits it, and none made up by Amaranth."""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SOURCES = sorted((ROOT / "latte_hw").rglob("*.py"))
NAMED_BY_ASSIGNMENT = ("Signal", "Signal.like", "ClockDomain", "read_port", "write_port", "create")
"""Calls for which Amaranth looks into the caller's bytecode for a variable that takes the result."""


def takes_name(call: ast.Call) -> bool:
    """Whether Amaranth names the result after a variable unless it is given a name."""
    if isinstance(call.func, ast.Attribute):
        return call.func.attr in NAMED_BY_ASSIGNMENT or ast.unparse(call.func) in NAMED_BY_ASSIGNMENT
    return isinstance(call.func, ast.Name) and call.func.id in NAMED_BY_ASSIGNMENT


def nameless(source: str) -> list[str]:
    """Calls whose result gets no name, or on some version of Python: `line: code`.

    The bytecode behind a call shows a name only if the statement is `name = call` or `a.name = call`. Python 3.13
    joins two stores, or a store and a load, of one statement in one instruction, which Amaranth does not know.
    """
    tree = ast.parse(source)
    assigned: set[ast.expr] = set()
    for node in ast.walk(tree):
        targets = (
            node.targets if isinstance(node, ast.Assign) else [node.target] if isinstance(node, ast.AnnAssign) else []
        )
        if len(targets) == 1 and isinstance(targets[0], ast.Name | ast.Attribute) and node.value is not None:
            assigned.add(node.value)
    return [
        f"{node.lineno}: {ast.unparse(node)}"
        for node in ast.walk(tree)
        if isinstance(node, ast.Call)
        and takes_name(node)
        and node not in assigned
        and not any(keyword.arg in ("name", "path") for keyword in node.keywords)
    ]


@pytest.mark.parametrize(
    "statement",
    [
        "a, b = Signal(), Signal()",
        "a = b = Signal()",
        "a = [Signal() for _ in range(2)]",
        "a, b = (Signal.like(c) for _ in range(2))",
        "f(a := Signal())",
        "a = Signal() if c else None",
        "a[0] = Signal()",
        "write, read = ram.write_port(), ram.read_port()",
        "return_(stream.Signature(8).create())",
    ],
)
def test_a_signal_that_no_statement_names_is_found(statement: str) -> None:
    assert nameless(statement)


@pytest.mark.parametrize(
    "statement",
    [
        "a = Signal()",
        "self.a = Signal(8, init=1)",
        "a: Signal = Signal()",
        'a, b = Signal(name="a"), Signal.like(c, name="b")',
        "read = ram.read_port(domain='comb')",
        "total = like(Signal)",
    ],
)
def test_a_signal_that_is_named_passes(statement: str) -> None:
    assert not nameless(statement)


def test_every_signal_is_named_by_its_statement_or_by_name() -> None:
    found = [f"{path.relative_to(ROOT)}:{call}" for path in SOURCES for call in nameless(path.read_text())]
    assert not found, "\n".join(["one signal per statement, or name=:", *found])
