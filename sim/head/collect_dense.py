"""From a recording of the dense core to the arrays of :mod:`golden.dense`: its stages come block by block."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latte_hw.config.errors import MismatchError
from latte_hw.params import ceil_div
from sim.head.collect import Arrays, Collector
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.recording import Recording


def collect_dense(
    recording: Recording, description: Description, traffic: Traffic, *, back_to_back: bool = False
) -> Arrays:
    """What the core produced: as :func:`sim.head.collect.collect` has it, but without ``estimate``."""
    return DenseCollector(recording, description, traffic).arrays(back_to_back)


@dataclass(frozen=True)
class DenseCollector(Collector):
    """Item n of a block holds what belongs to key n, for each of the block's queries."""

    def stages(self) -> Arrays:
        seen, score = self._block_items("tap_score", "scores")
        weighed, prob = self._block_items("tap_prob", "probs")
        valid = np.tile(self.traffic.valid(self.description.config.causal), (self.traffic.heads, 1))
        self.check_same("tap_score", seen, valid)
        self.check_same("tap_prob", weighed | valid, valid)  # a valid key may weigh 0 too
        shape = (self.traffic.heads, self.traffic.queries, self.traffic.keys)
        return {
            "keep": seen.reshape(shape),
            "score": score.astype(np.int32).reshape(shape),
            "prob": prob.astype(np.uint16).reshape(shape),
        }

    def _block_items(self, tap: str, value: str) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which pairs a tap marks as kept (or, if it marks none, gives a value other than 0), and their values.

        Both of shape (rows, keys).
        """
        fields = self.description.ports[tap].unpack(self.recording.beats[tap].raw)
        packed, queries = self.description.config.queries_per_scan, self.traffic.queries
        blocks_per_head = ceil_div(queries, packed)
        last = fields["last"]
        blocks = self.traffic.heads * blocks_per_head
        if (ends := int(last.sum())) != blocks or (len(last) and not last[-1]):
            raise MismatchError(f"{tap}: {ends} blocks ended, not {blocks}")
        block = np.cumsum(last) - last
        items = np.arange(len(last))
        key = items - np.maximum.accumulate(np.where(np.concatenate([[1], last[:-1]]), items, 0))
        query = (block % blocks_per_head)[:, None] * packed + np.arange(packed)  # (items, B)
        row = (block // blocks_per_head)[:, None] * queries + query
        values = fields[value].reshape(query.shape)
        taken = fields["kept"].reshape(query.shape).astype(bool) if "kept" in fields else values != 0
        if len(beyond := np.flatnonzero((taken & (query >= queries)).any(axis=1))):
            raise MismatchError(f"{tap}: block {block[beyond[0]]} holds a query that there is not")
        keys = np.broadcast_to(key[:, None], query.shape)
        return self.scatter(tap, row[taken], keys[taken], values[taken])
