"""What a user chooses: configurations of a head core, of a whole accelerator and of the dense baseline; presets.

The names that everything reads are here; :mod:`latte_hw.config.top`, :mod:`~latte_hw.config.presets`,
:mod:`~latte_hw.config.loading` and :mod:`~latte_hw.config.errors` have the others. No NumPy, no Amaranth.
"""

from latte_hw.config.base import GROUP_SIZE, TOTAL_BITS, CoreConfig, PipelineChoice
from latte_hw.config.core import Core, Datapath, Wrapper
from latte_hw.config.dense import DenseConfig
from latte_hw.config.dot import Dot, DotChoice
from latte_hw.config.head import LatteConfig, Reuse, Rule, Split

__all__ = [
    "GROUP_SIZE",
    "TOTAL_BITS",
    "Core",
    "CoreConfig",
    "Datapath",
    "DenseConfig",
    "Dot",
    "DotChoice",
    "LatteConfig",
    "PipelineChoice",
    "Reuse",
    "Rule",
    "Split",
    "Wrapper",
]
