"""Training and evaluation from start to end, as the commands ask for them."""

import platform
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
import transformers
from transformers import PreTrainedModel

from golden.models.loading import find_source, load_language_model, load_tokenizer
from golden.nn.backend import LatteRuntime
from golden.nn.thresholds import Thresholds
from golden.train import bit_exact, calibrate
from golden.train import evaluate as judge
from golden.train.jobs import Data, EvaluateJob, TrainJob
from golden.train.model import ModelUnderTest, config_for, model_shape, runtime_for, to_torch
from golden.train.task import Task, TextTask
from golden.train.text import read_source
from golden.train.tokens import TokenFile, split_tokens
from golden.train.trainer import Progress, Trainer, summary
from golden.train.workers import Workers
from latte_hw.config import Rule
from latte_hw.config import thresholds as thresholds_file
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import ModelShape, StaticArrays, ThresholdsFile, check_conditioning

Say = Callable[[str], None]
SAY_EVERY = 10
"""Steps between two lines of progress."""


def load_tokens(data: Data, model: str) -> TokenFile:
    """The token file, or the text through the model's tokenizer, split."""
    if (data.tokens is None) == (data.text is None):
        raise LatteError("give either --tokens or --text, and not both")
    if data.text is None:
        assert data.tokens is not None
        return TokenFile.load(data.tokens)
    return make_tokens(model, data.text, chunk=data.chunk, share=data.share, seed=data.seed)


def make_tokens(model: str, source: str, *, chunk: int, share: float, seed: int) -> TokenFile:
    """Tokens of a text by a model's tokenizer, split."""
    text = read_source(source)
    ids = load_tokenizer(model)(text.text, verbose=False, add_special_tokens=False, return_tensors="np")["input_ids"]
    return split_tokens(
        ids[0], chunk=chunk, share=share, seed=seed, tokenizer=find_source(model).name, source=text.name,
        sha256=text.sha256,
    )  # fmt: skip


def load_task(
    data: Data, name: str, device: torch.device, say: Say, held_out: int | None = None
) -> tuple[PreTrainedModel, str, Task]:
    """The model called ``name``, a name to cite it by, and what it is judged on; ``held_out`` items are for judging,
    None loads what training needs."""
    if data.images is not None:
        from golden.train.image_task import load_image_task

        if data.tokens is not None or data.text is not None:
            raise LatteError("give either images or a text, and not both")
        return load_image_task(data, name, device, say, held_out)
    tokens = load_tokens(data, name)
    say(f"loading {name}")
    model, cited = load_language_model(name)
    task = TextTask(tokens, data.window, held_out)
    task.check_model(model.config)
    return model, cited, task


def train(job: TrainJob, say: Say) -> tuple[ThresholdsFile, Workers]:
    """Calibrate, train, shift to the goal; the finished thresholds file, and this process among its equals."""
    workers = Workers(job.device)
    report = say if workers.first else lambda _: None
    model, name, task = load_task(job.data, job.model, workers.device, report)
    shape = model_shape(model, name)
    conditioning = check_conditioning(job.conditioning)
    config = job.configuration.resolve(config_for(model))
    if task.count("train") < job.calibration:
        raise LatteError(f"there are {task.count('train')} training items, fewer than --calibration {job.calibration}")
    thresholds = Thresholds(shape.layers, shape.heads, signed=config.rule is Rule.STATIC)
    runtime = LatteRuntime(config, thresholds, conditioning, estimate_bits=job.estimate_bits, clip=job.clip)
    under_test = ModelUnderTest(model, runtime, task, workers.device, max(1, job.plan.batch // workers.count))
    static = None
    if job.static:
        report("calibrating scales and means of keys")
        static = calibrate.static_scales(under_test, job.calibration, job.static_quantile)
        runtime.scales = to_torch(static)
    if job.saved is not None and job.saved.exists():
        report(f"going on from {job.saved}")
    else:
        report(f"starting thresholds: {job.start}")
        _start(job, under_test, shape)

    def progress(step: Progress) -> None:
        if step.step % SAY_EVERY == 0 or step.step in (1, step.steps):
            report(step.line())

    trained = Trainer(under_test, job.plan, workers, job.saved, progress, _start_name(job)).run()
    report("shifting thresholds to the goal")
    shift = _finish(job, under_test)
    record = {
        "command": "latte train",
        "plan": job.plan.describe(),
        "start": _start_name(job),
        "data": task.describe(),
        "calibration_windows": job.calibration,
        "static_quantile": job.static_quantile if job.static else None,
        "estimate_bits": job.estimate_bits,
        "increase": job.increase,
        "final_shift": round(shift, 5),
        "keep_on_training": under_test.keep_ratio(job.calibration),
        **environment(workers.device),
        "processes": workers.count,
        **summary(trained),
    }
    return _to_file(under_test, shape, static, record), workers


def _start(job: TrainJob, under_test: ModelUnderTest, shape: ModelShape) -> None:
    """Bring the thresholds to where training starts."""
    if job.start not in ("uniform", "head-wise"):
        given = thresholds_file.load(Path(job.start))
        given.check_model(shape)
        given.check_config(under_test.runtime.config)
        under_test.runtime.thresholds.load(torch.from_numpy(given.tau))
        return
    if job.plan.keep is None:
        raise LatteError(f"--start {job.start} is calibrated to --keep; without it, start from a thresholds file")
    find = calibrate.uniform if job.start == "uniform" else calibrate.head_wise
    find(under_test, job.plan.keep, min(job.calibration, 8))


def _start_name(job: TrainJob) -> str:
    """How thresholds start, for the record and the checkpoint."""
    if job.start in ("uniform", "head-wise"):
        quantile = f", static scales of quantile {job.static_quantile:g}" if job.static else ""
        return f"{job.start} on {min(job.calibration, 8)} windows{quantile}"
    return f"thresholds file {Path(job.start).name}"


def _finish(job: TrainJob, under_test: ModelUnderTest) -> float:
    """Shift the thresholds to the goal; by how much."""
    if job.increase is not None:
        return calibrate.shift_to_increase(under_test, job.increase, job.calibration)
    if job.plan.keep is not None:
        return calibrate.shift_to_keep(under_test, job.plan.keep, job.calibration)
    return 0.0


def _to_file(
    under_test: ModelUnderTest, shape: ModelShape, static: StaticArrays | None, record: dict[str, Any]
) -> ThresholdsFile:
    runtime = under_test.runtime
    return ThresholdsFile(
        model=shape,
        config=runtime.config,
        tau=runtime.thresholds.values().numpy(),
        conditioning=runtime.conditioning,
        scales=static,
        clip=runtime.clip,
        training=record,
    )


def evaluate(job: EvaluateJob, say: Say) -> tuple[dict[str, Any], ThresholdsFile]:
    """Judge thresholds on held-out windows; the results in plain values, and the thresholds file."""
    known = ("float", "dense_int8", *judge.LATTE_MODES)
    for mode in job.modes:
        if mode not in known:
            raise LatteError(f"modes must be among {', '.join(known)}, not {mode!r}")
    files = [thresholds_file.load(path) for path in (job.thresholds, *job.against)]
    workers = Workers(job.device)
    model, name, task = load_task(job.data, job.model, workers.device, say, held_out=job.windows)
    shape = model_shape(model, name)
    for file in files:
        file.check_model(shape)
    bits = [job.estimate_bits or file.training.get("estimate_bits") for file in files]
    if bits[0] is not None and (job.bit_exact is not None or job.layer_file is not None):
        raise LatteError("the hardware's estimate has the configured bits: no --bit-exact or --layer-file with others")
    runtimes = [runtime_for(file, estimate_bits=b) for file, b in zip(files, bits, strict=True)]
    under_test = ModelUnderTest(model, runtimes[0], task, workers.device, job.batch)
    started = time.monotonic()
    items = "images" if job.data.images else f"windows of {job.data.window} tokens"
    say(f"judging {', '.join(job.modes)} on {job.windows} held-out {items}")
    results: dict[str, Any] = {
        "model": name,
        "thresholds": job.thresholds.name,
        "scales": files[0].scales_rule,
        "conditioning": list(files[0].conditioning),
        "estimate_bits": bits[0],
        "config": files[0].config.model_dump(mode="json"),
        **judge.evaluate(under_test, job.windows, job.modes),
    }
    if job.against:
        others = {path.name: runtime for path, runtime in zip(job.against, runtimes[1:], strict=True)}
        judge.compare(under_test, others, job.windows, results)
    if job.bit_exact is not None:
        layers = list(job.bit_exact) or sorted({0, shape.layers // 2, shape.layers - 1})
        results["bit_exact"] = bit_exact.check(under_test, layers, [0])
    if job.layer_file is not None:
        bit_exact.write_layer(under_test, job.layer, 0, job.layer_file, job.layer_tokens)
    return {**results, **environment(workers.device), "seconds": round(time.monotonic() - started, 1)}, files[0]


def environment(device: torch.device) -> dict[str, Any]:
    """Device and versions, for the record."""
    return {
        "device": torch.cuda.get_device_name(device) if device.type == "cuda" else f"{device.type}",
        "versions": {
            "python": platform.python_version(),
            "torch": str(torch.__version__),
            "transformers": transformers.__version__,
        },
    }
