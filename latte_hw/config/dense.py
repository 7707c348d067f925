"""What describes a dense core: the fields that it has, and why it has no others of a LATTE core."""

from typing import Any, ClassVar, Self

from pydantic import model_validator

from latte_hw.config.base import CoreConfig
from latte_hw.config.core import Core
from latte_hw.config.dot import NUMBERS, REUSE
from latte_hw.config.head import LatteConfig

_WITHOUT = {
    **dict.fromkeys(("keys_per_cycle", "msb_bits", "split"), "has no estimate"),
    "rule": "drops no key",
    "kept_per_cycle": "drops no key",
    **dict.fromkeys(("reuse", *(f"{REUSE}{name}" for name in ("dot", *NUMBERS))), "completes no score"),
}
"""Field of a LATTE core to what a dense core does not do, and so does without it."""


def why_not(name: str) -> str | None:
    """The sentence that refuses a field of a LATTE core for a dense one; None if there is nothing to refuse."""
    if name in DenseConfig.model_fields or name not in LatteConfig.model_fields:
        return None
    return f"{name} belongs to the latte core; the dense core {_WITHOUT.get(name, 'does without it')}"


class DenseConfig(CoreConfig):
    """Every elaboration-time parameter of one dense int8 core. Immutable and checked, as :class:`LatteConfig`.

    Derived widths, depths and latencies are in :class:`latte_hw.params.dense.DenseParams`.
    """

    core: ClassVar[Core] = Core.DENSE

    @model_validator(mode="before")
    @classmethod
    def _check_fields(cls, values: Any) -> Any:
        for name in values if isinstance(values, dict) else ():
            if (sentence := why_not(name)) is not None:
                raise ValueError(sentence)
        return values

    @classmethod
    def of(cls, config: CoreConfig) -> Self:
        """The dense core to hold another core against: what remains of its fields."""
        return cls(**{name: getattr(config, name) for name in cls.model_fields})
