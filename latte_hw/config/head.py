"""The one object that describes an accelerator: every elaboration-time parameter, checked once."""

import hashlib
import json
from dataclasses import replace
from enum import StrEnum
from typing import Any, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from latte_hw.config.dot import NUMBERS, REUSE, Dot, DotChoice, check_choice, check_former_names

TOTAL_BITS = 8
"""Width of a quantised query, key or value element (int8)."""

GROUP_SIZE = 4
"""head_dim is a multiple of this, so that tables of 4 dimensions leave no remainder."""


class Split(StrEnum):
    """How an int8 element is cut into a high part of ``msb_bits`` bits and a low part."""

    TRUNCATE = "truncate"  # the paper: the high part is the truncated value, the low part is unsigned
    BALANCED = "balanced"  # ours: the high part is rounded, the low part is signed, the estimate is unbiased


class Reuse(StrEnum):
    """Which products complete the 8-bit score of a kept key."""

    THREE_TERM = "three_term"  # the paper's approximation: the low x low product is left out
    EXACT = "exact"  # the score equals the int8 dot product


class Rule(StrEnum):
    """When a key is kept."""

    DIFFERENTIAL = "differential"  # its estimate is within the threshold of the row's best estimate
    STATIC = "static"  # ablation: its estimate reaches the threshold itself (the row's best is always kept)


class PipelineChoice(StrEnum):
    """Register slices on long connections; see :class:`latte_hw.params.pipeline.Pipeline`."""

    AUTO = "auto"  # as the number of lanes calls for
    COMPACT = "compact"  # none: fewest registers and cycles
    LARGE = "large"  # all: highest clock where a core spans a chip


class Core(StrEnum):
    """What is built of a configuration."""

    LATTE = "latte"  # the head core that prunes
    DENSE = "dense"  # the int8 baseline with the same ports
    TOP = "top"  # several head cores that prune behind AXI4 ports


class LatteConfig(BaseModel):
    """Every elaboration-time parameter of one LATTE head core.

    Immutable; all checks run on construction and raise :class:`pydantic.ValidationError`, whose messages name the
    value and what would be right. Derived widths, depths and latencies are in :class:`latte_hw.params.HeadParams`.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)

    head_dim: int = Field(64, description="Elements of one query, key or value (D); a multiple of 4, 8 to 128.")
    max_keys: int = Field(
        1024, description="Keys of one head that fit on chip (N), 1 to 4096; a multiple of keys_per_cycle."
    )
    keys_per_cycle: int = Field(8, description="Keys estimated per cycle and query (P), 1 to 16.")
    msb_bits: int = Field(4, description="Most significant bits of q and k that make the estimate (M), 2 to 8.")
    split: Split = Field(Split.BALANCED, description="How int8 is cut into high and low part.")
    reuse: Reuse = Field(Reuse.THREE_TERM, description="Products that complete the score of a kept key.")
    rule: Rule = Field(Rule.DIFFERENTIAL, description="When a key is kept.")
    causal: bool = Field(False, description="Query i sees only keys j <= i + causal offset.")
    prob_bits: int = Field(8, description="Bits of an unnormalised softmax weight, 4 to 16.")
    out_fraction_bits: int = Field(0, description="Fraction bits of an output element below V's int8 step, 0 to 8.")
    heads: int = Field(16, description="Entries of the per-head table of thresholds and softmax scales, 1 to 256.")
    kv_buffers: int = Field(2, description="K/V buffers, 1 or 2: with 2, loading a head overlaps computing another.")
    dot: Dot = Field(Dot.TABLES, description="How the dot products are built: tables or multipliers.")
    table_dims: int = Field(4, description="Dimensions that share one table, 3 or 4.")
    table_queries: int = Field(2, description="Queries that a table holds, 1 or 2; with 1 there is a gap between two.")
    adders_per_register: int = Field(1, description="Additions of a table's dot product between registers, 1 or 2.")
    reuse_dot: Dot | None = Field(None, description="dot of reuse, which completes scores; none: as dot says.")
    reuse_table_dims: int | None = Field(None, description="table_dims of reuse; none: as table_dims says.")
    reuse_table_queries: int | None = Field(None, description="table_queries of reuse; none: as table_queries says.")
    reuse_adders_per_register: int | None = Field(
        None, description="adders_per_register of reuse; none: as adders_per_register says."
    )
    queries_per_scan: int = Field(1, description="Queries that share one scan of K (B), 1 to 16.")
    kept_per_cycle: int = Field(1, description="Kept keys of a query completed and summed up per cycle (R), 1 or 2.")
    pipeline: PipelineChoice = Field(
        PipelineChoice.AUTO, description="Register slices on long connections: auto, compact or large."
    )

    @model_validator(mode="before")
    @classmethod
    def _check_names(cls, values: Any) -> Any:
        if isinstance(values, dict):
            check_former_names(values)
        return values

    @model_validator(mode="after")
    def _check(self) -> Self:
        if not 8 <= self.head_dim <= 128 or self.head_dim % GROUP_SIZE:
            raise ValueError(f"head_dim must be a multiple of {GROUP_SIZE} from 8 to 128, not {self.head_dim}")
        self._check_range("keys_per_cycle", 1, 16)
        if not 1 <= self.max_keys <= 4096:
            raise ValueError(f"max_keys must be from 1 to 4096, not {self.max_keys}")
        if self.max_keys % self.keys_per_cycle:
            fitting = -(-self.max_keys // self.keys_per_cycle) * self.keys_per_cycle
            raise ValueError(
                f"max_keys must be a multiple of keys_per_cycle, because K lies in {self.keys_per_cycle} banks of "
                f"equal depth: {self.max_keys} is not a multiple of {self.keys_per_cycle}, {fitting} is"
            )
        self._check_range("msb_bits", 2, TOTAL_BITS)
        self._check_range("prob_bits", 4, 16)
        self._check_range("out_fraction_bits", 0, 8)
        self._check_range("heads", 1, 256)
        self._check_range("kv_buffers", 1, 2)
        self._check_range("queries_per_scan", 1, 16)
        self._check_range("kept_per_cycle", 1, 2)
        if self.kept_per_cycle > 1 and self.queries_per_scan > 1:
            raise ValueError(
                "queries that share a scan have a lane each for one kept key per cycle: "
                f"kept_per_cycle={self.kept_per_cycle} and queries_per_scan={self.queries_per_scan} exclude each other"
            )
        check_choice(self.dot_choice)
        check_choice(self.reuse_choice, REUSE)
        return self

    @property
    def dot_choice(self) -> DotChoice:
        """How the dot products of the estimate are built."""
        return DotChoice(self.dot, **{name: getattr(self, name) for name in NUMBERS})

    @property
    def reuse_choice(self) -> DotChoice:
        """How those that complete a score are built: as those of the estimate, but for what is given."""
        given = {name: getattr(self, f"{REUSE}{name}") for name in ("dot", *NUMBERS)}
        base = DotChoice() if self.reuse_dot is Dot.MULTIPLIERS else self.dot_choice
        return replace(base, **{name: value for name, value in given.items() if value is not None})

    def _as_estimate(self, name: str) -> bool:
        """Whether a field of reuse says nothing else than that of the estimate."""
        return getattr(self, f"{REUSE}{name}") in (None, getattr(self, name))

    def _check_range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}, not {value}")

    def replace(self, **changes: object) -> Self:
        """A checked copy with some fields changed."""
        return type(self)(**{**self.model_dump(), **changes})

    def sha256(self) -> str:
        """Hash of every field in canonical JSON: equal exactly when two cores are the same.

        Fields that came later count only where they are not as if they were not there, so that older hashes stay valid.
        """
        later = {
            "kept_per_cycle": 1,
            "pipeline": PipelineChoice.AUTO,
            **{name: getattr(DotChoice(), name) for name in NUMBERS},
        }
        unused = {name for name, default in later.items() if getattr(self, name) == default}
        unused |= {f"{REUSE}{name}" for name in ("dot", *NUMBERS) if self._as_estimate(name)}
        fields = self.model_dump(mode="json", exclude=unused)
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()
