"""Every width, depth and count that follows from a configuration, each derived in exactly one place.

Hardware, golden model, testbenches, driver and documents read them from here. Needs the standard library only.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from itertools import product

from latte_hw.config import GROUP_SIZE, TOTAL_BITS, Dot, LatteConfig, Reuse, Rule, Split

SCALE_MANTISSA_BITS = 16
SCALE_SHIFT_BITS = 6
EXP_GUARD_BITS = 5
"""Fraction bits that a table entry of 2**-x carries below the least significant bit of a weight."""

TABLE_ENTRIES = 2**GROUP_SIZE
"""Entries of one lookup table of a query-stationary dot product, and the cycles that filling them takes."""

Range = tuple[int, int]
"""Inclusive least and greatest value of an integer."""


def unsigned_bits(greatest: int) -> int:
    """Bits that hold 0 to ``greatest`` (at least one)."""
    return max(1, greatest.bit_length())


def signed_bits(low: int, high: int) -> int:
    """Bits of the two's complement number that holds ``low`` to ``high``."""
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, max(high, 0).bit_length())


def tree_levels(terms: int) -> int:
    """Levels of a tree of pairs: ⌈log2(terms)⌉."""
    return (terms - 1).bit_length()


def table_dot_latency(head_dim: int, key_bits: int, key_signed: bool) -> int:
    """Cycles of a table dot product: table read, sums over groups and bit planes, negation of a lone sign plane."""
    return 1 + tree_levels(head_dim // GROUP_SIZE) + tree_levels(key_bits) + (key_bits == 1 and key_signed)


def multiplier_dot_latency(head_dim: int) -> int:
    """Cycles of a multiplier dot product: products, sum over dimensions."""
    return 1 + tree_levels(head_dim)


def ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


@dataclass(frozen=True)
class HeadParams:
    """Derived parameters of one head core. Symbols of the paper in brackets."""

    config: LatteConfig

    # --- elements -----------------------------------------------------------------------------------------------

    @property
    def low_bits(self) -> int:
        """Bits of the low part of an element (L = 8 − M); 0 means that the estimate is the score."""
        return TOTAL_BITS - self.config.msb_bits

    @property
    def quant_max(self) -> int:
        """Greatest quantised value of q, k and v. The least is always −128.

        `balanced` stops at 119 for M = 4: above it, rounding to the high part would leave its range.
        """
        if self.config.split is Split.TRUNCATE or self.low_bits == 0:
            return 2 ** (TOTAL_BITS - 1) - 1
        return (2 ** (self.config.msb_bits - 1) - 1) * 2**self.low_bits + 2 ** (self.low_bits - 1) - 1

    @property
    def high_range(self) -> Range:
        return -(2 ** (self.config.msb_bits - 1)), 2 ** (self.config.msb_bits - 1) - 1

    @property
    def low_signed(self) -> bool:
        return self.config.split is Split.BALANCED and self.low_bits > 0

    @property
    def low_range(self) -> Range:
        if self.low_bits == 0:
            return 0, 0
        if self.low_signed:
            return -(2 ** (self.low_bits - 1)), 2 ** (self.low_bits - 1) - 1
        return 0, 2**self.low_bits - 1

    @property
    def groups(self) -> int:
        """Lookup tables of one query: one for every `GROUP_SIZE` dimensions."""
        return self.config.head_dim // GROUP_SIZE

    # --- scores -------------------------------------------------------------------------------------------------

    @cached_property
    def estimate_range(self) -> Range:
        """Values of ``Σ q_h·k_h``."""
        low, high = self.high_range
        corners = [q * k for q, k in product((low, high), repeat=2)]
        return self.config.head_dim * min(corners), self.config.head_dim * max(corners)

    @property
    def estimate_bits(self) -> int:
        """Width of the signed estimate."""
        return signed_bits(*self.estimate_range)

    @cached_property
    def correction_range(self) -> Range:
        """Values of what reuse adds to the shifted estimate: ``(q_h·k_l + q_l·k_h)·2^L [+ q_l·k_l]``, summed."""
        corners = [
            ((qh * kl + ql * kh) << self.low_bits) + (ql * kl if self.config.reuse is Reuse.EXACT else 0)
            for qh, kh in product(self.high_range, repeat=2)
            for ql, kl in product(self.low_range, repeat=2)
        ]
        return self.config.head_dim * min(corners), self.config.head_dim * max(corners)

    @cached_property
    def score_range(self) -> Range:
        shift = 2 * self.low_bits
        low = (self.estimate_range[0] << shift) + self.correction_range[0]
        high = (self.estimate_range[1] << shift) + self.correction_range[1]
        return low, high

    @property
    def score_bits(self) -> int:
        """Width of the signed score."""
        return signed_bits(*self.score_range)

    @property
    def delta_bits(self) -> int:
        """Width of the unsigned distance of a score from the row's best."""
        return unsigned_bits(self.score_range[1] - self.score_range[0])

    # --- threshold and softmax ----------------------------------------------------------------------------------

    @property
    def threshold_bits(self) -> int:
        """Width of a threshold register; unsigned for `differential`, signed for `static`."""
        return self.estimate_bits

    @property
    def threshold_range(self) -> Range:
        """Values of a threshold register. The greatest `differential` threshold keeps every valid key."""
        if self.config.rule is Rule.STATIC:
            return -(2 ** (self.threshold_bits - 1)), 2 ** (self.threshold_bits - 1) - 1
        return 0, 2**self.threshold_bits - 1

    @property
    def prob_max(self) -> int:
        """Weight of the row's best kept key."""
        return 2**self.config.prob_bits - 1

    @property
    def exp_fraction_bits(self) -> int:
        """Fraction bits of the base-2 exponent; its table of 2**-x has 2**exp_fraction_bits entries."""
        return min(self.config.prob_bits + 2, 12)

    @property
    def exp_integer_bits(self) -> int:
        """Integer bits of the base-2 exponent: beyond prob_bits + EXP_GUARD_BITS nothing of a weight is left."""
        return unsigned_bits(self.config.prob_bits + EXP_GUARD_BITS)

    @property
    def exp_bits(self) -> int:
        return self.exp_integer_bits + self.exp_fraction_bits

    @cached_property
    def exp_table(self) -> tuple[int, ...]:
        """``round((2^prob_bits − 1) · 2^EXP_GUARD_BITS · 2^(−i / 2^exp_fraction_bits))`` for every i."""
        entries = 2**self.exp_fraction_bits
        return tuple(round((self.prob_max << EXP_GUARD_BITS) * 2.0 ** (-i / entries)) for i in range(entries))

    # --- weighted sum -------------------------------------------------------------------------------------------

    @property
    def prob_sum_bits(self) -> int:
        """Width of the unsigned Σ p over a row."""
        return unsigned_bits(self.prob_max * self.config.max_keys)

    @property
    def accumulator_bits(self) -> int:
        """Width of the signed Σ p·v over a row."""
        greatest = self.prob_max * self.config.max_keys << (TOTAL_BITS - 1)
        return signed_bits(-greatest, greatest)

    @property
    def out_bits(self) -> int:
        """Width of a signed output element, in steps of V's int8 step / 2**out_fraction_bits."""
        return TOTAL_BITS + self.config.out_fraction_bits

    # --- counts and addresses -----------------------------------------------------------------------------------

    @property
    def max_beats(self) -> int:
        """Beats of keys in a full scan: the depth of one bank of K's high parts."""
        return self.config.max_keys // self.config.keys_per_cycle

    def beats(self, valid_keys: int) -> int:
        """Cycles that the estimator spends on a query that sees ``valid_keys`` keys (a row takes at least one)."""
        return max(1, ceil_div(valid_keys, self.config.keys_per_cycle))

    @property
    def beat_bits(self) -> int:
        return unsigned_bits(self.max_beats - 1)

    @property
    def lane_bits(self) -> int:
        """Bits of a lane's number within a beat; 0 when there is one lane."""
        return (self.config.keys_per_cycle - 1).bit_length()

    @property
    def key_bits(self) -> int:
        """Bits of a key's number: its lane below its beat."""
        return self.beat_bits + self.lane_bits

    @property
    def count_bits(self) -> int:
        """Bits of a number of keys or queries."""
        return unsigned_bits(self.config.max_keys)

    @property
    def offset_bits(self) -> int:
        """Bits of the signed causal offset n_keys − n_queries."""
        return self.count_bits + 1

    @property
    def head_bits(self) -> int:
        return unsigned_bits(self.config.heads - 1)

    # --- queues -------------------------------------------------------------------------------------------------

    @property
    def survivor_depth(self) -> int:
        """Beats of survivors that can wait: two full rows, so that one is written while the other is checked."""
        return 2 * self.max_beats + 2

    @property
    def kept_depth(self) -> int:
        """Beats of kept keys that can wait: a full row, so that the next row is checked while this one leaves.

        With less, a long stretch of survivors that all fail the final check would leave the reuse datapath idle.
        """
        return self.max_beats + 2

    @property
    def row_queue_depth(self) -> int:
        """Scored keys that can wait for their row's best score: two full rows with their end markers."""
        return 2 * self.config.max_keys + 2

    @property
    def rows_in_flight(self) -> int:
        """Rows that the small per-row queues hold: more than the pipelines hold when every row is a single beat."""
        return 16

    @property
    def query_queue_depth(self) -> int:
        """Queries that wait for a place in the estimator or the reuse datapath."""
        return 4

    @property
    def out_queue_depth(self) -> int:
        """Output rows on their way or waiting: enough to keep rows `normalise_cycles` apart."""
        return 1 + ceil_div(self.weighted_sum_latency + self.fifo_latency + 1, self.normalise_cycles)

    # --- time: cycles -------------------------------------------------------------------------------------------

    store_latency = 2
    """From an address to the store's data."""

    softmax_pipeline = 8
    """From a queued score to its weight: distance, scaling, two shifts, rounding, table, halving, rounding."""

    fifo_latency = 2
    """From writing into an empty queue to its output; see :class:`latte_hw.streams.Fifo`."""

    @property
    def query_prepare_cycles(self) -> int:
        """Cycles to prepare a query, overlapped with the one before (F)."""
        return TABLE_ENTRIES if self.config.dot is Dot.TABLES else 1

    @property
    def gapless_beats(self) -> int:
        """Beats of a query that hide the preparation of the query after the next one: no gap between such queries.

        The tables of a query are free when its last beat has come from the store.
        """
        return self.query_prepare_cycles + self.store_latency

    def dot_latency(self, key_bits: int, key_signed: bool) -> int:
        if self.config.dot is Dot.TABLES:
            return table_dot_latency(self.config.head_dim, key_bits, key_signed)
        return multiplier_dot_latency(self.config.head_dim)

    @property
    def estimator_latency(self) -> int:
        """From sending a beat's address to its estimates in the estimator's output queue."""
        return self.store_latency + self.dot_latency(self.config.msb_bits, True)

    @property
    def estimator_landing_depth(self) -> int:
        return self.estimator_latency + self.fifo_latency + 2

    @property
    def filter_latency(self) -> int:
        """From a beat to its survivors in their queue: input, tree of lanes, running best, limit, comparison."""
        return 1 + self.lane_bits + 3

    @property
    def reuse_latency(self) -> int:
        """From a kept key to its score in the reuse datapath's output queue."""
        if self.low_bits == 0:
            return 1
        low = self.dot_latency(self.low_bits, self.low_signed)
        return self.store_latency + max(low, self.dot_latency(self.config.msb_bits, True)) + 1

    @property
    def reuse_landing_depth(self) -> int:
        return self.reuse_latency + self.fifo_latency + 2

    @property
    def softmax_latency(self) -> int:
        """From a row's last score to its first weight in the softmax's output queue: the row's queue, the pipeline."""
        return self.fifo_latency + self.softmax_pipeline

    @property
    def softmax_landing_depth(self) -> int:
        return self.softmax_pipeline + self.fifo_latency + 2

    @property
    def normalise_lanes(self) -> int:
        """Elements of an output row divided per cycle: enough to keep up with queries that take `F` cycles."""
        return ceil_div(self.config.head_dim, TABLE_ENTRIES)

    @property
    def normalise_cycles(self) -> int:
        """Least distance of two output rows."""
        return ceil_div(self.config.head_dim, self.normalise_lanes)

    @property
    def normaliser_latency(self) -> int:
        """From a row's sums to its output row: take, offset, one stage per quotient bit, collect."""
        return 1 + self.normalise_cycles + self.out_bits + 1

    @property
    def weighted_sum_latency(self) -> int:
        """From a row's last weight to its output row in the output queue: read, multiply, add, divide."""
        return self.store_latency + 2 + self.normaliser_latency

    cycle_slack = 4
    """Cycles that a query may take beyond its slowest arm (c)."""

    def cycles_per_query(self, valid_keys: int, kept: int) -> int:
        """Bound on the average distance of consecutive outputs of a stream of queries (DESIGN: max + c)."""
        return max(self.beats(valid_keys), kept, self.query_prepare_cycles, self.normalise_cycles) + self.cycle_slack

    @property
    def latency_constant(self) -> int:
        """Cycles of a lone query that do not depend on its keys: every block's latency and every queue once."""
        queues = 9 * self.fifo_latency
        blocks = self.estimator_latency + self.filter_latency + 2 + self.reuse_latency + self.softmax_pipeline
        return queues + blocks + self.weighted_sum_latency

    def query_latency(self, valid_keys: int, kept: int) -> int:
        """Bound on the cycles from taking a lone query to its output row.

        Prepare; scan; check the survivors, at most as many beats again, and complete the kept scores; sum up. The
        row's best *estimate* must be known before the check, its best *score* before the sum, so a lone query cannot
        overlap them.
        """
        beats = self.beats(valid_keys)
        return self.query_prepare_cycles + beats + (beats + kept) + kept + self.latency_constant

    # --- registers computed from real-valued scales -------------------------------------------------------------

    def threshold_register(self, tau: float, scale_q: float, scale_k: float) -> int:
        """``floor(τ·√D / (s_q·s_k·2^(2L)))``, saturated to the register. τ in logits (natural logarithm)."""
        low, high = self.threshold_range
        steps = tau * math.sqrt(self.config.head_dim) / (scale_q * scale_k * 2.0 ** (2 * self.low_bits))
        if not math.isfinite(steps):
            return high if steps > 0 else low
        return min(max(math.floor(steps), low), high)

    def softmax_scale_register(self, scale_q: float, scale_k: float) -> tuple[int, int]:
        """(mantissa, shift) with ``mantissa · 2^−(shift + 1) ≈ s_q·s_k·log2(e)/√D · 2^exp_fraction_bits``.

        It turns a score distance into a base-2 exponent; see :mod:`golden.softmax` for its use. The relative error
        is at most 2^−16 while the shift fits; a smaller scale gives (0, 0), a larger one the greatest value.
        """
        logit = scale_q * scale_k / math.sqrt(self.config.head_dim)
        doubled = 2.0 * logit * math.log2(math.e) * 2.0**self.exp_fraction_bits
        fraction, exponent = math.frexp(doubled)
        mantissa = round(fraction * 2**SCALE_MANTISSA_BITS)
        if mantissa == 2**SCALE_MANTISSA_BITS:
            mantissa, exponent = mantissa // 2, exponent + 1
        shift = SCALE_MANTISSA_BITS - exponent
        if shift < 0:
            return 2**SCALE_MANTISSA_BITS - 1, 0
        if shift >= 2**SCALE_SHIFT_BITS:
            return 0, 0
        return mantissa, shift
