"""The comparison of netlists: what it calls the same is, and every kind of change is found."""

import json
from pathlib import Path

import pytest

from latte_hw.config.errors import LatteError
from latte_hw.synth.tools import YOSYS, run
from sim.reports import same_logic
from sim.reports.netlist_graph import Graph, compare, graph_of

CORE = """\
// by one generator
module unit(clk, i, o);
  input clk;
  input [3:0] i;
  output [3:0] o;
  reg [3:0] held = 4'h0;
  always @(posedge clk) held <= held + i;
  assign o = held;
endmodule
module core(clk, a, b, where, y, z);
  input clk;
  input [3:0] a, b;
  input [1:0] where;
  output [3:0] y, z;
  wire [3:0] left, right;
  reg [3:0] words [3:0];
  initial begin : zero
    integer word;
    for (word = 0; word < 4; word = word + 1)
      words[word] = 4'h0;
  end
  always @(posedge clk) if (where[0]) words[where] <= left;
  unit first(.clk(clk), .i(a), .o(left));
  unit second(.clk(clk), .i(b), .o(right));
  assign y = left - right;
  assign z = words[a[1:0]] ^ words[b[1:0]];
endmodule
"""

RENAMED = """\
// by another
module core(clk, a, b, where, y, z);
  input clk;
  input [3:0] a, b;
  input [1:0] where;
  output [3:0] y, z;
  reg [3:0] n1 = 4'h0;
  reg [3:0] n2 = 4'h0;
  wire [3:0] second = words[b[1:0]];
  wire [3:0] first = words[a[1:0]];
  always @(posedge clk) n2 <= n2 + b;
  always @(posedge clk) n1 <= n1 + a;
  reg [3:0] words [3:0];
  initial begin
    words[0] = 4'h0;
    words[1] = 4'h0;
    words[2] = 4'h0;
    words[3] = 4'h0;
  end
  always @(posedge clk) if (where[0]) words[where] <= n1;
  assign y = n1 - n2;
  assign z = first ^ second;
endmodule
"""


def verdict(folder: Path, before: str, after: str) -> same_logic.Verdict:
    for name, text in (("before.v", before), ("after.v", after)):
        (folder / name).write_text(text)
    return same_logic.same_logic(folder / "before.v", folder / "after.v", "core")


def test_equal_code_needs_no_yosys(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YOSYS", "no-such-program")
    assert verdict(tmp_path, CORE, CORE.replace("one generator", "its next version")).words == "same bytes"


def test_names_hierarchy_and_order_do_not_matter(tmp_path: Path) -> None:
    assert verdict(tmp_path, CORE, RENAMED).words == "same netlist"


MERGED = "a copy that is merged"
CHANGES: dict[str, tuple[str, str] | None] = {  # what is changed: by what, and an output that shows it
    MERGED: None,
    "held + i": ("held - i", "y"),
    "held = 4'h0": ("held = 4'h8", "y"),
    "word < 4;": ("word < 3;", "z"),
    "left - right": ("right - left", "y"),
    "posedge clk) if (where[0])": ("posedge clk) if (where[1])", "z"),
    "where[0])": ("!where[0])", "z"),
    "a[1:0]] ^": ("a[2:1]] ^", "z"),
    "words[where] <= left": ("words[where] <= {left[2:0], left[3]}", "z"),
}


@pytest.fixture(scope="module")
def variants(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Graph]:
    """Graphs of the core, by the change; the core as it is under its own name. All in one run of Yosys."""
    twice = CORE.replace("unit second(", "wire [3:0] copy; unit again(.clk(clk), .i(a), .o(copy));\n  unit second(")
    texts = {"core": CORE, MERGED: twice.replace("left - right", "copy - right")}
    for old, change in CHANGES.items():
        if change:
            assert old in CORE
            texts[old] = CORE.replace(old, change[0])
    numbered = [
        text.replace("unit ", f"unit_{number} ")
        .replace("unit(", f"unit_{number}(")
        .replace("module core", f"module m{number}")
        for number, text in enumerate(texts.values())
    ]
    folder = tmp_path_factory.mktemp("variants")
    (folder / "all.v").write_text("".join(map(same_logic._zeros_marked, numbered)))
    script = [
        "read_verilog all.v",
        *(one for one in same_logic.FLATTEN if "hierarchy" not in one),
        "write_json all.json",
    ]
    run(YOSYS, ["-q", "-p", "; ".join(script)], folder, ["all.json"])
    modules = json.loads((folder / "all.json").read_text())["modules"]
    return {name: graph_of(modules[f"m{number}"]) for number, name in enumerate(texts)}


def test_a_merged_copy_is_the_same_logic(variants: dict[str, Graph]) -> None:
    found = compare(variants["core"], variants[MERGED])
    assert (found.same_logic, found.isomorphic) == (True, False)
    assert found.cells[1] == found.cells[0] + 2


@pytest.mark.parametrize("change", [change for change in CHANGES if change != MERGED])
def test_a_change_is_found_and_located(variants: dict[str, Graph], change: str) -> None:
    found = compare(variants["core"], variants[change])
    assert not found.same_logic
    assert not found.isomorphic
    _, output = CHANGES[change] or ("", "")
    assert output in found.outputs
    assert all(line.startswith(("only before: $", "only after: $")) for line in found.first)


def test_zeros_are_marked_in_whole_memories_only() -> None:
    loop = (
        "  reg [3:0] w [7:0];\n  initial begin : a\n    integer word;\n    for (word = 0; word < 8; word = word + 1)\n"
    )
    loop += "      w[word] = 4'h0;\n  end\n"
    lines = "  reg [3:0] w [1:0];\n  initial begin\n    w[0] = 4'h0;\n    w[1] = 4'h0;\n  end\n"
    assert same_logic._zeros_marked(loop) == "  (* holds_zeros *)\n  reg [3:0] w [7:0];\n"
    assert same_logic._zeros_marked(lines) == "  (* holds_zeros *)\n  reg [3:0] w [1:0];\n"
    for kept in (
        loop.replace("word < 8", "word < 7"),
        lines.replace("[1:0];", "[2:0];"),
        lines.replace("1] = 4'h0", "1] = 4'h1"),
    ):
        assert same_logic._zeros_marked(kept) == kept


def test_folders_are_compared_file_by_file(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, text in (("before", CORE), ("after", CORE), ("other", CORE.replace("left - right", "left + right"))):
        (tmp_path / name / "sub").mkdir(parents=True)
        (tmp_path / name / "sub" / "core.v").write_text(text)
    before, after, other = (str(tmp_path / name) for name in ("before", "after", "other"))
    assert same_logic.main([before, after]) == 0
    assert same_logic.main([before, other, "--top", "core"]) == 1
    printed = capsys.readouterr().out
    assert "sub/core.v: same bytes" in printed
    assert "outputs that differ: y" in printed
    assert "only after: $add" in printed


def test_nothing_to_compare_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(LatteError, match="must be two files, or folders that share"):
        same_logic.pairs(tmp_path, tmp_path)
