"""How long a multi-head core takes for a step of decoding: a bound on its counter `cycles_busy`."""

from collections.abc import Sequence

from latte_hw.config.top import TopConfig
from latte_hw.params import HeadParams
from latte_hw.params.latency import fifo_latency
from latte_hw.params.widths import ceil_div

PACKET_GAP = 4
"""Cycles that :class:`latte_hw.lib.axi.rows.RowUnpacker` takes for a packet beyond its beats."""

COMMAND_CYCLES = 12
"""Of an APPEND, whatever its size.

Plan, turns (2); a row out of its packet and into the store (5); job, table (3); end of the last packet, `done` (2).
"""


class LayerTiming:
    """Cycles of a :class:`latte_hw.system.multihead.MultiHead` whose streams never stall."""

    def __init__(self, config: TopConfig) -> None:
        self.config = config
        self.params = HeadParams(config)

    @property
    def queue_depth(self) -> int:
        """Of the queues of queries and of output rows: cores work on different heads while packets come in turns."""
        return max(4, self.config.max_keys) if self.config.cores > 1 else 4

    def append_transfer(self, heads: int) -> int:
        """Cycles of a step of decoding that do not depend on its keys, beside those of the queries themselves.

        One row of a query and at most one of K and V per query head come in, one beside the other on three ports; one
        output row per query head goes out.
        """
        row, out = self.config.head_dim, self.config.head_dim * self.params.widths.out_bytes
        beats_in, beats_out = (ceil_div(size, self.config.stream_bytes) for size in (row, out))
        moved = heads * (beats_in + PACKET_GAP) + heads * (beats_out + 1)
        return COMMAND_CYCLES + moved + 2 * fifo_latency(self.queue_depth)

    def decode_constant(self, heads: int) -> int:
        """Cycles of a step of decoding that do not depend on its keys: transfer, preparing a query (F), latencies."""
        return self.append_transfer(heads) + self.params.scan_dot.prepare_cycles + self.params.bounds.latency_constant

    def decode_cycles(self, heads: int, valid_keys: int, kept: Sequence[int], survivors: Sequence[int]) -> int:
        """Bound on the cycles of a step of decoding, from APPEND to the end of its last output packet.

        `heads` query heads in all; `kept` and `survivors` hold the numbers of one core's queries, one for each query
        head of its K/V head: give those of the core that has most to do. Survivors are keys that passed the early
        drop. Of a single query, with d survivors that the final check drops::

            ceil(valid_keys / P) + ceil(min(d, ceil(valid_keys / P)) / R) + 2 * ceil(kept / R) + decode_constant

        The row's best estimate must be known before the final check, its best score before the sum, so a single query
        pays for its kept keys twice: with R = `kept_per_cycle` = 2, a cycle each. Further queries of the core overlap
        and cost `cycles_per_query` each.
        """
        params = self.params
        beats = params.widths.beats(valid_keys)
        dropped = max(min(beats, passed - stays) for passed, stays in zip(survivors, kept, strict=True))
        alone = beats + params.widths.items(dropped) + 2 * params.widths.items(max(kept))
        others = sorted(params.bounds.cycles_per_query(valid_keys, stays, queries=1) for stays in kept)[1:]
        return self.decode_constant(heads) + alone + sum(others)
