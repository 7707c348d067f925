"""Calibration, training and evaluation of a small model on the CPU."""

import gc
import math

import numpy as np
import pytest
import torch
import transformers

from golden.models.loading import load_language_model
from golden.nn import soft
from golden.nn.backend import LatteRuntime, detach
from golden.nn.thresholds import Thresholds
from golden.train import bit_exact, calibrate, checkpoint, evaluate
from golden.train.interval import paired_interval
from golden.train.loss import divergence
from golden.train.model import ModelUnderTest, config_for, model_shape, to_torch
from golden.train.positions import Positions
from golden.train.schedule import Multiplier, Plan
from golden.train.task import TextTask, shuffled
from golden.train.trainer import Progress, Trainer, summary
from golden.train.workers import Workers
from latte_hw.config import LatteConfig
from latte_hw.config.errors import LatteError, MismatchError

WINDOW, CPU = 32, torch.device("cpu")
NAMES = ("smooth_k", "rotate")


@pytest.fixture(scope="module")
def model(folder):
    return load_language_model(str(folder / "model"))[0]


def model_under_test(model, tokens, initial: float = 3.0, batch: int = 8, **settings) -> ModelUnderTest:
    config = LatteConfig(**{**config_for(model), **settings})
    thresholds = Thresholds(2, 4, initial=initial, signed=config.rule == "static")
    return ModelUnderTest(model, LatteRuntime(config, thresholds, NAMES), TextTask(tokens, WINDOW), CPU, batch)


def kl_of(under_test: ModelUnderTest, count: int = 12) -> tuple[float, float]:
    """KL to dense int8 and keep ratio on held-out windows."""
    batch = under_test.load("held_out", range(count))
    under_test.runtime.reset_statistics()
    with torch.no_grad():
        teacher, student = under_test.logits(batch, "dense_int8"), under_test.logits(batch, "soft")
    return float(divergence(student, teacher)), under_test.runtime.statistics().keep_ratio


def test_half_precision_weights_are_widened(model):
    assert model.dtype == torch.float32
    assert model_shape(model, "x").kv_heads == 2


def test_calibration_meets_the_wanted_share(model, tokens):
    under_test = model_under_test(model, tokens)
    tau = calibrate.uniform(under_test, 0.3, 16)
    assert 0.297 <= under_test.keep_ratio(16) <= 0.3
    assert (under_test.runtime.thresholds.values() == torch.tensor(tau)).all()
    calibrate.head_wise(under_test, 0.3, 16, rounds=14)
    ratios = under_test.measure("soft", "train", 16).pairs.keep_ratios
    assert ratios.max() <= 0.301  # earlier layers move later ones a little
    assert ratios.min() >= 0.27
    calibrate.shift_to_keep(under_test, 0.25, 16)
    assert 0.247 <= under_test.keep_ratio(16) <= 0.25
    for bad in (0, 1.1):
        with pytest.raises(LatteError, match="keep ratio must be above 0 and at most 1"):
            calibrate.uniform(under_test, bad, 4)


def test_thresholds_of_the_static_rule_are_calibrated_too(model, tokens):
    under_test = model_under_test(model, tokens, initial=0.0, rule="static")
    calibrate.uniform(under_test, 0.4, 8)
    assert 0.395 <= under_test.keep_ratio(8) <= 0.4
    calibrate.head_wise(under_test, 0.4, 8)
    assert under_test.measure("soft", "train", 8).pairs.keep_ratios.max() <= 0.41


def test_a_shift_to_a_perplexity(model, tokens):
    under_test = model_under_test(model, tokens)
    calibrate.uniform(under_test, 0.2, 16)
    dense = under_test.measure("dense_int8", "train", 16).value
    assert under_test.measure("integer", "train", 16).value - dense > 6
    calibrate.shift_to_increase(under_test, 3, 16)
    found = under_test.measure("integer", "train", 16).value - dense
    assert 1 < found <= 3  # a single pair of a sharp head counts much here
    assert under_test.keep_ratio(16) > 0.2


def test_reach_closes_in_on_a_growing_function():
    calls = []

    def function(x: float) -> float:
        calls.append(x)
        return math.log(1 / (1 + math.exp(-x)))

    x = calibrate.reach(function, math.log(0.03))
    assert 0.02995 <= math.exp(function(x)) <= 0.03
    assert len(calls) < 16
    x = calibrate.reach(function, math.log(0.03), below=False)
    assert 0.03 <= math.exp(function(x)) <= 0.03005
    assert calibrate.reach(lambda _: 1.0, 2.0) > 0  # what cannot be had: as far as it goes
    assert calibrate.reach(lambda _: 3.0, 2.0) < 0


def test_static_scales_come_from_training_windows(model, tokens):
    under_test = model_under_test(model, tokens)
    scales = calibrate.static_scales(under_test, 8)
    half = calibrate.static_scales(under_test, 8, 0.5)
    assert scales.q.shape == (2, 4)
    assert scales.k_mean.shape == (2, 2, 8)
    assert (half.q < scales.q).all()
    under_test.runtime.scales = to_torch(scales)
    static = under_test.measure("integer", "held_out", 8)
    under_test.runtime.scales = "window"
    window = under_test.measure("integer", "held_out", 8)
    assert static.pairs.keep_ratio == pytest.approx(window.pairs.keep_ratio, rel=0.02)
    assert abs(np.log(static.value / window.value)) < 0.1
    with pytest.raises(LatteError, match="quantile of static scales"):
        calibrate.static_scales(under_test, 8, 0)


def test_training_improves_the_keep_ratio_at_bounded_kl(model, tokens):
    """The smoke: trained thresholds keep fewer pairs than a common one, and still come closer to the dense model."""
    under_test = model_under_test(model, tokens)
    calibrate.uniform(under_test, 0.4, 16)
    kl_before, keep_before = kl_of(under_test)
    lines: list[Progress] = []
    plan = Plan(steps=60, batch=8, keep=0.3, warmup=5, lr=0.05, kappa=0.5)
    calibrate.uniform(under_test, 0.3, 16)
    kl_uniform, _ = kl_of(under_test)
    trained = Trainer(under_test, plan, Workers("cpu"), say=lines.append).run()
    calibrate.shift_to_keep(under_test, 0.3, 16)
    kl, keep = kl_of(under_test)
    assert keep < 0.32 < keep_before
    assert kl < 0.4 * kl_uniform  # at the same keep ratio
    assert kl < kl_before
    assert len(trained.history) == 60
    assert lines[-1].line().startswith("step 60/60: keeps ")
    assert abs(np.mean([row["keep"] for row in trained.history[-15:]]) - 0.3) < 0.03
    assert summary(trained, 10)["history"][-1]["step"] == 60


def test_a_fixed_weight_prunes(model, tokens):
    under_test = model_under_test(model, tokens, initial=8.0)
    _, before = kl_of(under_test)
    Trainer(under_test, Plan(steps=10, batch=4, alpha=1.0, task_weight=0.5, warmup=1), Workers("cpu")).run()
    assert kl_of(under_test)[1] < before


def test_an_interrupted_run_ends_like_an_uninterrupted_one(model, tokens, tmp_path):
    plan = Plan(steps=8, batch=2, keep=0.3, warmup=2, kappa_end=0.2)
    whole = model_under_test(model, tokens)
    history = Trainer(whole, plan, Workers("cpu")).run().history
    path = tmp_path / "run.ckpt"
    checkpoint_every = 3
    parts = model_under_test(model, tokens)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("golden.train.trainer.CHECKPOINT_EVERY", checkpoint_every)
        Trainer(parts, plan, Workers("cpu"), path).run(stop_after=5)  # two steps are lost
        again = model_under_test(model, tokens, initial=1.0)  # where it began is in the checkpoint
        trained = Trainer(again, plan, Workers("cpu"), path).run()
    assert trained.resumed_at == 3
    assert trained.history == history
    assert torch.equal(again.runtime.thresholds.values(), whole.runtime.thresholds.values())
    finished = model_under_test(model, tokens)
    Trainer(finished, plan, Workers("cpu"), path).run()  # nothing left to do
    assert torch.equal(finished.runtime.thresholds.values(), whole.runtime.thresholds.values())
    with pytest.raises(LatteError, match="is of another run"):
        Trainer(finished, Plan(steps=8, batch=4, keep=0.3), Workers("cpu"), path).run()
    path.write_bytes(b"damaged")
    with pytest.raises(LatteError, match="cannot be read: remove it"):
        checkpoint.load(path, "")


def test_evaluation(model, tokens):
    under_test = model_under_test(model, tokens)
    calibrate.uniform(under_test, 0.3, 8)
    results = evaluate.evaluate(under_test, 8, ("float", "dense_int8", "latte", "latte_exact_softmax"))
    latte = results["modes"]["latte"]
    assert latte["valid_pairs"] == 8 * 2 * 4 * WINDOW * (WINDOW + 1) // 2
    assert latte["pruned"] == pytest.approx(0.7, abs=0.03)
    assert latte["bit_operation_change"] == pytest.approx((16 + 96 * (1 - latte["pruned"])) / 128 - 1)
    assert latte["perplexity"] == pytest.approx(math.exp(np.mean(latte["loss_per_item"])), rel=1e-6)
    assert latte["loss_change"]["low"] < latte["loss_change"]["mean"] < latte["loss_change"]["high"]
    ids = torch.from_numpy(tokens.windows("held_out", WINDOW, 8))
    detach(model)
    with torch.no_grad():
        expected = torch.nn.functional.cross_entropy(model(ids).logits[:, :-1].flatten(0, 1), ids[:, 1:].flatten())
    assert results["modes"]["float"]["loss"] == pytest.approx(float(expected), rel=1e-5)


def test_other_thresholds_on_the_same_windows(model, tokens):
    under_test = model_under_test(model, tokens, initial=8.0)
    results = evaluate.evaluate(under_test, 8, ("dense_int8", "latte"))
    other = LatteRuntime(under_test.runtime.config, Thresholds(2, 4, initial=0.0), NAMES)
    evaluate.compare(under_test, {"none": other, "same": under_test.runtime}, 8, results)
    assert results["against"]["none"]["loss_difference"]["mean"] != 0
    assert results["against"]["same"]["loss_difference"]["mean"] == pytest.approx(0, abs=1e-6)
    assert "against none" in evaluate.describe(results, None)


def test_the_figure_is_the_hardware_s(model, tokens, monkeypatch):
    under_test = model_under_test(model, tokens)
    checked = bit_exact.check(under_test, [0, 1], [0, 3])
    assert checked["equal"]
    assert checked["heads"] == 16
    with pytest.raises(LatteError, match="layers must be from 0 to 1"):
        bit_exact.check(under_test, [2], [0])
    right = bit_exact.integer_attention

    def wrong(*args, **kwargs):
        found = right(*args, **kwargs)
        if kwargs.get("stages"):
            found["prob"][0, 1, 7, 3] += 1
        return found

    monkeypatch.setattr(bit_exact, "integer_attention", wrong)
    with pytest.raises(MismatchError, match=r"layer 1, item 0: .* prob differs first at head 1, query 7, key 3"):
        bit_exact.check(under_test, [1], [0])


def test_positions_mean_the_same_step_everywhere():
    thresholds = Thresholds(1, 3)
    thresholds.load(torch.tensor([[0.0, 1.0, 10.0]]))
    positions = Positions(thresholds)
    positions.push()
    torch.testing.assert_close(thresholds.values(), torch.tensor([[0.0, 1.0, 10.0]]))
    positions.move_to(positions.parameter.detach() + 0.01)
    tau = thresholds.values()[0]
    assert tau[2] == pytest.approx(10.1, abs=0.005)
    assert 0 < tau[0] < 0.003
    positions.move_to(positions.parameter.detach() - 1)
    assert thresholds.values()[0, 0] == 0
    thresholds.tau().sum().backward()
    positions.pull_gradient()
    torch.testing.assert_close(positions.parameter.grad, positions.parameter.detach().exp())
    assert thresholds.raw.grad is None


def test_the_multiplier_follows_what_is_kept():
    multiplier = Multiplier(0.1, 0.2)
    for _ in range(30):
        multiplier.see(0.25)
    assert multiplier.value > 0.3
    for _ in range(60):
        multiplier.see(0.15)
    assert multiplier.value < 0.1
    fixed = Multiplier(0.1, None)
    fixed.see(0.9)
    assert fixed.value == 0.1


def test_plans():
    plan = Plan(steps=100, keep=0.1, lr=0.1, lr_end=0.01, warmup=10, kappa=0.4, kappa_end=0.1)
    assert plan.lr_at(0) == pytest.approx(0.01)
    assert plan.lr_at(10) == pytest.approx(0.1)
    assert plan.lr_at(99) == pytest.approx(0.01)
    assert plan.kappa_at(0) == 0.4
    assert plan.kappa_at(99) == pytest.approx(0.1)
    assert [plan.averages(step) for step in (74, 75)] == [False, True]
    for arguments, sentence in (
        ({}, "either a target keep ratio or a fixed weight"),
        ({"keep": 0.1, "alpha": 1.0}, "not both"),
        ({"keep": 2.0}, "at most 1, not 2"),
        ({"alpha": 1.0, "kappa": 0.0}, "kappa must be above 0"),
        ({"alpha": 1.0, "steps": -1}, "steps must be 0 or more"),
        ({"alpha": 1.0, "batch": 0}, "batch must be at least 1"),
    ):
        with pytest.raises(LatteError, match=sentence):
            Plan(**arguments)


def test_every_epoch_sees_every_item_once():
    epoch = [item for step in range(5) for item in shuffled(10, step, 2, seed=4)]
    assert sorted(epoch) == list(range(10))
    assert shuffled(10, 3, 2, seed=4) == epoch[6:8]
    assert [item for step in range(5, 10) for item in shuffled(10, step, 2, seed=4)] != epoch


def test_divergence_is_that_of_distributions():
    student, teacher = torch.randn(2, 3, 5, requires_grad=True), torch.randn(2, 3, 5)
    p, q = teacher.softmax(-1), student.softmax(-1)
    torch.testing.assert_close(divergence(student, teacher), (p * (p / q).log()).sum(-1).mean())
    assert float(divergence(teacher, teacher)) == 0


def test_an_interval_covers_the_difference():
    rng = np.random.default_rng(0)
    base = rng.normal(3, 1, 64)
    found = paired_interval(base + rng.normal(0.1, 0.05, 64), base)
    assert 0.08 < found["low"] < found["mean"] < found["high"] < 0.12


def test_models_and_texts_that_do_not_fit(model, tokens):
    task = TextTask(tokens, WINDOW)
    small = transformers.LlamaConfig(vocab_size=40, max_position_embeddings=16)
    with pytest.raises(LatteError, match="at most 16 tokens, the model's context, not 32"):
        task.check_model(small)
    small.max_position_embeddings = 64
    with pytest.raises(LatteError, match="of another tokenizer"):
        task.check_model(small)
    workers = Workers("cpu")
    workers.count = 2
    with pytest.raises(LatteError, match="multiple of the 2 processes"):
        Trainer(model_under_test(model, tokens), Plan(batch=3, keep=0.1), workers)


def test_the_first_multiplier_needs_one_tile_of_memory_at_a_time(model, tokens, monkeypatch):
    """Two backward passes over one graph compute every tile again; no layer's tensors may be left for the next."""
    under_test, seen, tile = model_under_test(model, tokens), [], soft._tile

    def counted(*args):
        pairs = [x for x in gc.get_objects() if type(x) is torch.Tensor and x.shape[-2:] == (WINDOW, WINDOW)]
        seen.append(len(pairs))
        return tile(*args)

    monkeypatch.setattr(soft, "_tile", counted)
    Trainer(under_test, Plan(steps=1, batch=8, keep=0.3), Workers("cpu")).run(stop_after=0)
    for batch in (seen[:8], seen[8:]):  # two layers of the teacher, the student and, last layer first, each pass back
        _, _, _, _, *back = batch
        assert len(back) == 4
        assert back[1] <= back[0]
        assert back[3] <= back[2]
