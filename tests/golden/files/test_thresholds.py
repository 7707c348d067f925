"""The thresholds file, and what it does to a tensor file."""

import json
from dataclasses import replace

import numpy as np
import pytest

from golden.blocks import conditioning
from golden.blocks.quantize import head_scales
from golden.files import tensors
from golden.files.inputs import load_inputs
from golden.files.thresholds import apply, save
from latte_hw.config import LatteConfig
from latte_hw.config import thresholds as thresholds_file
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import ModelShape, StaticArrays, ThresholdsFile
from latte_hw.params import HeadParams

CONFIG = LatteConfig(head_dim=8, causal=True, heads=4)
SHAPE = ModelShape("small", "llama", layers=2, heads=4, kv_heads=2, head_dim=8)


def made(static: bool = False, names: tuple[str, ...] = ("smooth_k", "rotate")) -> ThresholdsFile:
    rng = np.random.default_rng(0)

    def some(*shape: int) -> np.ndarray:
        return rng.uniform(0.01, 0.03, shape).astype(np.float32)

    scales = StaticArrays(some(2, 4), some(2, 2), some(2, 2), some(2, 2, 8)) if static else None
    return ThresholdsFile(SHAPE, CONFIG, 100 * some(2, 4), names, scales, {"note": "by hand"})


def trace() -> dict[str, np.ndarray]:
    rng = np.random.default_rng(1)
    shapes = {"q": (4, 12, 8), "k": (2, 12, 8), "v": (2, 12, 8)}
    return {name: rng.standard_normal(shape).astype(np.float32) for name, shape in shapes.items()}


@pytest.mark.parametrize("static", [False, True])
def test_what_is_saved_is_loaded_bit_for_bit(tmp_path, static):
    file = made(static)
    save(file, tmp_path / "a.json")
    loaded = thresholds_file.load(tmp_path / "a.json")
    np.testing.assert_array_equal(loaded.tau, file.tau)
    if static:
        for name, array in vars(file.scales).items():
            np.testing.assert_array_equal(getattr(loaded.scales, name), array)
    assert (loaded.model, loaded.config, loaded.conditioning, loaded.training) == (
        file.model, file.config, file.conditioning, file.training,
    )  # fmt: skip
    assert loaded.to_json() == file.to_json()


def test_clip_is_saved_and_shapes_the_scales(tmp_path):
    arrays, file = trace(), replace(made(), clip=0.75)
    save(file, tmp_path / "t.json")
    assert thresholds_file.load(tmp_path / "t.json").clip == 0.75
    tensors.save_npz(tmp_path / "in.npz", arrays)
    loaded, _ = load_inputs(tmp_path / "in.npz", tmp_path / "t.json", 1, None, None, [])
    q, k = conditioning.condition(file.conditioning, arrays["q"], arrays["k"])
    params = HeadParams(CONFIG)
    np.testing.assert_array_equal(loaded.scale_q, head_scales(q, params, 0.75))
    np.testing.assert_array_equal(loaded.scale_k, head_scales(k, params, 0.75))
    np.testing.assert_array_equal(loaded.scale_v, head_scales(arrays["v"], params, tensor="v"))
    text = (tmp_path / "t.json").read_text().replace('"clip": 0.75', '"clip": 1.5')
    (tmp_path / "bad.json").write_text(text)
    with pytest.raises(LatteError, match=r"clip must be above 0 and at most 1, not 1\.5"):
        thresholds_file.load(tmp_path / "bad.json")


def test_a_layer_of_a_tensor_file(tmp_path):
    arrays, file = trace(), made()
    save(file, tmp_path / "t.json")
    tensors.save_npz(tmp_path / "in.npz", arrays)
    loaded, config = load_inputs(tmp_path / "in.npz", tmp_path / "t.json", 1, None, None, ["prob_bits=12"])
    assert config == CONFIG.replace(prob_bits=12)
    q, k = conditioning.condition(("smooth_k", "rotate"), arrays["q"], arrays["k"])
    by_hand = tensors.from_arrays({"q": q, "k": k, "v": arrays["v"], "tau": file.tau[1]}, config)
    for name in ("q8", "k8", "v8", "scale_q", "tau_int"):
        np.testing.assert_array_equal(getattr(loaded, name), getattr(by_hand, name))
    assert loaded.conditioning == ("smooth_k", "rotate")


def test_stored_scales_and_means():
    arrays, file = trace(), made(static=True, names=("smooth_k",))
    applied = apply(file, arrays, 0)
    np.testing.assert_array_equal(applied["scale_k"], file.scales.k[0])
    np.testing.assert_array_equal(applied["k"], arrays["k"] - file.scales.k_mean[0][:, None])
    assert tensors.from_arrays(applied, CONFIG).scale_v.tolist() == file.scales.v[0].tolist()


def test_what_does_not_fit(tmp_path):
    arrays, file = trace(), made()
    save(file, tmp_path / "t.json")
    tensors.save_npz(tmp_path / "in.npz", arrays)

    def load(layer: int | None, settings: list[str] | None = None, thresholds: str | None = "t.json") -> None:
        given = None if thresholds is None else tmp_path / thresholds
        load_inputs(tmp_path / "in.npz", given, layer, None, None, settings)

    for arguments, sentence in {
        (2,): "--layer must be from 0 to 1",
        (None,): "--thresholds needs --layer",
        (0, None, None): "give both or neither",
        (0, ("rule=static",)): "thresholds are for rule=differential, the configuration has static",
        (0, ("msb_bits=5",)): "thresholds are for msb_bits=4, the configuration has 5",
        (0, None, "none.json"): "cannot be read: No such file",
    }.items():
        with pytest.raises(LatteError, match=sentence):
            load(*(list(x) if isinstance(x, tuple) else x for x in arguments))
    with pytest.raises(LatteError, match="for 4 heads of q, the tensor file has 3"):
        apply(file, {**arrays, "q": arrays["q"][:3]}, 0)
    with pytest.raises(LatteError, match=r"need the conditioning smooth_k \+ rotate, .* have rotate"):
        apply(file, {**arrays, "conditioning": np.array(["rotate"])}, 0)
    with pytest.raises(LatteError, match="have none"):
        apply(file, {**arrays, "q": arrays["q"].astype(np.int8)}, 0)
    other = ModelShape("large", "llama", layers=3, heads=4, kv_heads=2, head_dim=8)
    with pytest.raises(LatteError, match="of another model: small has layers 2, large has 3"):
        file.check_model(other)


def test_damaged_files(tmp_path):
    path = tmp_path / "t.json"
    for change, sentence in (
        ({"schema": "x"}, "is not of the schema"),
        ({"tau": [[1.0]]}, r"tau must have shape \(2, 4\)"),
        ({"tau": [[-1.0] * 4] * 2}, "tau must be 0 or more"),
        ({"tau": [[float("nan")] * 4] * 2}, "tau must be finite"),
        ({"scales": {"rule": "other"}}, "scales must be window or static"),
        ({"config": {"head_dim": 9}}, "head_dim must be a multiple of 4"),
        ({"model": {"name": "x"}}, "is damaged"),
        ({"conditioning": ["warp"]}, "conditioning must be among"),
    ):
        path.write_text(json.dumps({**json.loads(made().to_json()), **change}))
        with pytest.raises(LatteError, match=sentence):
            thresholds_file.load(path)
    path.write_text("{")
    with pytest.raises(LatteError, match="is not JSON"):
        thresholds_file.load(path)
