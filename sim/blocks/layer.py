"""Layers for the multi-head core: random rows, the packets that carry them, and what the golden model makes of them."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from golden.blocks.head import HeadRegisters, HeadResult, run_head
from latte_hw.config.top import TopConfig
from latte_hw.driver.layers import packets_of
from latte_hw.params import HeadParams
from sim.blocks.multihead_bench import MultiHeadBench
from sim.lib.axi_stream import Beat, to_beats

Int8 = NDArray[np.int8]
SCALE = (40000, 17)
"""Softmax scale that gives several keys of a row a weight: random scores of few dimensions lie some octaves apart."""


@dataclass(frozen=True)
class Layer:
    """Rows q8 (H, Nq, D), k8 and v8 (G, Nk, D); one threshold per query head."""

    config: TopConfig
    q8: Int8
    k8: Int8
    v8: Int8
    thresholds: tuple[int, ...]
    causal_offset: int

    @property
    def params(self) -> HeadParams:
        return HeadParams(self.config)

    @property
    def group(self) -> int:
        return len(self.q8) // len(self.k8)

    def registers(self, keep: bool = False) -> dict[str, int]:
        """The fields of the layer that START takes."""
        return {
            "heads": len(self.q8),
            "group": self.group,
            "n_queries": self.q8.shape[1],
            "n_keys": self.k8.shape[1],
            "causal_offset": self.causal_offset,
            "keep": int(keep),
        }

    async def write_table(self, bench: MultiHeadBench) -> None:
        for head, threshold in enumerate(self.thresholds):
            await bench.write_table(head, threshold, *SCALE)

    def send(self, bench: MultiHeadBench) -> None:
        """All packets of the layer."""
        for name, rows in (("q", self.q8), ("k", self.k8), ("v", self.v8)):
            bench.send(f"s_axis_{name}", self.beats(rows))

    def beats(self, rows: Int8) -> list[Beat]:
        """The packets of rows (heads, n, D)."""
        return [beat for packet in packets_of(rows, self.config) for beat in to_beats(packet, self.config.stream_bits)]

    def expected(self) -> list[bytes]:
        """Packets of the output, by the golden model."""
        rows = np.array([self.result(head).out for head in range(len(self.q8))])
        return packets_of(rows.astype(f"<i{self.params.widths.out_bytes}"), self.config)

    def counters(self) -> dict[str, int]:
        """What the core counts, over all heads."""
        totals = sum((self.result(head).counters for head in range(len(self.q8))), start=np.zeros(3, np.int64))
        names = ("keys_seen", "survivors", "kept")
        queries = self.q8.shape[0] * self.q8.shape[1]
        return {"queries": queries} | dict(zip(names, totals.tolist(), strict=True))

    def result(self, head: int) -> HeadResult:
        q, k, v = self.q8[head], self.k8[head // self.group], self.v8[head // self.group]
        result = HeadResult.empty(len(q), *k.shape)
        registers = HeadRegisters(self.thresholds[head], *SCALE)
        run_head(q, k, v, registers, self.causal_offset, self.params, result)
        return result

    def grown(self, q8: Int8, k8: Int8, v8: Int8) -> "Layer":
        """The next step of decoding: a row more of every K and V, one query per head, which sees them all."""
        k, v = np.concatenate([self.k8, k8], axis=1), np.concatenate([self.v8, v8], axis=1)
        return Layer(self.config, q8, k, v, self.thresholds, k.shape[1] - 1)


def draw_layer(
    config: TopConfig,
    seed: int,
    *,
    heads: int = 4,
    group: int = 2,
    n_queries: int = 5,
    n_keys: int = 9,
    causal_offset: int | None = None,
    threshold: int | None = None,
) -> Layer:
    """Random rows over the whole range of int8 elements; thresholds from 0 to the greatest unless one is given."""
    rng = np.random.default_rng(seed)
    params = HeadParams(config)
    greatest = params.widths.threshold_range[1]
    thresholds = [threshold if threshold is not None else [40, 100, greatest, 0][head % 4] for head in range(heads)]
    return Layer(
        config,
        draw_rows(config, rng, heads, n_queries),
        draw_rows(config, rng, heads // group, n_keys, "k"),
        draw_rows(config, rng, heads // group, n_keys, "v"),
        tuple(thresholds),
        n_keys - n_queries if causal_offset is None else causal_offset,
    )


def draw_rows(config: TopConfig, rng: np.random.Generator, heads: int, rows: int, tensor: str = "q") -> Int8:
    greatest = HeadParams(config).widths.greatest(tensor)
    return rng.integers(-128, greatest + 1, (heads, rows, config.head_dim)).astype(np.int8)
