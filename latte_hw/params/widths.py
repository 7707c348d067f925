"""Ranges and widths of every number in a head, and the counts and addresses that follow from its configuration."""

from dataclasses import dataclass
from functools import cached_property
from itertools import product

from latte_hw.config import TOTAL_BITS, LatteConfig, Reuse, Rule, Split

SCALE_MANTISSA_BITS = 16
SCALE_SHIFT_BITS = 6
EXP_GUARD_BITS = 5
"""Fraction bits that a table entry of 2**-x carries below the least significant bit of a weight."""

MULTIPLIER_BITS = 17
"""Unsigned bits that one multiplier of an FPGA takes."""

Range = tuple[int, int]
"""Inclusive least and greatest value of an integer."""


def unsigned_bits(greatest: int) -> int:
    """Bits that hold 0 to ``greatest`` (at least one)."""
    return max(1, greatest.bit_length())


def signed_bits(low: int, high: int) -> int:
    """Bits of the two's complement number that holds ``low`` to ``high``."""
    return 1 + max((-low - 1).bit_length() if low < 0 else 0, max(high, 0).bit_length())


BLOCK_RAM_BITS, LUT_RAM_BITS = 36, 4
"""Bits of a word: of a block RAM where it is widest, on every target, and of the smallest LUT RAM."""

SHALLOW_WORDS = 128
"""Words that a few bits may have to be put into LUT RAM."""


def ceil_div(dividend: int, divisor: int) -> int:
    return -(-dividend // divisor)


@dataclass(frozen=True)
class Widths:
    """Widths, ranges and counts of one head core; symbols of the paper in brackets.

    They are the member `widths` of :class:`latte_hw.params.HeadParams`.
    """

    config: LatteConfig

    # --- elements -----------------------------------------------------------------------------------------------

    @property
    def low_bits(self) -> int:
        """Bits of the low part of an element (L = 8 − M); 0 means that the estimate is the score."""
        return TOTAL_BITS - self.config.msb_bits

    @property
    def quant_max(self) -> int:
        """Greatest quantised value of q and k, which are split. The least is always −128.

        `balanced` stops at 119 for M = 4: above it, rounding to the high part would leave its range.
        """
        if self.config.split is Split.TRUNCATE or self.low_bits == 0:
            return self.value_max
        return (2 ** (self.config.msb_bits - 1) - 1) * 2**self.low_bits + 2 ** (self.low_bits - 1) - 1

    value_max = 2 ** (TOTAL_BITS - 1) - 1
    """Greatest quantised value of v: nothing splits it, so that it is int8 over its whole range."""

    def greatest(self, tensor: str) -> int:
        """Greatest quantised value of `q`, `k` or `v`."""
        return self.value_max if tensor == "v" else self.quant_max

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
    def out_bytes(self) -> int:
        """Bytes of an output element outside of the core."""
        return ceil_div(self.out_bits, 8)

    @property
    def max_beats(self) -> int:
        """Beats of keys in a full scan: the depth of one bank of K's high parts."""
        return self.config.max_keys // self.config.keys_per_cycle

    @property
    def bank_bits(self) -> tuple[int, ...]:
        """Widths of the RAMs that a bank of K's high parts is made of: a few bits that would take one block RAM more
        lie in a RAM of their own, shallow enough to be LUT RAM. Of D = 64, M = 4: 252 and 4."""
        bits = self.config.head_dim * self.config.msb_bits
        rest = bits % BLOCK_RAM_BITS
        shallow = self.buffered_words(self.max_beats) <= SHALLOW_WORDS
        return (bits - rest, rest) if 0 < rest <= LUT_RAM_BITS and bits > rest and shallow else (bits,)

    @property
    def readers_per_ram(self) -> int:
        """Lanes that read whole rows of K and V from one RAM: with one buffer its write port is free meanwhile."""
        return 2 if self.config.kv_buffers == 1 else 1

    def buffered_words(self, words: int) -> int:
        """Words of a RAM that holds so many of each K/V buffer: with two, the second begins at a power of two."""
        return (1 << unsigned_bits(words - 1)) + words if self.config.kv_buffers == 2 else words

    def beats(self, valid_keys: int) -> int:
        """Cycles that the estimator spends on a query that sees ``valid_keys`` keys (a row takes at least one)."""
        return max(1, ceil_div(valid_keys, self.config.keys_per_cycle))

    def items(self, count: int) -> int:
        """Items of R = `kept_per_cycle` that so many kept keys, or beats of survivors, make; each takes a cycle."""
        return ceil_div(count, self.config.kept_per_cycle)

    @property
    def pairs_bits(self) -> int:
        """Bits of the number of pairs that two beats of kept keys make, with a key of an earlier one before them."""
        return unsigned_bits(self.config.keys_per_cycle + 1)

    @property
    def beat_bits(self) -> int:
        return unsigned_bits(self.max_beats - 1)

    @property
    def lane_bits(self) -> int:
        """Bits of a lane's number within a beat; 0 when there is one lane. Levels of a tree over the lanes, too."""
        return (self.config.keys_per_cycle - 1).bit_length()

    @property
    def key_bits(self) -> int:
        """Bits of a key's number."""
        return unsigned_bits(self.config.max_keys - 1)

    @property
    def scan_place_bits(self) -> int:
        """Bits of a query's index in a scan that several share; 0 when every query has its own."""
        return (self.config.queries_per_scan - 1).bit_length()

    @property
    def count_bits(self) -> int:
        """Bits of a number of keys or queries."""
        return unsigned_bits(self.config.max_keys)

    first_key_bits = 0
    """Bits of the first key that a query sees, in a key range: none, since every range begins at key 0."""

    @property
    def offset_bits(self) -> int:
        """Bits of the signed causal offset n_keys − n_queries."""
        return self.count_bits + 1

    def limited_offset(self, offset: int) -> int:
        """A causal offset, limited to ±max_keys: further out it is every key or none as well."""
        return min(max(offset, -self.config.max_keys), self.config.max_keys)

    @property
    def head_bits(self) -> int:
        """Bits of the number of an entry of the per-head table."""
        return unsigned_bits(self.config.heads - 1)
