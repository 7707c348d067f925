"""From a recording to the arrays of the golden model: same names, shapes and types.

The structure is checked on the way: as many rows as queries, each valid pair once, the same keys at every stage.
A fault is a :class:`MismatchError` that says where; values are compared afterwards, by :mod:`golden.analysis.compare`.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from latte_hw.config import LatteConfig
from latte_hw.config.errors import MismatchError
from latte_hw.lib.names import numbered
from sim.head.traffic import Traffic
from sim.lib.layout import Description
from sim.lib.recording import Recording

Arrays = dict[str, NDArray]
COUNTER_NAMES = ("keys_seen", "survivors", "kept")


def collect(recording: Recording, description: Description, traffic: Traffic, *, back_to_back: bool = False) -> Arrays:
    """What the core produced.

    Always ``out`` (heads, queries, D); ``query_start`` and ``query_cycles`` (heads, queries), the cycles in which a
    query was accepted and its output row left; ``cycles`` (heads,), from a head's first query to its last row, both
    included; ``cycles_total``, from the end of reset to the last row; ``counters_total`` (3,) and, unless back to
    back, ``counters`` (heads, 3), columns in ``counter_names``. With taps also ``estimate``, ``keep``, ``score`` and
    ``prob``.
    """
    return Collector(recording, description, traffic).arrays(back_to_back)


@dataclass(frozen=True)
class Collector:
    recording: Recording
    description: Description
    traffic: Traffic

    @property
    def rows(self) -> int:
        return self.traffic.heads * self.traffic.queries

    def arrays(self, back_to_back: bool) -> Arrays:
        results = self._outputs()
        if self.description.taps:
            results |= self.stages()
        counters = self._counters()
        results |= {"counters_total": counters.sum(axis=0), "counter_names": np.array(COUNTER_NAMES)}
        if not back_to_back:
            results["counters"] = counters
        return results

    # --- output rows and cycles -----------------------------------------------------------------------------------

    def _outputs(self) -> Arrays:
        beats, shape = self.recording.beats["o_out"], (self.traffic.heads, self.traffic.queries)
        if len(beats) != self.rows:
            raise MismatchError(f"o_out delivered {len(beats)} rows, not {self.rows}")
        fields = self.description.ports["o_out"].unpack(beats.raw)
        ends = np.zeros(shape, np.int64)
        ends[:, -1] = 1
        wrong = np.flatnonzero(fields["last"] != ends.ravel())
        if len(wrong):
            raise MismatchError(f"o_out: `last` of {self.place_of(wrong[0])} is {fields['last'][wrong[0]]}")
        left, start = beats.cycles.reshape(shape), self.recording.accepted["i_q"].reshape(shape)
        return {
            "out": fields["row"].reshape(*shape, -1).astype(np.int16),
            "query_start": start,
            "query_cycles": left,
            "cycles": left[:, -1] - start[:, 0] + 1,
            "cycles_total": np.array(left.max() + 1),
        }

    def _counters(self) -> NDArray[np.int64]:
        port = self.description.ports["o_counters"]
        samples = port.unpack(self.recording.counters)
        # They run freely and wrap: a difference is right modulo their width.
        columns = [np.diff(samples[name]) % (1 << port.field(name).width) for name in COUNTER_NAMES]
        return np.stack(columns, axis=1)

    # --- taps -----------------------------------------------------------------------------------------------------

    def stages(self) -> Arrays:
        estimate, seen = self._estimates()
        self._check_seen(seen)
        keep, carried = self._items("tap_kept", "estimate")
        wrong = np.argwhere(keep & (carried != estimate))
        if len(wrong):
            row, key = wrong[0]
            place = f"{self.place_of(row)}, key {key}"
            raise MismatchError(f"tap_kept: {place} carries estimate {carried[row, key]}, not {estimate[row, key]}")
        scored, score = self._items("tap_score", "score")
        weighed, prob = self._items("tap_prob", "prob")
        self.check_same("tap_score", scored, keep)
        self.check_same("tap_prob", weighed, keep)
        shape = (self.traffic.heads, self.traffic.queries, self.traffic.keys)
        return {
            "estimate": estimate.astype(np.int32).reshape(shape),
            "keep": keep.reshape(shape),
            "score": score.astype(np.int32).reshape(shape),
            "prob": prob.astype(np.uint16).reshape(shape),
        }

    def _estimates(self) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        """Estimates, and which pairs have one; both of shape (rows, keys)."""
        fields, beat_rows = self._tap("tap_estimate")
        config = self.description.config
        assert isinstance(config, LatteConfig), "a dense core makes no estimates"
        lanes = config.keys_per_cycle
        beats = len(fields["last"])
        keys = fields["first_key"][:, None] + np.arange(lanes)
        mask = fields["mask"].reshape(beats, -1)
        if mask.shape[1] != lanes:  # one field of P bits instead of P fields of one
            mask = (mask >> np.arange(lanes)) & 1
        rows = np.broadcast_to(beat_rows[:, None], keys.shape)
        taken = mask.astype(bool)
        values = fields["estimates"].reshape(beats, lanes)
        return self.scatter("tap_estimate", rows[taken], keys[taken], values[taken])[::-1]

    def _items(self, tap: str, value: str) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        """Which pairs a tap delivered, and their values; both of shape (rows, keys)."""
        fields, item_rows = self._tap(tap)
        kept, keys, values = (fields[name].reshape(len(item_rows), -1) for name in ("kept", "key", value))
        taken = kept.astype(bool)
        rows = np.broadcast_to(item_rows[:, None], taken.shape)
        return self.scatter(tap, rows[taken], keys[taken], values[taken])

    def _tap(self, tap: str) -> tuple[dict[str, NDArray[np.int64]], NDArray[np.int64]]:
        """Fields of a tap's beats, of all lanes one after the other, and the row number of each beat."""
        shared = self.description.config.queries_per_scan
        fields, rows = [], []
        lane_of_row = np.tile(np.arange(self.traffic.queries) % shared, self.traffic.heads)
        for lane, name in enumerate(numbered(tap, shared)):
            fields.append(self.description.ports[name].unpack(self.recording.beats[name].raw))
            rows.append(self._rows_of(name, fields[-1]["last"], np.flatnonzero(lane_of_row == lane)))
        return {name: np.concatenate([one[name] for one in fields]) for name in fields[0]}, np.concatenate(rows)

    def _rows_of(self, tap: str, last: NDArray[np.int64], expected: NDArray[np.int64]) -> NDArray[np.int64]:
        """Row number of each beat of a tap that brings the ``expected`` rows, from the end marks before it."""
        if (ends := int(last.sum())) != len(expected) or (len(last) and not last[-1]):
            raise MismatchError(f"{tap}: {ends} rows ended, not {len(expected)}")
        return expected[np.cumsum(last) - last]

    def scatter(
        self, tap: str, rows: NDArray[np.int64], keys: NDArray[np.int64], values: NDArray[np.int64]
    ) -> tuple[NDArray[np.bool_], NDArray[np.int64]]:
        if len(beyond := np.flatnonzero(keys >= self.traffic.keys)):
            place = f"{self.place_of(rows[beyond[0]])}, key {keys[beyond[0]]}"
            raise MismatchError(f"{tap}: {place} is beyond the {self.traffic.keys} keys")
        times = np.zeros((self.rows, self.traffic.keys), np.int64)
        np.add.at(times, (rows, keys), 1)
        if len(twice := np.argwhere(times > 1)):
            raise MismatchError(f"{tap}: {self.place_of(twice[0][0])}, key {twice[0][1]} was delivered more than once")
        placed = np.zeros(times.shape, np.int64)
        placed[rows, keys] = values
        return times > 0, placed

    def _check_seen(self, seen: NDArray[np.bool_]) -> None:
        valid = self.traffic.valid(self.description.config.causal)
        self.check_same("tap_estimate", seen, np.tile(valid, (self.traffic.heads, 1)))

    def check_same(self, tap: str, got: NDArray[np.bool_], expected: NDArray[np.bool_]) -> None:
        wrong = np.argwhere(got != expected)
        if len(wrong):
            row, key = wrong[0]
            fault = "delivered a key that it must not" if got[row, key] else "left a key out"
            raise MismatchError(f"{tap}: {self.place_of(row)}: {fault}: key {key}")

    def place_of(self, row: int) -> str:
        return f"head {row // self.traffic.queries}, query {row % self.traffic.queries}"
