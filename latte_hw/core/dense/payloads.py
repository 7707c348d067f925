"""Payloads of the dense core: a block of B queries travels as one, and so does what belongs to one key of it."""

from amaranth.hdl import signed, unsigned
from amaranth.lib import data

from latte_hw.core.payloads import Payloads
from latte_hw.params.dense import DenseParams
from latte_hw.params.widths import unsigned_bits


class DensePayloads(Payloads):
    """Every payload shape of a dense core."""

    def __init__(self, params: DenseParams) -> None:
        super().__init__(params)
        rows = params.block_rows
        count = unsigned(params.widths.count_bits)

        self.scan_block = data.StructLayout(
            {
                "buffer": unsigned(1),
                "keys": count,  # of the query that sees most
                "valid_keys": data.ArrayLayout(count, rows),  # of each query; 0 where the block has no query
            }
        )
        """What the scan needs beside the queries."""

        self.query_block = data.StructLayout(
            {"queries": data.ArrayLayout(self.element_row, rows), "scan": self.scan_block}
        )
        """The queries of a block; the first ones if it is not full."""

        self.row_block = data.StructLayout(
            {
                "buffer": unsigned(1),
                "empty": unsigned(1),  # a job without queries: no block, only the release
                "rows": unsigned(unsigned_bits(rows)),  # queries of the block
                "last": unsigned(1),  # last block of its job
                "release": unsigned(1),  # release the buffer after this block
            }
        )
        """What the weighted sum needs beside the weights."""

        self.best_scores = data.ArrayLayout(signed(params.widths.score_bits), rows)
        """Best score of each query of a block; anything where a query sees no key."""

        self.scored_block = data.StructLayout(
            {
                "scores": data.ArrayLayout(signed(params.widths.score_bits), rows),
                "kept": data.ArrayLayout(unsigned(1), rows),  # queries that see this key
                "last": unsigned(1),  # last key of the block
            }
        )
        """Scores of one key, the next one after the item before; a block without any key has one item."""

        self.weighted_block = data.StructLayout(
            {"probs": data.ArrayLayout(unsigned(params.config.prob_bits), rows), "last": unsigned(1)}
        )
        """Unnormalised softmax weights of one key, 0 where a query does not see it."""
