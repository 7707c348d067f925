"""A flat netlist as a graph without names, and the comparison of two such graphs by partition refinement.

Cells begin in one class. In every round, a cell's class becomes that of its type, its parameters and the classes of
the bits at its inputs; the bits at its outputs follow it. Classes only ever split; when a round splits none, cells of
one class have inputs of one class, port by port, so that they hold equal values in every cycle (a bisimulation). Inputs
of the top module are told apart by their names; registers and memories by what they hold at first.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Hashes = NDArray[np.uint64]

ZEROS = "holds_zeros"
"""Attribute of a memory that is zero at first, in place of contents."""

_IGNORED = {"MEMID"}
_READ_SIGNALS = ("ADDR", "EN", "CLK", "ARST", "SRST")
_READ_OPTIONS = ("CLK_ENABLE", "CLK_POLARITY", "CE_OVER_SRST", "ARST_VALUE", "SRST_VALUE", "INIT_VALUE",
                 "WIDE_CONTINUATION", "TRANSPARENCY_MASK", "COLLISION_X_MASK")  # fmt: skip


def key(*parts: object) -> int:
    """64 bits that stand for the parts."""
    return int.from_bytes(blake2b(repr(parts).encode(), digest_size=8).digest(), "little")


@dataclass
class Graph:
    """Cells with the bits at their ports; every bit is a number. A cell has any number of inputs and outputs."""

    labels: list[str] = field(default_factory=list)
    """Type of every cell, for people."""
    static: list[int] = field(default_factory=list)
    """Key of type, parameters and first contents of every cell."""
    inputs: list[int] = field(default_factory=list)
    """Bits at the inputs of all cells, cell after cell."""
    input_keys: list[int] = field(default_factory=list)
    """Keys of port and index of `inputs`."""
    starts: list[int] = field(default_factory=list)
    """Where the inputs of every cell begin."""
    outputs: list[int] = field(default_factory=list)
    output_keys: list[int] = field(default_factory=list)
    output_cells: list[int] = field(default_factory=list)
    fixed: dict[int, int] = field(default_factory=dict)
    """Bits that no cell drives, and what they are: constants and inputs of the top module."""
    ends: dict[str, list[int]] = field(default_factory=dict)
    """Bits at the outputs of the top module."""
    names: dict[int, str] = field(default_factory=dict)
    """Name of the net of a bit, for people."""
    inits: dict[int, str] = field(default_factory=dict)
    """What a bit is at first, where it is known."""
    bits: int = 0

    def cell(
        self,
        label: str,
        static: object,
        inputs: Mapping[str, Sequence[int]],
        outputs: Mapping[str, Sequence[int]],
    ) -> None:
        """Add a cell."""
        number = len(self.labels)
        self.labels.append(label)
        init = [self.inits.get(bit) for bits in outputs.values() for bit in bits]
        self.static.append(key(label, static, init))
        self.starts.append(len(self.inputs))
        self.inputs.append(0)  # so that none is without
        self.input_keys.append(0)
        for port, bits in inputs.items():
            self.inputs += bits
            self.input_keys += (_bit_key(port, index) for index in range(len(bits)))
        for port, bits in outputs.items():
            self.outputs += bits
            self.output_keys += (_bit_key(port, index) for index in range(len(bits)))
            self.output_cells += [number] * len(bits)

    def new_bit(self) -> int:
        self.bits += 1
        return self.bits - 1

    def name_of(self, cell: int) -> str:
        """Name of the net at the cell's first output."""
        first = int(np.searchsorted(self.output_cells, cell))
        return self.names.get(self.outputs[first], "a net without a name") if first < len(self.outputs) else "no net"


_bit_keys: dict[tuple[str, int], int] = {}


def _bit_key(port: str, index: int) -> int:
    if (port, index) not in _bit_keys:
        _bit_keys[port, index] = key(port, index)
    return _bit_keys[port, index]


def graph_of(module: Mapping[str, Any]) -> Graph:
    """The graph of a flat module of Yosys's JSON, processes turned into cells and memories collected."""
    graph = Graph()
    numbers: dict[int | str, int] = {}

    def number(bit: int | str) -> int:
        if bit not in numbers:
            numbers[bit] = graph.new_bit()
            if isinstance(bit, str):
                graph.fixed[numbers[bit]] = key("constant", bit)
        return numbers[bit]

    for constant in "x01z":
        number(constant)
    for name, net in module["netnames"].items():
        init = net["attributes"].get("init", "")[::-1]
        for index, bit in enumerate(net["bits"]):
            if not isinstance(bit, str):
                if index < len(init) and init[index] in "01":
                    graph.inits[number(bit)] = init[index]
                if not net["hide_name"]:
                    graph.names.setdefault(number(bit), name)
    for name, port in module["ports"].items():
        bits = [number(bit) for bit in port["bits"]]
        if port["direction"] == "output":
            graph.ends[name] = bits
        else:
            graph.fixed |= {bit: key("input", name, index) for index, bit in enumerate(bits)}
    for cell in module["cells"].values():
        ports = {port: [number(bit) for bit in bits] for port, bits in cell["connections"].items()}
        parameters = {name: value for name, value in cell["parameters"].items() if name not in _IGNORED}
        if cell["type"] == "$mem_v2":
            _memory(graph, parameters | {ZEROS: str(ZEROS in cell["attributes"])}, ports)
            continue
        directions = cell["port_directions"]
        graph.cell(
            cell["type"],
            sorted(parameters.items()),
            {port: bits for port, bits in ports.items() if directions[port] == "input"},
            {port: bits for port, bits in ports.items() if directions[port] == "output"},
        )
    return graph


def _memory(graph: Graph, parameters: Mapping[str, str], ports: Mapping[str, Sequence[int]]) -> None:
    """A memory as a cell for what it holds, which its write ports change in their order, and a cell per read port."""
    reads, writes, width, address = (int(parameters[name], 2) for name in ("RD_PORTS", "WR_PORTS", "WIDTH", "ABITS"))
    kept = {name: value for name, value in parameters.items() if not name.startswith("RD_")}
    contents = graph.new_bit()
    graph.cell(
        "$mem_v2",
        sorted(kept.items()),
        {port: bits for port, bits in ports.items() if port.startswith("WR_")},
        {"contents": [contents]},
    )
    widths = {"ADDR": address}
    for read in range(reads):
        share = {
            name: parameters[f"RD_{name}"][::-1][_part(len(parameters[f"RD_{name}"]), reads, read)]
            for name in _READ_OPTIONS
            if writes or not name.endswith("MASK")
        }
        inputs = {
            name: ports[f"RD_{name}"][read * widths.get(name, 1) : (read + 1) * widths.get(name, 1)]
            for name in _READ_SIGNALS
        }
        data = ports["RD_DATA"][read * width : (read + 1) * width]
        graph.cell("$memrd", sorted(share.items()), {**inputs, "contents": [contents]}, {"DATA": data})


def _part(length: int, parts: int, number: int) -> slice:
    size = length // parts
    return slice(number * size, (number + 1) * size)


@dataclass(frozen=True)
class Comparison:
    """What two graphs have in common.

    `cells`: number of cells of each. `isomorphic`: every class has as many cells of one as of the other. `same_logic`:
    every output of the one is in the class of the output of the other of the same name, so they are equal in every
    cycle. `outputs`: names of those that are not. `first`: where it begins, up to some lines.
    """

    cells: tuple[int, int]
    rounds: int
    isomorphic: bool
    same_logic: bool
    outputs: tuple[str, ...]
    first: tuple[str, ...]


def compare(before: Graph, after: Graph, most: int = 10) -> Comparison:
    """Refine both graphs together until no class splits."""
    split = len(before.labels)
    refined = _Refined((before, after))
    rounds, classes = 0, 0
    first: tuple[str, ...] = ()
    for cells in refined.rounds():
        rounds += 1
        if not first:
            first = _unmatched(before, after, cells, split, most)
        found = len(np.unique(cells))
        if found == classes:
            break
        classes = found
    wrong = [name for name in sorted({*before.ends, *after.ends}) if not refined.equal_ends(name)]
    isomorphic = not wrong and Counter(cells[:split].tolist()) == Counter(cells[split:].tolist())
    return Comparison((split, len(after.labels)), rounds, isomorphic, not wrong, tuple(wrong), first)


def _unmatched(before: Graph, after: Graph, cells: Hashes, split: int, most: int) -> tuple[str, ...]:
    """Cells of a class that has more of one graph than of the other, where a round has any: its type and its net."""
    one, other = Counter(cells[:split].tolist()), Counter(cells[split:].tolist())
    if one == other:
        return ()
    lines = []
    for graph, offset, surplus, word in ((before, 0, one - other, "before"), (after, split, other - one, "after")):
        left = dict(surplus)
        for number in range(len(graph.labels)):
            found = int(cells[offset + number])
            if left.get(found):
                left[found] -= 1
                lines.append(f"only {word}: {graph.labels[number]} that drives {graph.name_of(number)}")
    return tuple(lines[:most] + ([f"and {len(lines) - most} more cells"] if len(lines) > most else []))


class _Refined:
    """Classes of the bits and cells of several graphs, as 64-bit hashes."""

    def __init__(self, graphs: Sequence[Graph]) -> None:
        self.graphs = graphs
        self.bit_offsets = np.cumsum([0, *(graph.bits for graph in graphs)])
        cells = np.cumsum([0, *(len(graph.labels) for graph in graphs)])
        ins = np.cumsum([0, *(len(graph.inputs) for graph in graphs)])
        self.static = _joined([graph.static for graph in graphs], np.uint64)
        self.inputs = _joined([graph.inputs for graph in graphs], np.int64, self.bit_offsets)
        self.input_keys = _joined([graph.input_keys for graph in graphs], np.uint64)
        self.starts = _joined([graph.starts for graph in graphs], np.int64, ins)
        self.outputs = _joined([graph.outputs for graph in graphs], np.int64, self.bit_offsets)
        self.output_keys = _joined([graph.output_keys for graph in graphs], np.uint64)
        self.output_cells = _joined([graph.output_cells for graph in graphs], np.int64, cells)
        self.bits = np.zeros(self.bit_offsets[-1], np.uint64)
        for graph, offset in zip(graphs, self.bit_offsets, strict=False):
            for bit, init in graph.inits.items():
                self.bits[offset + bit] = key("undriven", init)
            for bit, value in graph.fixed.items():
                self.bits[offset + bit] = value
        self.bits[self.outputs] = 0

    def rounds(self) -> Iterator[Hashes]:
        """Classes of all cells after each round, without end."""
        while True:
            ports = _mixed(self.bits[self.inputs] + self.input_keys)
            cells = _mixed(np.add.reduceat(ports, self.starts) + self.static)
            self.bits[self.outputs] = _mixed(cells[self.output_cells] + self.output_keys)
            yield cells

    def equal_ends(self, name: str) -> bool:
        """Whether the output has equal classes in all graphs."""
        ends = [
            self.bits[np.array(graph.ends.get(name, ()), np.int64) + offset]
            for graph, offset in zip(self.graphs, self.bit_offsets, strict=False)
        ]
        return all(np.array_equal(end, ends[0]) for end in ends)


def _joined(lists: Sequence[Sequence[int]], kind: Any, offsets: Sequence[int] | NDArray[Any] | None = None) -> Any:
    arrays = [np.array(numbers, kind) for numbers in lists]
    if offsets is not None:
        arrays = [array + offset for array, offset in zip(arrays, offsets, strict=False)]
    return np.concatenate(arrays)


def _mixed(values: Hashes) -> Hashes:
    """splitmix64's finaliser: every bit of the result depends on every bit of the value."""
    values = values + np.uint64(0x9E3779B97F4A7C15)
    values = (values ^ (values >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
    values = (values ^ (values >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
    return values ^ (values >> np.uint64(31))
