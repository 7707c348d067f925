"""Multi-head attention, every stage visible: the integer reference of the whole accelerator.

``attention(tensors, config)`` takes a checked :class:`golden.files.tensors.TensorFile` and returns, by name (H query
heads, G K/V heads, Nq queries, Nk keys, D dimensions):

==================  =======  ===============  ====================================================
``q8``              int8     (H, Nq, D)       quantised queries
``k8`` ``v8``       int8     (G, Nk, D)       quantised keys and values
``scale_q``         float32  (H,)             int8 step of q
``scale_k/v``       float32  (G,)             int8 step of k, of v
``tau_int``         int64    (H,)             threshold registers
``softmax_scale``   int64    (H, 2)           mantissa and shift registers
``estimate``        int32    (H, Nq, Nk)      0 at invalid pairs, which the hardware never computes
``keep``            bool     (H, Nq, Nk)
``score``           int32    (H, Nq, Nk)      0 where dropped
``prob``            uint16   (H, Nq, Nk)      unnormalised weight, 0 where dropped
``out``             int16    (H, Nq, D)       in steps of scale_v / 2^out_fraction_bits
``counters``        int64    (H, 3)           columns in ``counter_names``
``counter_names``   str      (3,)             keys_seen, survivors, kept
==================  =======  ===============  ====================================================
"""

import os
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache

import numpy as np
from threadpoolctl import ThreadpoolController  # type: ignore[import-untyped]

from golden.blocks.arith import Array
from golden.blocks.head import COUNTER_NAMES, HeadRegisters, HeadResult, run_head
from golden.files.tensors import TensorFile
from latte_hw.config import LatteConfig
from latte_hw.params import HeadParams


def attention(tensors: TensorFile, config: LatteConfig) -> dict[str, Array]:
    """Every result of the accelerator for ``tensors``; see the module for names, types and shapes.

    Heads run side by side in threads; the result does not depend on how many.
    """
    params = HeadParams(config)
    heads, n_queries, dim = tensors.q8.shape
    pairs = (heads, n_queries, tensors.k8.shape[1])
    results: dict[str, Array] = {
        "estimate": np.zeros(pairs, np.int32),
        "keep": np.zeros(pairs, np.bool_),
        "score": np.zeros(pairs, np.int32),
        "prob": np.zeros(pairs, np.uint16),
        "out": np.zeros((heads, n_queries, dim), np.int16),
        "counters": np.zeros((heads, len(COUNTER_NAMES)), np.int64),
    }

    def run(head: int) -> None:
        kv_head = head // tensors.group
        run_head(
            tensors.q8[head],
            tensors.k8[kv_head],
            tensors.v8[kv_head],
            HeadRegisters(int(tensors.tau_int[head]), *(int(part) for part in tensors.softmax_scale[head])),
            tensors.causal_offset,
            params,
            HeadResult(**{name: array[head] for name, array in results.items()}),
        )

    # One BLAS thread per head: BLAS threads that wait for each other while heads fill every core cost up to 20 times.
    with _blas().limit(limits=1, user_api="blas"), ThreadPoolExecutor(min(heads, os.cpu_count() or 1)) as pool:
        list(pool.map(run, range(heads)))
    return {**_inputs(tensors), **results, "counter_names": np.array(COUNTER_NAMES)}


@lru_cache
def _blas() -> ThreadpoolController:
    return ThreadpoolController()  # finding the loaded libraries takes milliseconds


def _inputs(tensors: TensorFile) -> dict[str, Array]:
    names = ("q8", "k8", "v8", "scale_q", "scale_k", "scale_v", "tau_int", "softmax_scale")
    return {name: getattr(tensors, name) for name in names}
