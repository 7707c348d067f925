"""What can be synthesised: whole cores, and the blocks of a LATTE head by themselves."""

from collections.abc import Callable
from typing import Any

from latte_hw.config import CoreConfig, LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import check_head_core
from latte_hw.core.estimator import MS4BEstimator
from latte_hw.core.kv_store import KvStore
from latte_hw.core.reuse_datapath import ReuseDatapath
from latte_hw.core.sequencer import Sequencer
from latte_hw.core.softmax import Softmax
from latte_hw.core.threshold_filter import HeadThresholdFilter
from latte_hw.core.weighted_sum import WeightedSum
from latte_hw.emit.head import build_head
from latte_hw.params import HeadParams

BLOCKS: dict[str, Callable[[HeadParams], Any]] = {
    "store": KvStore,
    "sequencer": Sequencer,
    "estimator": MS4BEstimator,
    "filter": HeadThresholdFilter,
    "reuse": ReuseDatapath,
    "softmax": Softmax,
    "weighted_sum": WeightedSum,
}
"""Name of a block, as in the head's block diagram, to what builds it from the derived parameters."""

WHOLE = "head"
BLOCK_NAMES = (WHOLE, *BLOCKS)


def build(block: str, config: CoreConfig) -> Any:
    """The component to synthesise. Raises :class:`LatteError` on an unknown block, or a core that is no head."""
    check_head_core(config.core, "latte synth")
    if block == WHOLE:
        return build_head(config)
    if block not in BLOCKS:
        raise LatteError(f"block must be one of {', '.join(BLOCK_NAMES)}, not {block!r}")
    if not isinstance(config, LatteConfig):
        raise LatteError(f"block {block} belongs to the core latte, not to {config.core.value}; leave --block out")
    return BLOCKS[block](HeadParams(config))
