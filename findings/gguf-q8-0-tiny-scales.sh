#!/bin/sh
# gguf 0.19.0 stores the scale of a Q8_0 block as a float16 without a check: a block whose largest value is about 4e-6
# comes back 1.9 times too large, one of 3e-6 as zeros, one of 9e6 as infinities and NaN. Halves round away from zero
# there, not to even as NumPy, PyTorch and ONNX round.
# Found 2026-11-30, Python 3.11, gguf 0.19.0, numpy 2.4.6.
#
# Seen, largest value in and out: 1e-4 -> 9.84e-5, 4e-6 -> 7.57e-6, 3e-6 -> 0, 9e6 -> inf (zeros beside it -> NaN, with
# two RuntimeWarnings). Quotients 0.5, 1.5, 2.5, -0.5, -2.5 become 1, 2, 3, -1, -3. So hardware that takes steps from
# such a file must expect a step of 0 beside values that are not.
#
# Exits with 0 while it is so, and with 1 when tiny blocks keep their values or halves go to even.
set -eu
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/venv"
"$folder/venv/bin/pip" install --quiet --disable-pip-version-check 'gguf==0.19.0' 'numpy==2.4.6'
cat > "$folder/measure.py" <<'PY'
import sys

import numpy as np
from gguf import GGMLQuantizationType, quants

Q8_0 = GGMLQuantizationType.Q8_0


def there_and_back(*values):
    block = np.zeros((1, 32), np.float32)
    block[0, : len(values)] = values
    with np.errstate(all="ignore"):
        packed = quants.quantize(block, Q8_0)
        return packed[0, 2:].view(np.int8)[: len(values)].tolist(), quants.dequantize(packed, Q8_0)[0]


out = {value: float(there_and_back(value)[1][0]) for value in (1e-4, 4e-6, 3e-6, 9e6)}
beside = there_and_back(9e6)[1][1]
halves = there_and_back(127, 0.5, 1.5, 2.5, -0.5, -2.5)[0][1:]
print(f"largest value of a block, in and out: {out}; a zero beside 9e6: {beside}; halves: {halves}")
far_off = out[4e-6] > 1.8 * 4e-6 and out[3e-6] == 0 and np.isinf(out[9e6]) and np.isnan(beside)
sys.exit(0 if far_off and halves == [1, 2, 3, -1, -3] else 1)
PY
"$folder/venv/bin/python" "$folder/measure.py"
