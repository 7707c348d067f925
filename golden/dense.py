"""Dense int8 attention, the baseline: the same model with every valid key kept and its exact score.

An estimate of all 8 bits is the int8 dot product of query and key, and the greatest threshold of the ``differential``
rule keeps every valid key. The thresholds of the tensor file make no difference. Softmax and weighted sum are those of
:mod:`golden.attention`.
"""

from dataclasses import replace

import numpy as np

from golden.attention import attention
from golden.blocks.arith import Array
from golden.files.tensors import TensorFile
from latte_hw.config import DenseConfig
from latte_hw.params.dense import DenseParams


def dense_attention(tensors: TensorFile, config: DenseConfig) -> dict[str, Array]:
    """The results of :func:`golden.attention.attention` without ``estimate``: a dense core makes no estimates.

    ``keep`` is true at every valid pair, ``score`` is the int8 dot product there and 0 elsewhere, and the three
    ``counters`` of a head are equal.
    """
    params = DenseParams.of(config)
    everything = np.full_like(tensors.tau_int, params.widths.threshold_range[1])
    results = attention(replace(tensors, tau_int=everything), params.config)
    del results["estimate"]
    return results | {"tau_int": tensors.tau_int}
