"""Every memory of a core, by name, words and width: as many bits as the emitted Verilog declares."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

from latte_hw.config import TOTAL_BITS, CoreConfig, DenseConfig, LatteConfig, Reuse
from latte_hw.estimate.queues import LANDING_ITEMS
from latte_hw.params import (
    EXP_GUARD_BITS,
    FAN_OUT_COPIES,
    SCALE_MANTISSA_BITS,
    SCALE_SHIFT_BITS,
    TABLE_READS,
    CoreParams,
    HeadParams,
    TableShape,
    fifo_words,
    in_block_ram,
    unsigned_bits,
)
from latte_hw.params.dense import DenseParams

SCALE_BITS = SCALE_MANTISSA_BITS + SCALE_SHIFT_BITS


@dataclass(frozen=True)
class Memory:
    """``copies`` equal RAMs with ``reads`` read ports each, in the block of that name.

    One of the reads may share the port of the write: they never come kept_per_cycle, or there is no write.
    """

    block: str
    name: str
    words: int
    width: int
    copies: int = 1
    reads: int = 1
    shares_write: bool = False

    @property
    def bits(self) -> int:
        return self.words * self.width * self.copies


class Table(NamedTuple):
    """Of a query part: bits of an element, queries packed into a word, and reads by a key: one for every bit."""

    bits: int
    queries: int
    reads: int


def memories_of(config: CoreConfig) -> list[Memory]:
    """All memories of a core; those of `queries_per_scan` lanes are given as copies."""
    if isinstance(config, DenseConfig):
        return list(_dense(DenseParams.of(config)))
    assert isinstance(config, LatteConfig)
    return list(_latte(HeadParams(config)))


def _queue(block: str, name: str, depth: int, width: int, copies: int = 1) -> Iterator[Memory]:
    if depth == 1:  # a register
        return
    yield Memory(block, name, fifo_words(depth), width, copies)
    if in_block_ram(depth):
        yield Memory(block, f"{name}_output", LANDING_ITEMS, width, copies)


def _store(params: CoreParams, readers: int, banks: bool) -> Iterator[Memory]:
    config = params.config
    if banks:
        beats = params.widths.buffered_words(params.widths.max_beats)
        for name, bits in zip(("k_banks", "k_banks_rest"), params.widths.bank_bits, strict=False):
            yield Memory("store", name, beats, bits, config.keys_per_cycle)
    words = params.widths.buffered_words(config.max_keys)
    shared, alone = divmod(readers, params.widths.readers_per_ram)
    groups, rest = divmod(config.head_dim, params.division.lanes)  # a value lies in a RAM per group of elements
    for rams, reads in ((shared, params.widths.readers_per_ram), (alone, 1)):
        if rams:
            shares = reads > 1
            yield Memory("store", f"k_rows_{reads}", words, config.head_dim * TOTAL_BITS, rams, reads, shares)
            for elements, copies in ((params.division.lanes, groups), (rest, 1)):
                if elements and copies:
                    yield Memory(
                        "store",
                        f"v_rows_{elements}_{reads}",
                        words,
                        elements * TOTAL_BITS,
                        copies * rams,
                        reads,
                        shares,
                    )
    yield from _queue("store", "loaded", max(3, config.kv_buffers + 1), 1 + params.widths.count_bits)


def _sequencer(params: CoreParams, threshold_bits: int) -> Memory:
    return Memory(
        "sequencer", "table", max(2, params.config.heads), params.widths.head_bits + threshold_bits + SCALE_BITS
    )


def _exponentials(params: CoreParams, copies: int, reads: int) -> Memory:
    entries = 1 << params.widths.exp_fraction_bits
    width = params.config.prob_bits + EXP_GUARD_BITS
    return Memory("softmax", "exp_table", entries, width, copies, reads, shares_write=reads > 1)


def _tables(
    dim: int, tables: TableShape | None, block: str, parts: dict[str, Table], lanes: int, copies: int = 1
) -> Iterator[Memory]:
    """Tables of a query-stationary dot product: one per group of dimensions and set of packed query parts, in as many
    equal ones as there are fan-out copies: lanes are divided among them, or single reads where entries have slices."""
    if tables is None:
        return
    size = tables.group_dims
    words = tables.entries * tables.slots
    full, rest = divmod(dim, size)
    for part, (bits, queries, reads) in parts.items():
        readers, each = (lanes * reads, 1) if tables.fill_slices else (lanes, reads)
        equal = min(FAN_OUT_COPIES, readers)
        served = Counter(reader * equal // readers for reader in range(readers))  # by copy, not always equally many
        for dims, groups in ((size, full), (rest, 1)):
            if dims and groups:
                width = queries * unsigned_bits(dims * (2**bits - 1))
                for number, alike in sorted(Counter(served.values()).items()):
                    name = f"table_{part}_{dims}_{number}"
                    whole, left = divmod(number * each, TABLE_READS)
                    for tables_each, ports in ((whole, TABLE_READS), (1, left)):
                        if tables_each and ports:
                            yield Memory(
                                block, f"{name}_{ports}", words, width, groups * alike * copies * tables_each, ports
                            )


def reuse_reads(params: HeadParams) -> dict[str, int]:
    """Bits of a key that read the tables of each part of a query in the reuse datapath."""
    low = params.widths.low_bits if params.config.reuse is Reuse.EXACT else 0
    return {"high": params.widths.low_bits, "low": params.config.msb_bits + low}


def _latte(params: HeadParams) -> Iterator[Memory]:
    config, lanes = params.config, params.config.queries_per_scan
    key, estimate = params.widths.key_bits, params.widths.estimate_bits
    kept_per_cycle = config.kept_per_cycle
    beat = config.keys_per_cycle * (estimate + 1) + key
    of_pairs = (1 + key + estimate + params.widths.pairs_bits + kept_per_cycle * config.keys_per_cycle) * (
        kept_per_cycle - 1
    )
    yield from _store(params, lanes * kept_per_cycle, banks=True)
    yield _sequencer(params, params.widths.threshold_bits)
    scan = 1 + params.widths.count_bits + params.widths.scan_place_bits
    for name, depth, width in (
        ("estimator_queries", params.depths.estimator_queries, config.head_dim * config.msb_bits + scan),
        ("reuse_queries", params.depths.queries, config.head_dim * TOTAL_BITS + 1),
        ("thresholds", params.depths.rows, params.widths.threshold_bits),
        ("scales", params.depths.rows, SCALE_BITS),
        ("rows", params.depths.rows, 4),
    ):
        yield from _queue(name, name, depth, width, lanes)
    high, tables = config.msb_bits, params.scan_dot.tables
    yield from _tables(config.head_dim, tables, "estimator", {"high": Table(high, lanes, high)}, config.keys_per_cycle)
    yield from _queue("estimator", "landing", params.depths.estimator_landing, beat + 1, lanes)
    yield from _queue("filter", "survivors", params.depths.survivors, kept_per_cycle * beat + 1, lanes)
    yield from _queue("filter", "row_limits", params.depths.rows, 2 * estimate + 2, lanes)
    yield from _queue("filter", "kept", params.depths.kept, kept_per_cycle * beat + 1 + of_pairs, lanes)

    def item(value_bits: int) -> int:
        return kept_per_cycle * (key + 1 + value_bits) + 1

    yield from _queue("filter", "output", params.depths.filter_output, item(estimate), lanes)
    if params.widths.low_bits:
        bits = {"high": high, "low": params.widths.low_bits}
        parts = {part: Table(bits[part], 1, reads) for part, reads in reuse_reads(params).items()}
        yield from _tables(config.head_dim, params.reuse_dot.tables, "reuse", parts, kept_per_cycle, lanes)
        yield from _queue("reuse", "landing", params.depths.reuse_landing, item(params.widths.score_bits), lanes)
    yield from _queue("softmax", "row", params.depths.scored, item(params.widths.score_bits), lanes)
    yield from _queue("softmax", "best", params.depths.rows, params.widths.score_bits, lanes)
    yield from _queue("softmax", "landing", params.depths.softmax_landing, item(config.prob_bits), lanes)
    yield _exponentials(params, lanes, kept_per_cycle)
    yield from _queue(
        "weighted_sum", "landing", params.depths.out_rows, config.head_dim * params.widths.out_bits + 1, lanes
    )


def _dense(params: DenseParams) -> Iterator[Memory]:
    config, rows = params.config, params.block_rows
    yield from _store(params, 1, banks=False)
    yield _sequencer(params, params.widths.threshold_bits)
    yield from _queue("scales", "scales", params.rows_in_flight, SCALE_BITS)
    yield from _queue("rows", "rows", params.rows_in_flight, 4 + unsigned_bits(rows))
    packed = {"queries": Table(TOTAL_BITS, rows, TOTAL_BITS)}
    yield from _tables(config.head_dim, params.scan_dot.tables, "scores", packed, 1)
    yield from _queue("scores", "landing", params.score_landing_depth, rows * (params.widths.score_bits + 1) + 1)
    yield from _queue("softmax", "row", params.row_queue_depth, rows * (params.widths.score_bits + 1) + 1)
    yield from _queue("softmax", "best", params.rows_in_flight, rows * params.widths.score_bits)
    yield from _queue("softmax", "landing", params.softmax_landing_depth, rows * config.prob_bits + 1)
    yield _exponentials(params, 1, rows)
    width = config.head_dim * params.widths.out_bits + 1
    yield from _queue("weighted_sum", "landing", params.out_queue_depth, width, params.dividers)
