"""`latte tokens`, `latte train`, `latte evaluate`, and what `latte golden` makes of their files."""

import json
import os
import re
import subprocess
import sys

import numpy as np
import pytest

from latte_hw.cli.main import app
from latte_hw.config import thresholds as thresholds_file
from latte_hw.config.errors import LatteError


def latte(*words: object) -> None:
    app([str(word) for word in words], standalone_mode=False)


@pytest.fixture(scope="module")
def files(folder, tmp_path_factory):
    """Tokens, and trained thresholds with static scales."""
    root = tmp_path_factory.mktemp("files")
    latte("tokens", "--model", folder / "model", "--text", folder / "text.txt", "--chunk", 64, "-o", root / "tok.npz")
    latte(*train(folder, root, "static.json"), "--scales", "static", "--static-quantile", 0.9)
    return root


def train(folder, root, name, steps: int = 4) -> list[object]:
    data = ["--model", folder / "model", "--tokens", root / "tok.npz", "--window", 32, "--device", "cpu"]
    return ["train", *data, "--keep", 0.3, "--steps", steps, "--calibration", 4, "--batch", 2, "-o", root / name]


def judge(folder, root, name) -> list[object]:
    data = ["--model", folder / "model", "--tokens", root / "tok.npz", "--window", 32, "--device", "cpu"]
    return ["evaluate", *data, "--windows", 6, "--thresholds", root / name]


def test_training_writes_a_thresholds_file(files):
    file = thresholds_file.load(files / "static.json")
    assert file.scales_rule == "static"
    assert file.conditioning == ("smooth_k", "rotate")
    assert (file.config.head_dim, file.config.causal) == (8, True)
    assert 0.28 < file.training["keep_on_training"] <= 0.3
    assert file.training["history"][-1]["step"] == 4
    assert file.training["data"]["source"] == "text.txt"


def test_a_run_can_be_made_again_and_resumed(folder, files):
    words = [*train(folder, files, "a.json"), "--seed", 3]
    latte(*words, "--checkpoint", files / "run.ckpt")
    latte(*words[:-3], files / "b.json", "--seed", 3)
    latte(*words[:-3], files / "c.json", "--seed", 3, "--checkpoint", files / "run.ckpt")
    a, b, c = (thresholds_file.load(files / name).tau for name in ("a.json", "b.json", "c.json"))
    np.testing.assert_array_equal(a, b)
    np.testing.assert_array_equal(a, c)


def test_calibration_alone(folder, files, capsys):
    latte(*train(folder, files, "fixed.json", steps=0), "--start", "head-wise")
    assert re.search(r"keeps (29\.9|30\.0)\d% of training pairs", capsys.readouterr().out)
    latte(*train(folder, files, "exact.json", steps=0), "--start", files / "fixed.json", "--estimate-bits", 8)
    assert thresholds_file.load(files / "exact.json").training["start"] == "thresholds file fixed.json"


def test_evaluation_and_the_files_for_hardware(folder, files, capsys):
    words = [*judge(folder, files, "static.json"), "--against", files / "static.json", "--bit-exact"]
    latte(*words, "--layer-file", files / "layer.npz", "--layer", 1, "-o", files / "result.json")
    out = capsys.readouterr().out
    assert "scales static, conditioning smooth_k + rotate" in out
    assert "bit-exact: 8 heads of layers 0, 1 equal the NumPy golden model at every stage" in out
    result = json.loads((files / "result.json").read_text())
    assert result["bit_exact"]["equal"]
    assert result["modes"]["latte"]["pruned"] > 0.6
    assert result["against"]["static.json"]["loss_difference"]["mean"] == pytest.approx(0, abs=1e-6)

    latte("golden", files / "layer.npz", "-o", files / "plain.npz", "--set", "keys_per_cycle=8")
    thresholds = ["--thresholds", files / "static.json", "--layer", 1]
    latte("golden", files / "layer.npz", "-o", files / "trained.npz", *thresholds)
    plain, trained = (np.load(files / name) for name in ("plain.npz", "trained.npz"))
    assert set(plain) == set(trained)
    for name in plain:
        np.testing.assert_array_equal(plain[name], trained[name], err_msg=name)


def test_a_captured_layer_takes_the_trained_thresholds(folder, files):
    """The other way round: float tensors of a layer, conditioned and quantised by the thresholds file."""
    capture = ["capture", "--model", folder / "model", "--text", folder / "text.txt", "--tokens", 32, "--layers", 1]
    latte(*capture, "-o", files / "captured.npz")
    thresholds = ["--thresholds", files / "static.json", "--layer", 1]
    latte("golden", files / "captured.npz", "-o", files / "out.npz", *thresholds)
    file, out = thresholds_file.load(files / "static.json"), np.load(files / "out.npz")
    np.testing.assert_array_equal(out["scale_k"], file.scales.k[1])
    steps = file.tau[1].astype(float) * 8**0.5 / (out["scale_q"].astype(float) * out["scale_k"][[0, 0, 1, 1]] * 256)
    np.testing.assert_array_equal(out["tau_int"], np.floor(steps))


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--window", 128), "from 2 to 64 tokens"),
        (("--alpha", 1), "and not both"),
        (("--scales", "other"), "--scales must be window or static"),
        (("--conditioning", "warp"), "conditioning must be among"),
        (("--start", "none.json"), "cannot be read"),
        (("--calibration", 1000), "fewer than --calibration 1000"),
        (("--text", "x"), "give either --tokens or --text"),
        (("--model", "no/such/model"), "model folder no/such/model does not exist"),
    ],
)
def test_training_refuses(folder, files, words, sentence):
    with pytest.raises(LatteError, match=sentence):
        latte(*train(folder, files, "x.json"), *words)


def test_thresholds_of_another_model(folder, files):
    content = json.loads((files / "static.json").read_text())
    content["model"]["name"], content["model"]["type"] = "other", "gpt2"
    (files / "other.json").write_text(json.dumps(content))
    with pytest.raises(LatteError, match="of another model: other has type gpt2, model has llama"):
        latte(*judge(folder, files, "other.json"))
    with pytest.raises(LatteError, match="no --bit-exact or --layer-file"):
        latte(*judge(folder, files, "static.json"), "--estimate-bits", 8, "--bit-exact")
    with pytest.raises(LatteError, match="modes must be among"):
        latte(*judge(folder, files, "static.json"), "--modes", "dense")


def test_two_processes_train_like_one(folder, files):
    """Each takes half of every batch; the thresholds agree but for the order of a sum."""
    words = [str(word) for word in train(folder, files, "two.json")]
    launch = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2", "--master-port", "29517"]
    environment = {**os.environ, "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*launch, "-m", "latte_hw.cli.main", *words], capture_output=True, text=True, env=environment)
    assert done.returncode == 0, done.stderr
    latte(*train(folder, files, "one.json"))
    one, two = (thresholds_file.load(files / name) for name in ("one.json", "two.json"))
    assert two.training["processes"] == 2
    np.testing.assert_allclose(two.tau, one.tau, rtol=1e-3)
