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
from latte_hw.config import LatteConfig, Rule
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


def with_change(fields: dict, path: tuple, value: object) -> dict:
    """The fields with another value at a path, or without it for DROP."""
    first, *rest = path
    if rest:
        value = with_change(fields[first], tuple(rest), value)
    return {name: x for name, x in {**fields, first: value}.items() if x is not DROP}


DROP = object()
BAD = [
    (("schema",), "x", "is not of the schema"),
    (("tau",), [[1.0]], r"tau must have shape \(2, 4\), not of shape \(1, 1\)"),
    (("tau",), [[1.0, 2, 3, 4], [1.0]], "tau must have lists of equal lengths"),
    (("tau",), [[-1.0] * 4] * 2, r"tau must be 0 or more for the differential rule, not -1\.0"),
    (("tau",), [[float("nan")] * 4] * 2, r"tau must be finite, at most 3\.4e\+38, not nan"),
    (("tau",), [[float("inf")] * 4] * 2, r"tau must be finite, at most 3\.4e\+38, not inf"),
    (("tau",), [[1e39] * 4] * 2, r"tau must be finite, at most 3\.4e\+38, not 1e\+39"),
    (("tau",), [[10**400] * 4] * 2, r"tau must be finite, at most 3\.4e\+38, not 10{58}…"),
    (("tau",), [[-(10**400)] * 4] * 2, "tau must be finite"),
    (("tau",), [["1.0"] * 4] * 2, "tau must be a number, not '1.0'"),
    (("tau",), [[True] * 4] * 2, "tau must be a number, not True"),
    (("tau",), [[None] * 4] * 2, "tau must be a number, not None"),
    (("tau",), "1.0", "tau: Input should be a valid list, not '1.0'"),
    (("tau",), DROP, "tau is missing"),
    (("model",), DROP, "model is missing"),
    (("model", "layers"), DROP, r"model\.layers is missing"),
    (("model", "layers"), True, r"model\.layers: Input should be a valid integer, not True"),
    (("model", "heads"), "4", r"model\.heads: Input should be a valid integer, not '4'"),
    (("model", "kv_heads"), 0, r"model\.kv_heads: Input should be greater than or equal to 1, not 0"),
    (("model", "kv_heads"), 3, "heads must be a multiple of the 3 K/V heads, not 4"),
    (("model", "name"), 5, r"model\.name: Input should be a valid string, not 5"),
    (("config",), DROP, "config is missing"),
    (("config", "head_dim"), 9, "head_dim must be a multiple of 4"),
    (("config", "heads"), True, "heads must not be a truth value, but is true"),
    (("config",), [], r"config: Input should be a valid dictionary, not \[\]"),
    (("scales",), DROP, "scales is missing"),
    (("scales", "rule"), "other", "scales must be window or static, not 'other'"),
    (("scales", "rule"), DROP, r"scales\.rule is missing"),
    (("scales", "clip"), "0.5", r"scales\.clip: Input should be a valid number, not '0\.5'"),
    (("scales", "clip"), True, r"scales\.clip: Input should be a valid number, not True"),
    (("scales", "clip"), float("nan"), r"scales\.clip: Input should be a finite number, not nan"),
    (("scales", "clip"), 0, "clip must be above 0 and at most 1, not 0"),
    (("scales", "q"), [["1"] * 4] * 2, "scales of q must be a number, not '1'"),
    (("scales", "q"), DROP, "scales of q are missing"),
    (("scales", "k"), [[0.5, 0.0]] * 2, "scales of k must be above 0, not 0"),
    (("scales", "v"), [[0.5, 1e-60]] * 2, "scales of v must be above 0, not 0"),
    (("scales", "k_mean"), [[[0.0] * 8]], r"means of k must have shape \(2, 2, 8\)"),
    (("conditioning",), ["warp"], "conditioning must be among"),
    (("conditioning",), "rotate", "conditioning: Input should be a valid list, not 'rotate'"),
    (("training",), [], r"training: Input should be a valid dictionary, not \[\]"),
]


@pytest.mark.parametrize(("path", "value", "sentence"), BAD, ids=[sentence for *_, sentence in BAD])
def test_damaged_files(tmp_path, path, value, sentence):
    file = tmp_path / "t.json"
    file.write_text(json.dumps(with_change(json.loads(made(static=True).to_json()), path, value)))
    with pytest.raises(LatteError, match=sentence) as raised:
        thresholds_file.load(file)
    assert str(raised.value).startswith(f"thresholds file {file}")
    assert len(str(raised.value)) < len(str(file)) + 150


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        ("{", "is not JSON: Expecting property name enclosed in double quotes in line 1"),
        ("[1]", "is not of the schema"),
        ('{"schema": "latte-thresholds-1", "tau": ' + "[" * 100_000, "must not nest its lists and objects so deeply"),
    ],
)
def test_files_that_are_no_thresholds(tmp_path, content, sentence):
    (tmp_path / "t.json").write_text(content)
    with pytest.raises(LatteError, match=sentence):
        thresholds_file.load(tmp_path / "t.json")


@pytest.mark.parametrize(
    ("values", "sentence"),
    [
        ([1.0, -0.5], r"tau must be 0 or more for the differential rule, not -0\.5"),
        (np.array([np.nan, 1]), "tau must be finite, .* not nan"),
        ([1, -np.inf], "tau must be finite, .* not -inf"),
        ([10**400], "tau must be finite"),
        (np.float64(1e300), "tau must be finite, .* not 1e"),
        ([np.float32(1), np.bool_(True)], "tau must be a number, not np.True_"),
        ([1, "2"], "tau must be a number, not '2'"),
        ("2", "tau must be numbers, not '2'"),
        ({"tau": 1}, "tau must be numbers, not {'tau': 1}"),
        (None, "tau must be numbers, not None"),
        (2.0, r"tau must be one number per head, not of shape \(\)"),
        ([[1.0]], r"tau must be one number per head, not of shape \(1, 1\)"),
        ([1j], "tau must be a number, not 1j"),
        (np.array([1j]), "tau must be numbers, not complex128"),
    ],
)
def test_the_one_way_in_for_thresholds(values, sentence):
    with pytest.raises(LatteError, match=sentence):
        thresholds_file.tau_of(values, Rule.DIFFERENTIAL)


def test_static_thresholds_may_be_negative():
    assert thresholds_file.tau_of([-1.5, 2], Rule.STATIC).tolist() == [-1.5, 2.0]
