#!/bin/sh
# ONNX's MatMulInteger takes a zero point per row of A (an M-element vector for A of M x K, says its definition since
# opset 10), which is what quantising each token by itself needs. Neither ONNX's own reference evaluator nor ONNX
# Runtime computes it, though the checker accepts the model.
# Found 2026-11-30, Python 3.11, onnx 1.23.2, onnxruntime 1.32.0.
#
# Seen: the evaluator subtracts the vector along the wrong axis, so M != K ends in a ValueError from NumPy, and M = K
# gives a wrong matrix without a word. ONNX Runtime loads the model and refuses it when run: "MatmulInteger : input1
# zero point must be a scalar or 1D tensor of size 1". A zero point per column of B works in both.
#
# Exits with 0 while it is so, and with 1 when one of the two gives the defined result.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'onnx==1.23.2' 'onnxruntime==1.32.0'
cat > "$folder/measure.py" <<'PY'
import sys

import numpy as np
import onnxruntime
from onnx import TensorProto, checker, helper
from onnx.reference import ReferenceEvaluator


def product(a, b, rows, columns, run):
    """MatMulInteger of int8 a (M, K), b (K, N) with a zero point per row of a and one per column of b."""
    names, arrays = ("a", "b", "rows", "columns"), (a, b, rows, columns)
    inputs = [helper.make_tensor_value_info(n, TensorProto.INT8, x.shape) for n, x in zip(names, arrays)]
    output = helper.make_tensor_value_info("y", TensorProto.INT32, (a.shape[0], b.shape[1]))
    graph = helper.make_graph([helper.make_node("MatMulInteger", names, ["y"])], "g", inputs, [output])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)
    checker.check_model(model, full_check=True)
    try:
        return run(model)(None, dict(zip(names, arrays)))[0]
    except Exception as error:
        return f"{type(error).__name__}"


def reference(model):
    return ReferenceEvaluator(model).run


def runtime(model):
    onnxruntime.set_default_logger_severity(4)
    return onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"]).run


def defined(a, b, rows, columns):
    return (a.astype(int) - rows.astype(int)[:, None]) @ (b.astype(int) - columns.astype(int))


random = np.random.default_rng(1)
seen = {}
for m, k in ((2, 4), (4, 4)):
    a, b, rows, columns = (random.integers(-50, 50, s).astype(np.int8) for s in ((m, k), (k, 3), m, 3))
    for name, run in (("reference", reference), ("runtime", runtime)):
        result = product(a, b, rows, columns, run)
        if not isinstance(result, str):
            result = "right" if np.array_equal(result, defined(a, b, rows, columns)) else "wrong"
        seen[name, m, k] = result
        one = np.full(1, 3, np.int8)
        columns_only = product(a, b, one, columns, run)
        seen[name, m, k, "columns"] = np.array_equal(columns_only, defined(a, b, np.repeat(one, m), columns))
print(seen)
works = all(right for key, right in seen.items() if key[-1] == "columns")
refused = "right" not in seen.values() and seen["reference", 4, 4] == "wrong"
sys.exit(0 if works and refused else 1)
PY
"$folder/venv/bin/python" "$folder/measure.py"
