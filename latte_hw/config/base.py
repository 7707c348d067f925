"""What the configurations of all cores have in common: fields, checks and the hash."""

import hashlib
import json
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from latte_hw.config.core import Core
from latte_hw.config.dot import NUMBERS, Dot, DotChoice, check_choice, check_former_names

TOTAL_BITS = 8
"""Width of a quantised query, key or value element (int8)."""

GROUP_SIZE = 4
"""head_dim is a multiple of this, so that tables of 4 dimensions leave no remainder."""


class PipelineChoice(StrEnum):
    """Register slices on long connections; see :class:`latte_hw.params.pipeline.Pipeline`."""

    AUTO = "auto"  # as the number of lanes calls for
    COMPACT = "compact"  # none: fewest registers and cycles
    LARGE = "large"  # all: highest clock where a core spans a chip


class CoreConfig(BaseModel):
    """Elaboration-time parameters that every core has.

    Immutable; all checks run on construction and raise :class:`pydantic.ValidationError`, whose messages name the
    value and what would be right.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", use_enum_values=False)

    core: ClassVar[Core]
    """What is built of a configuration of this class."""

    later: ClassVar[dict[str, Any]] = {
        "pipeline": PipelineChoice.AUTO,
        **{name: getattr(DotChoice(), name) for name in NUMBERS},
    }
    """Fields that came when there were hashes already, and the value that stands for what was before."""

    head_dim: int = Field(64, description="Elements of one query, key or value (D); a multiple of 4, 8 to 128.")
    max_keys: int = Field(1024, description="Keys of one head that fit on chip (N), 1 to 4096.")
    causal: bool = Field(False, description="Query i sees only keys j <= i + causal offset.")
    prob_bits: int = Field(8, description="Bits of an unnormalised softmax weight, 4 to 16.")
    out_fraction_bits: int = Field(0, description="Fraction bits of an output element below V's int8 step, 0 to 8.")
    heads: int = Field(16, description="Entries of the per-head table of thresholds and softmax scales, 1 to 256.")
    kv_buffers: int = Field(2, description="K/V buffers, 1 or 2: with 2, loading a head overlaps computing another.")
    dot: Dot = Field(Dot.TABLES, description="How the dot products are built: tables or multipliers.")
    table_dims: int = Field(4, description="Dimensions that share one table, 3 or 4.")
    table_queries: int = Field(2, description="Queries that a table holds, 1 or 2; with 1 there is a gap between two.")
    adders_per_register: int = Field(1, description="Additions of a table's dot product between registers, 1 or 2.")
    queries_per_scan: int = Field(1, description="Queries that share one scan of K (B), 1 to 16.")
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
    def _check_common(self) -> Self:
        if not 8 <= self.head_dim <= 128 or self.head_dim % GROUP_SIZE:
            raise ValueError(f"head_dim must be a multiple of {GROUP_SIZE} from 8 to 128, not {self.head_dim}")
        self._check_range("max_keys", 1, 4096)
        self._check_range("prob_bits", 4, 16)
        self._check_range("out_fraction_bits", 0, 8)
        self._check_range("heads", 1, 256)
        self._check_range("kv_buffers", 1, 2)
        self._check_range("queries_per_scan", 1, 16)
        check_choice(self.dot_choice)
        return self

    def _check_range(self, name: str, low: int, high: int) -> None:
        value = getattr(self, name)
        if not low <= value <= high:
            raise ValueError(f"{name} must be from {low} to {high}, not {value}")

    @property
    def dot_choice(self) -> DotChoice:
        """How the dot products of a scan are built: of the estimate, or of the scores of a dense core."""
        return DotChoice(self.dot, **{name: getattr(self, name) for name in NUMBERS})

    def replace(self, **changes: object) -> Self:
        """A checked copy with some fields changed."""
        return type(self)(**{**self.model_dump(), **changes})

    def sha256(self) -> str:
        """Hash of every field in canonical JSON: equal exactly when two cores are the same.

        Fields that came later count only where they are not as if they were not there, so that older hashes stay valid.
        """
        fields = self.model_dump(mode="json", exclude=self._uncounted())
        canonical = json.dumps(fields, sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(canonical.encode()).hexdigest()

    def _uncounted(self) -> set[str]:
        """Fields that say nothing else than what was before they came."""
        return {name for name, default in self.later.items() if getattr(self, name) == default}
