#!/bin/sh
# ONNX Runtime's static int8 quantiser has three steps for the same symmetric data: max / 127 for weights, and for
# activations max / 127.5 by default and max / 127 with `ActivationSymmetric`, all three with zero point 0.
# Found 2026-11-30, Python 3.11, onnxruntime 1.32.0, onnx 1.23.2.
#
# Seen for a MatMul whose weights and whose calibration data reach from -10 to 10: 0.0787402 (10 / 127), 0.0784314 (10 /
# 127.5) and 0.0787402. With the default the greatest value, 127.5 steps, saturates and -128 is used: integer hardware
# that recomputes the step as max / 127 because the zero point is 0 is off by 0.4 %.
#
# Exits with 0 while it is so, and with 1 when a step or a zero point is another.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'onnx==1.23.2' 'onnxruntime==1.32.0'
cat > "$folder/measure.py" <<'PY'
import logging
import sys

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

logging.disable(logging.WARNING)
DATA = np.array([[-10, 1, 2, 10]], np.float32)


class Once(CalibrationDataReader):
    def __init__(self):
        self.left = [{"x": DATA}]

    def get_next(self):
        return self.left.pop() if self.left else None


def steps(symmetric):
    """Step and zero point of the activation x and of the weights w."""
    shapes = [helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 4]) for name in ("x", "y")]
    weights = numpy_helper.from_array(np.diag(DATA[0]), "w")
    graph = helper.make_graph([helper.make_node("MatMul", ["x", "w"], ["y"])], "g", shapes[:1], shapes[1:], [weights])
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), "model.onnx")
    quantize_static(
        "model.onnx", "int8.onnx", Once(), quant_format=QuantFormat.QDQ, activation_type=QuantType.QInt8,
        weight_type=QuantType.QInt8, extra_options={"ActivationSymmetric": symmetric},
    )  # fmt: skip
    values = {tensor.name: numpy_helper.to_array(tensor) for tensor in onnx.load("int8.onnx").graph.initializer}
    return {name: (values[f"{name}_scale"].item(), values[f"{name}_zero_point"].item()) for name in ("x", "w")}


default, symmetric = steps(False), steps(True)
print(f"default: {default}; ActivationSymmetric: {symmetric}")
close = [
    np.isclose(10 / 127.5, default["x"][0], rtol=1e-5),
    np.isclose(10 / 127, default["w"][0], rtol=1e-5),
    np.isclose(10 / 127, symmetric["x"][0], rtol=1e-5),
]
sys.exit(0 if all(close) and {zero for _, zero in (*default.values(), *symmetric.values())} == {0} else 1)
PY
cd "$folder"
venv/bin/python measure.py
