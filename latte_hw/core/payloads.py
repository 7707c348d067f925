"""Payloads of the streams inside and around a head, each field documented.

A row of keys that belong to one query travels as a sequence of items. The item with `last` ends the row; when nothing
of the row's last beat was kept (or the row has no key at all) it is a mere end marker, with `kept` low.

With R = `kept_per_cycle` = 2 an item holds up to two keys, lowest first, each field but `last` once for each of them.
Only a row's last item may hold fewer: `kept` of its second slot is low when the row keeps an odd number of keys.
"""

from typing import Any

from amaranth.hdl import Shape, signed, unsigned
from amaranth.lib import data

from latte_hw.config import TOTAL_BITS, Rule
from latte_hw.lib.arith import high_shape, low_shape
from latte_hw.params import SCALE_MANTISSA_BITS, SCALE_SHIFT_BITS, CoreParams


def _optional(fields: dict[str, Any]) -> data.StructLayout:
    """A structure without its zero-width fields."""
    return data.StructLayout({name: shape for name, shape in fields.items() if Shape.cast(shape).width})


def slots(field: Any, count: int) -> list[Any]:
    """What a field that comes once for each of `count` keys holds for every one of them."""
    return [field] if count == 1 else [field[slot] for slot in range(count)]


class Payloads:
    """Every payload shape of a head with the given parameters."""

    def __init__(self, params: CoreParams) -> None:
        config = params.config
        element = signed(TOTAL_BITS)
        high, low = high_shape(params), low_shape(params)
        threshold = (
            signed(params.widths.threshold_bits)
            if config.rule is Rule.STATIC
            else unsigned(params.widths.threshold_bits)
        )
        estimate, score = signed(params.widths.estimate_bits), signed(params.widths.score_bits)
        buffer = unsigned(1)  # which K/V buffer; always 0 when there is one

        self.element_row = data.ArrayLayout(element, config.head_dim)
        """One query, key or value as it comes from outside: `head_dim` int8 elements, element 0 lowest."""

        self.high_row = data.ArrayLayout(high, config.head_dim)
        """High parts of one query or key."""

        self.low_row = data.ArrayLayout(low, config.head_dim) if params.widths.low_bits else None
        """Low parts of one query or key; there are none when `msb_bits` is 8."""

        self.high_beat = data.ArrayLayout(self.high_row, config.keys_per_cycle)
        """High parts of the keys of one beat."""

        self.split_row = data.StructLayout(
            {"high": self.high_row} | ({"low": self.low_row} if self.low_row is not None else {})
        )
        """Both parts of one query or key."""

        self.table_entry = data.StructLayout(
            {
                "head": unsigned(params.widths.head_bits),  # which entry
                "threshold": threshold,  # τ_int
                "mantissa": unsigned(SCALE_MANTISSA_BITS),  # softmax scale, see CoreParams.softmax_scale_register
                "shift": unsigned(SCALE_SHIFT_BITS),
            }
        )
        """One write to the per-head table."""

        self.load = data.StructLayout({"n_keys": unsigned(params.widths.count_bits)})
        """Announces `n_keys` rows of K and of V. Rows beyond `max_keys` are taken and left out."""

        self.append_load = data.StructLayout({"n_keys": unsigned(params.widths.count_bits), "append": unsigned(1)})
        """The same for a store that appends: with `append`, one row more, and `n_keys` means nothing."""

        self.loaded = data.StructLayout({"buffer": buffer, "n_keys": unsigned(params.widths.count_bits)})
        """A K/V buffer that is ready for queries."""

        self.job = data.StructLayout(
            {
                "head": unsigned(params.widths.head_bits),  # entry of the per-head table
                "n_queries": unsigned(params.widths.count_bits),  # queries that follow
                "causal_offset": signed(params.widths.offset_bits),  # query i sees keys j <= i + causal_offset
                "release": unsigned(1),  # release the K/V buffer after the last query
            }
        )
        """The queries of one head against the oldest loaded buffer."""

        self.key_range = _optional(
            {
                "first": unsigned(params.widths.first_key_bits),
                "count": unsigned(params.widths.count_bits),
            }
        )
        """The keys that a query sees: `count` of them from `first` on (none: from key 0)."""

        self.scan = _optional(
            {
                "buffer": buffer,
                "keys": self.key_range,
                "others": unsigned(
                    params.widths.scan_place_bits
                ),  # further queries of this scan, of its first one; B > 1
            }
        )
        """What the estimator needs beside the query: a range of the keys of a buffer."""

        self.job_rest = data.StructLayout({"queries": unsigned(params.widths.count_bits), "release": unsigned(1)})
        """Queries of the present job that are still to be dispatched, and whether it releases its buffer then."""

        self.estimator_query = data.StructLayout({"high": self.high_row, "scan": self.scan})
        self.reuse_query = data.StructLayout({"row": self.split_row, "buffer": buffer})
        self.threshold = threshold
        self.softmax_scale = data.StructLayout(
            {"mantissa": unsigned(SCALE_MANTISSA_BITS), "shift": unsigned(SCALE_SHIFT_BITS)}
        )
        self.row_end = data.StructLayout(
            {
                "buffer": buffer,
                "empty": unsigned(1),  # a job without queries: no row, only the release
                "last": unsigned(1),  # last query of its job
                "release": unsigned(1),  # release the buffer after this row
            }
        )
        """What the weighted sum needs beside the weights."""

        def each(shape: Any, count: int = config.kept_per_cycle) -> Any:
            """A field that comes once for each key of an item."""
            return shape if count == 1 else data.ArrayLayout(shape, count)

        def beats(count: int) -> dict[str, Any]:
            lanes = count * config.keys_per_cycle
            return {
                "estimates": data.ArrayLayout(estimate, lanes),
                "mask": data.ArrayLayout(unsigned(1), lanes),  # lanes that hold a valid key
                "first_key": each(unsigned(params.widths.key_bits), count),  # lane p of a beat holds its first_key + p
                "last": unsigned(1),
            }

        self.estimate_beat = data.StructLayout(beats(1))
        """Estimates of the keys of one beat."""

        self.survivor_beats = data.StructLayout(beats(config.kept_per_cycle))
        """R beats of one row that hold survivors, one behind the other; the row's last ones may be fewer."""

        of_pairs = {
            "carried": unsigned(1),  # there is a key of an earlier beat before those of the lanes
            "carried_key": unsigned(params.widths.key_bits),
            "carried_estimate": estimate,
            "pairs": unsigned(params.widths.pairs_bits),  # that the entry makes
            "second_mask": unsigned(config.keys_per_cycle * config.kept_per_cycle),  # lanes that end a pair
        }
        self.kept_beats = data.StructLayout(
            beats(config.kept_per_cycle) | (of_pairs if config.kept_per_cycle > 1 else {})
        )
        """The same with the lanes that are kept, and what else pairs need; of these, `mask` has the lanes that begin
        one."""

        key_item = {"key": each(unsigned(params.widths.key_bits)), "kept": each(unsigned(1)), "last": unsigned(1)}
        self.kept_key = data.StructLayout({**key_item, "estimate": each(estimate)})
        """R keys that passed the filter."""

        self.scored_key = data.StructLayout({**key_item, "score": each(score)})
        """Kept keys with their completed scores."""

        self.weighted_key = data.StructLayout({**key_item, "prob": each(unsigned(config.prob_bits))})
        """Kept keys with their unnormalised softmax weights."""

        self.out_row = data.StructLayout(
            {"row": data.ArrayLayout(signed(params.widths.out_bits), config.head_dim), "last": unsigned(1)}
        )
        """One output: `head_dim` elements in steps of V's int8 step / 2^out_fraction_bits; `last` ends the job."""

        self.counters = data.StructLayout(
            {
                "queries": unsigned(COUNTER_BITS),  # output rows delivered
                "keys_seen": unsigned(COUNTER_BITS),  # valid query-key pairs estimated
                "survivors": unsigned(COUNTER_BITS),  # pairs that passed the running-maximum early drop
                "kept": unsigned(COUNTER_BITS),  # pairs that passed the filter
            }
        )
        """Totals since reset; they wrap, so take differences."""


COUNTER_BITS = 40
