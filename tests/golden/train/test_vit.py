"""Vision transformers from scratch, and thresholds on them, on models that train in seconds."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
import typer
from typer.testing import CliRunner

from golden.models import vit
from golden.models.vit import SIZES, ImageModel, Size, load_image_model, new_vit, save_vit
from golden.train import sharp
from golden.train.commands import register
from golden.train.image_task import ImageTask
from golden.train.images import ImageSet, Request, load_images
from golden.train.vit_commands import register as register_vit
from golden.train.vit_trainer import VitPlan, judge, train_vit
from latte_hw.config.errors import LatteError

TINY = Size(width=16, layers=2, heads=2, image=8, patch=1, channels=1)
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def digits() -> ImageSet:
    return load_images(Request("digits", size=8, patch=1, channels=1))


@pytest.fixture(scope="module")
def command():
    app = typer.Typer()
    register(app)
    register_vit(app)

    def run(*arguments: str):
        result = CliRunner().invoke(app, [str(one) for one in arguments])
        if isinstance(result.exception, LatteError):
            raise result.exception
        assert result.exit_code == 0, result.output
        return result

    return run


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory, command) -> Path:
    """A tiny model of digits, trained for a few steps by the command."""
    folder = tmp_path_factory.mktemp("vit") / "tiny"
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(SIZES, "tiny", TINY)
        command("train-vit", "--images", "digits", "--model", "tiny", "--steps", 60, "--batch", 32, "--lr", 3e-3,
                "--device", "cpu", "-o", folder)  # fmt: skip
    return folder


@pytest.mark.parametrize(("name", "tokens", "head_dim"), [("digits", 65, 16), ("deit-ti", 197, 64), ("small", 65, 32)])
def test_named_sizes(name, tokens, head_dim):
    size = SIZES[name]
    assert size.tokens == tokens
    assert size.width // size.heads == head_dim


def test_deit_ti_has_its_size():
    model = new_vit(SIZES["deit-ti"], ["a", "b"], seed=0)
    assert 5.2e6 < model.num_parameters() < 5.6e6
    assert model.config.model_type == "vit"


def test_equal_seeds_give_equal_weights():
    one, same, other = (new_vit(TINY, "ab", seed).state_dict() for seed in (1, 1, 2))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not all(torch.equal(one[name], other[name]) for name in one)


def test_training_is_seeded_and_learns(digits):
    plan = VitPlan(steps=60, batch=32, lr=3e-3, sharpness=0)
    models = [new_vit(TINY, digits.classes, 0) for _ in range(2)]
    records = [train_vit(model, digits, plan, CPU, lambda _: None) for model in models]
    assert records[0]["history"] == records[1]["history"]
    first, second = (model.state_dict() for model in models)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert records[0]["top_1"] == judge(models[0], digits.held_out, CPU)
    assert records[0]["history"][-1]["loss"] < np.log(10)
    assert records[0]["images"]["held_out"] == 1000


def test_rendered_scenes_teach_patches_as_well():
    size = Size(width=16, layers=1, heads=2, image=72, patch=9, channels=3)
    images = load_images(Request("rendered:16:4", size=72, patch=9))
    with_patches, without = (
        train_vit(new_vit(size, images.classes, 0), images, VitPlan(steps=2, batch=8, patch_weight=weight), CPU, str)
        for weight in (0.5, 0.0)
    )
    assert with_patches["history"][-1]["loss"] > without["history"][-1]["loss"] + 0.2  # the patches' loss on top


def test_watching_the_spread_changes_no_answer(digits):
    model = new_vit(TINY, digits.classes, 0).eval()
    pixels = torch.rand(5, 1, 8, 8, generator=torch.Generator().manual_seed(0))
    plain = model(pixel_values=pixels).logits
    with sharp.watched(model):
        watched = model(pixel_values=pixels).logits
        spread = np.array(sharp.spread())
    assert torch.allclose(plain, watched, atol=1e-6)
    assert model.config._attn_implementation != "latte_spread"
    model.set_attn_implementation("eager")
    attended = model(pixel_values=pixels[:: sharp.SAMPLE], output_attentions=True).attentions
    expected = [torch.special.entr(x).sum(-1).mean((0, 2)).exp().tolist() for x in attended]
    assert np.allclose(spread, expected, atol=0.01)


def test_excess_is_what_is_above_the_limit(digits):
    model = new_vit(TINY, digits.classes, 0)
    with torch.no_grad():
        for name, weight in model.named_parameters():
            if ".q_proj." in name:
                weight.zero_()  # every query attends to all 65 tokens alike
    with sharp.watched(model):
        model(pixel_values=torch.rand(2, 1, 8, 8))
        assert sharp.spread() == [[65.0, 65.0]] * 2
        assert sharp.excess(65.1).item() == 0
        loss = sharp.excess(5.0)
        assert loss.item() == pytest.approx(np.log(13), abs=1e-4)
        loss.backward()
        sharp.begin()
        model(pixel_values=torch.rand(2, 1, 8, 8))
        assert len(sharp.spread()) == 2


def test_sharpness_narrows_attention(digits):
    narrow, wide = (
        train_vit(
            new_vit(TINY, digits.classes, 0), digits, VitPlan(steps=25, batch=16, lr=3e-3, sharpness=weight), CPU, str
        )
        for weight in (2.0, 0.0)
    )
    assert np.mean(narrow["keys_attended"]) < 0.8 * np.mean(wide["keys_attended"])


def test_a_diverged_run_stops(digits):
    with pytest.raises(LatteError, match="diverged at step"):
        train_vit(new_vit(TINY, digits.classes, 0), digits, VitPlan(steps=2, batch=8, lr=float("1e30")), CPU, str)


@pytest.mark.parametrize(
    ("fields", "words"),
    [({"steps": 0}, "steps must be at least 1"), ({"batch": 0}, "batch must"), ({"lr": 0}, "must be above 0, not 0")],
)
def test_plans_that_are_refused(fields, words):
    with pytest.raises(LatteError, match=words):
        VitPlan(**fields)


def test_learning_rates():
    plan = VitPlan(steps=100, lr=1.0, warmup=0.1)
    rates = [plan.lr_at(step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) == 1.0
    assert rates[-1] < 0.001


# --- models on disk ----------------------------------------------------------------------------------------------


def test_a_saved_model_is_transformers_own(trained, digits):
    model = transformers.ViTForImageClassification.from_pretrained(trained)
    found = load_image_model(str(trained))
    assert (trained / "model.safetensors").is_file()
    assert (found.mean, found.deviation, found.name) == ((0.5,), (0.5,), "tiny")
    assert found.record["top_1"] == judge(model, digits.held_out, CPU)
    assert found.record["plan"]["steps"] == 60
    assert found.model.config.id2label[7] == "7"


def test_a_model_without_pixel_means_gets_plain_ones(tmp_path):
    new_vit(TINY, "ab", 0).save_pretrained(tmp_path / "bare")
    found = load_image_model(str(tmp_path / "bare"))
    assert (found.mean, found.deviation, found.record) == ((0.5,), (0.5,), {})


def test_pixel_means_are_read(tmp_path):
    folder = tmp_path / "means"
    save_vit(new_vit(TINY, "ab", 0), folder, {})
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [0.25], "image_std": [0.125]}))
    assert load_image_model(str(folder)).mean == (0.25,)
    (folder / "preprocessor_config.json").write_text(json.dumps({"image_mean": [True], "image_std": [0.125]}))
    with pytest.raises(LatteError, match=r"image_mean of model .* must be a number, not True"):
        load_image_model(str(folder))


def test_unknown_size():
    with pytest.raises(LatteError, match="must be one of digits, deit-ti, small, not 'huge'"):
        vit.find_size("huge")


# --- the task ----------------------------------------------------------------------------------------------------


def image_model(size: Size = TINY, classes: str = "0123456789", **record) -> ImageModel:
    plain = (0.5,) * size.channels
    return ImageModel(new_vit(size, classes, 0), plain, plain, "tiny", record)


def test_task_of_images(digits):
    task = ImageTask(digits, image_model())
    batch = task.batch("held_out", [3, 5])
    pixels = batch.inputs["pixel_values"]
    assert torch.equal(pixels, torch.from_numpy(digits.held_out.pixels[[3, 5]]).float() / 255 * 2 - 1)
    logits = torch.nn.functional.one_hot(torch.tensor([batch.targets[0], (batch.targets[1] + 1) % 10]), 10).float()
    outcome = task.outcome(logits, batch.targets)
    assert outcome["right"].tolist() == [True, False]
    assert task.value({name: x.double().numpy() for name, x in outcome.items()}) == 0.5
    assert torch.allclose(task.losses(logits, batch.targets), torch.logsumexp(logits, 1) - torch.tensor([1.0, 0.0]))
    assert (task.count("train"), task.count("held_out")) == (797, 1000)


def test_images_that_do_not_fit_a_model(digits):
    with pytest.raises(LatteError, match=r"8×8 pixels of 1 channels, but tiny takes 16×16 of 1"):
        ImageTask(digits, image_model(Size(16, 1, 2, 16, 4, 1)))
    with pytest.raises(LatteError, match=r"of 10 classes, but tiny names 2"):
        ImageTask(digits, image_model(classes="ab"))


def test_images_split_otherwise_than_in_training(digits):
    record = {"images": {"source": digits.name, "split_seed": 5}}
    with pytest.raises(LatteError, match="give --split-seed 5"):
        ImageTask(digits, image_model(**record))


# --- thresholds on it --------------------------------------------------------------------------------------------


def test_thresholds_of_a_vision_model(trained, tmp_path, command):
    thresholds = tmp_path / "thresholds.json"
    command("train", "--model", trained, "--images", "digits", "--keep", 0.3, "--steps", 4, "--batch", 16,
            "--calibration", 32, "--device", "cpu", "-o", thresholds)  # fmt: skip
    written = json.loads(thresholds.read_text())
    assert (written["model"]["type"], written["model"]["layers"], written["model"]["heads"]) == ("vit", 2, 2)
    assert written["config"]["causal"] is False
    assert written["training"]["data"]["train"] == 797
    result = command("evaluate", "--model", trained, "--images", "digits", "--thresholds", thresholds, "--windows", 40,
                     "--batch", 20, "--modes", "float,dense_int8,latte", "--bit-exact", "--device", "cpu",
                     "-o", tmp_path / "result.json")  # fmt: skip
    assert "bit-exact: 4 heads" in result.output
    found = json.loads((tmp_path / "result.json").read_text())
    assert found["figure"] == "top_1"
    modes = found["modes"]
    assert modes["latte"]["valid_pairs"] == 40 * 2 * 2 * 65 * 65
    assert 0.55 < modes["latte"]["pruned"] < 0.85
    assert abs(modes["float"]["top_1"] - modes["dense_int8"]["top_1"]) <= 0.1


def test_more_images_than_are_held_out(trained, tmp_path, command):
    thresholds = tmp_path / "thresholds.json"
    command("train", "--model", trained, "--images", "digits", "--keep", 0.3, "--steps", 0, "--calibration", 8,
            "--device", "cpu", "-o", thresholds)  # fmt: skip
    with pytest.raises(LatteError, match="has 1000 held-out images, not 1001"):
        command("evaluate", "--model", trained, "--images", "digits", "--thresholds", thresholds, "--windows", 1001)


def test_images_and_text_together(trained, command, tmp_path):
    with pytest.raises(LatteError, match="either images or a text"):
        command(
            "train", "--model", trained, "--images", "digits", "--text", "x.txt", "--keep", 0.5, "-o", tmp_path / "t"
        )
