"""What the collector says of a recording whose structure is wrong."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pytest

from golden.attention import attention
from golden.files.tensors import TensorFile
from latte_hw.config import LatteConfig
from latte_hw.config.errors import MismatchError
from latte_hw.emit import head as emit
from sim.head import amaranth_bench
from sim.head.collect import Arrays, collect
from sim.head.harness import HeadHarness
from sim.head.traffic import Traffic
from sim.lib.layout import Description, to_raw
from sim.lib.recording import Beats, Recording
from sim.simulate import compare


@dataclass
class Run:
    tensors: TensorFile
    description: Description
    recording: Recording

    def collect(self) -> Arrays:
        return collect(self.recording, self.description, Traffic.from_tensors(self.tensors))

    def altered(self, port: str, change: Callable[[dict[str, np.ndarray]], object]) -> "Run":
        """The run with the fields of one port's beats changed."""
        beats, layout = self.recording.beats[port], self.description.ports[port]
        fields = layout.unpack(beats.raw)
        change(fields)
        raw = to_raw(layout.pack(fields), layout.bytes)
        return self._with(port, Beats(raw, np.resize(beats.cycles, len(raw))))

    def without(self, port: str, index: int) -> "Run":
        beats = self.recording.beats[port]
        return self._with(port, Beats(np.delete(beats.raw, index, 0), np.delete(beats.cycles, index)))

    def _with(self, port: str, beats: Beats) -> "Run":
        old = self.recording
        return Run(
            self.tensors,
            self.description,
            Recording(old.cycles, old.counters, old.beats | {port: beats}, old.accepted),
        )


@pytest.fixture(scope="module")
def right(tiny: LatteConfig, trace: Callable[..., TensorFile]) -> Run:
    tensors = trace()
    head = emit.build_head(tiny, taps=True)
    description = Description.from_json(emit.describe(head))
    return Run(
        tensors,
        description,
        amaranth_bench.run(head, HeadHarness(description, Traffic.from_tensors(tensors))),
    )


def set_at(name: str, index: int, value: int) -> Callable[[dict[str, np.ndarray]], None]:
    def change(fields: dict[str, np.ndarray]) -> None:
        fields[name][index] = value

    return change


def test_a_recording_survives_its_file(right: Run, tmp_path, tiny: LatteConfig):
    right.recording.save(tmp_path / "recording.npz")
    loaded = Run(right.tensors, right.description, Recording.load(tmp_path / "recording.npz"))
    got = loaded.collect()
    assert compare(attention(right.tensors, tiny), got) is None
    assert all((array == got[name]).all() for name, array in right.collect().items())


@pytest.mark.parametrize("port", ["o_out", "tap_estimate", "tap_kept", "tap_score", "tap_prob"])
def test_a_lost_last_beat(port: str, right: Run):
    with pytest.raises(MismatchError, match=f"{port}.* 11 rows.*not 12"):
        right.without(port, -1).collect()


def test_a_lost_beat_within_a_row(right: Run):
    fields = right.description.ports["tap_estimate"].unpack(right.recording.beats["tap_estimate"].raw)
    beat = int(np.flatnonzero(fields["last"] == 0)[0])
    with pytest.raises(MismatchError, match="tap_estimate: head 0, query 0: left a key out: key 0"):
        right.without("tap_estimate", beat).collect()


def test_a_key_beyond_the_last(right: Run):
    kept = right.description.ports["tap_kept"].unpack(right.recording.beats["tap_kept"].raw)["kept"]
    item = int(np.flatnonzero(kept)[0])
    with pytest.raises(MismatchError, match="tap_kept: head 0, query 0, key 31 is beyond the 9 keys"):
        right.altered("tap_kept", set_at("key", item, 31)).collect()


def test_a_key_twice(right: Run):
    def repeat(fields: dict[str, np.ndarray]) -> None:
        item = int(np.flatnonzero(fields["kept"])[0])
        for name, column in fields.items():
            fields[name] = np.insert(column, item, column[item], 0)
        fields["last"][item] = 0

    with pytest.raises(MismatchError, match=r"tap_score: head 0, query 0, key .* delivered more than once"):
        right.altered("tap_score", repeat).collect()


@pytest.mark.parametrize("port", ["tap_score", "tap_prob"])
def test_a_kept_key_that_a_later_stage_loses(port: str, right: Run):
    kept = right.description.ports[port].unpack(right.recording.beats[port].raw)["kept"]
    item = int(np.flatnonzero(kept)[-1])
    with pytest.raises(MismatchError, match=f"{port}: head 1, query 5: left a key out"):
        right.altered(port, set_at("kept", item, 0)).collect()


def test_an_estimate_that_changes_on_the_way(right: Run):
    fields = right.description.ports["tap_kept"].unpack(right.recording.beats["tap_kept"].raw)
    item = int(np.flatnonzero(fields["kept"])[0])
    wrong = int(fields["estimate"][item]) ^ 1
    with pytest.raises(MismatchError, match=f"tap_kept: head 0, query 0, key .* carries estimate {wrong}, not"):
        right.altered("tap_kept", set_at("estimate", item, wrong)).collect()


def test_a_job_that_ends_early(right: Run):
    with pytest.raises(MismatchError, match="o_out: `last` of head 0, query 2 is 1"):
        right.altered("o_out", set_at("last", 2, 1)).collect()


def test_counters_wrap(right: Run, tiny: LatteConfig):
    port = right.description.ports["o_counters"]
    samples = port.unpack(right.recording.counters)
    width = port.field("kept").width
    samples["kept"] = (samples["kept"] - samples["kept"][-1] + 3) % (1 << width)
    old = right.recording
    wrapped = Recording(old.cycles, to_raw(port.pack(samples), port.bytes), old.beats, old.accepted)
    got = Run(right.tensors, right.description, wrapped).collect()
    assert compare(attention(right.tensors, tiny), got) is None
