"""What describes a LATTE head core: every elaboration-time parameter, checked once."""

from dataclasses import replace
from enum import StrEnum
from typing import Any, ClassVar, Self

from pydantic import Field, model_validator

from latte_hw.config.base import TOTAL_BITS, CoreConfig
from latte_hw.config.core import Core
from latte_hw.config.dot import NUMBERS, REUSE, Dot, DotChoice, check_choice


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


class LatteConfig(CoreConfig):
    """Every elaboration-time parameter of one LATTE head core.

    Immutable; all checks run on construction and raise :class:`pydantic.ValidationError`, whose messages name the
    value and what would be right. Derived widths, depths and latencies are in :class:`latte_hw.params.HeadParams`.
    """

    core: ClassVar[Core] = Core.LATTE
    later: ClassVar[dict[str, Any]] = {**CoreConfig.later, "kept_per_cycle": 1, "output_slices": 0}

    keys_per_cycle: int = Field(8, description="Keys estimated per cycle and query (P), 1 to 16; divides max_keys.")
    msb_bits: int = Field(4, description="Most significant bits of q and k that make the estimate (M), 2 to 8.")
    split: Split = Field(Split.BALANCED, description="How int8 is cut into high and low part.")
    reuse: Reuse = Field(Reuse.THREE_TERM, description="Products that complete the score of a kept key.")
    rule: Rule = Field(Rule.DIFFERENTIAL, description="When a key is kept.")
    kept_per_cycle: int = Field(1, description="Kept keys of a query completed and summed up per cycle (R), 1 or 2.")
    output_slices: int = Field(0, description="Register slices before the port of the output rows, 0 to 4.")
    reuse_dot: Dot | None = Field(None, description="dot of reuse, which completes scores; none: as dot says.")
    reuse_table_dims: int | None = Field(None, description="table_dims of reuse; none: as table_dims says.")
    reuse_table_queries: int | None = Field(None, description="table_queries of reuse; none: as table_queries says.")
    reuse_adders_per_register: int | None = Field(
        None, description="adders_per_register of reuse; none: as adders_per_register says."
    )

    @model_validator(mode="after")
    def _check(self) -> Self:
        self._check_range("keys_per_cycle", 1, 16)
        if self.max_keys % self.keys_per_cycle:
            fitting = -(-self.max_keys // self.keys_per_cycle) * self.keys_per_cycle
            raise ValueError(
                f"max_keys must be a multiple of keys_per_cycle, because K lies in {self.keys_per_cycle} banks of "
                f"equal depth: {self.max_keys} is not a multiple of {self.keys_per_cycle}, {fitting} is"
            )
        self._check_range("msb_bits", 2, TOTAL_BITS)
        self._check_range("kept_per_cycle", 1, 2)
        self._check_range("output_slices", 0, 4)
        if self.kept_per_cycle > 1 and self.queries_per_scan > 1:
            raise ValueError(
                "queries that share a scan have a lane each for one kept key per cycle: "
                f"kept_per_cycle={self.kept_per_cycle} and queries_per_scan={self.queries_per_scan} exclude each other"
            )
        check_choice(self.reuse_choice, REUSE)
        return self

    @property
    def reuse_choice(self) -> DotChoice:
        """How the dot products that complete a score are built: as those of the estimate, but for what is given."""
        given = {name: getattr(self, f"{REUSE}{name}") for name in ("dot", *NUMBERS)}
        base = DotChoice() if self.reuse_dot is Dot.MULTIPLIERS else self.dot_choice
        return replace(base, **{name: value for name, value in given.items() if value is not None})

    def _uncounted(self) -> set[str]:
        """As before there were fields of reuse, where these say what those of the estimate say."""
        names = ("dot", *NUMBERS)
        same = {f"{REUSE}{name}" for name in names if getattr(self, f"{REUSE}{name}") in (None, getattr(self, name))}
        return super()._uncounted() | same
