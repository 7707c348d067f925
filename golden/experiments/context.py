"""What experiments share: one model, its tokens, and thresholds that were trained."""

from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from transformers import PreTrainedModel

from golden.experiments import tiny
from golden.experiments.matching import match, uniform_family
from golden.experiments.peer_rules import LearnedAbsolute
from golden.experiments.sizes import Sizes
from golden.models.loading import load_language_model
from golden.nn.backend import LatteRuntime
from golden.nn.rules import KeepRule
from golden.nn.thresholds import Thresholds
from golden.train import calibrate
from golden.train.model import Measured, ModelUnderTest, config_for, model_shape
from golden.train.schedule import Plan
from golden.train.task import TextTask
from golden.train.tokens import TokenFile
from golden.train.trainer import Progress, Trained, Trainer
from golden.train.workers import Workers
from latte_hw.config import LatteConfig, Rule
from latte_hw.config import thresholds as thresholds_file
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import ModelShape, ThresholdsFile

CONDITIONING = ("smooth_k", "rotate")

LR = 0.05
"""Learning rate of thresholds, as of `latte train`."""


@dataclass(frozen=True)
class Job:
    """What `latte experiments run` is asked for; see its options."""

    sizes: Sizes
    model: str | None = None
    tokens: Path | None = None
    thresholds: tuple[Path, ...] = ()
    vision: tuple[str, ...] = ()
    keep: float = 0.1
    seed: int = 0
    device: str = "auto"
    quick: bool = False
    clip: float = 1.0


@dataclass(frozen=True)
class TrainedThresholds:
    """Thresholds and where they come from, in plain values."""

    tau: torch.Tensor  # (layers, heads)
    origin: dict[str, Any]


@dataclass
class Context:
    """Everything an experiment needs; models are loaded when first asked for, once for all experiments of a run.

    ``keep_partial`` is called with results as they grow, so that what is done survives an interruption.
    """

    job: Job
    say: Callable[[str], None] = lambda _: None
    keep_partial: Callable[[dict[str, Any]], None] = lambda _: None
    settings: dict[str, Any] = field(default_factory=dict)  # of the experiment that runs; goes into its record
    data: dict[str, Any] = field(default_factory=dict)  # likewise: what it ran on
    models: list[str] = field(default_factory=list)  # likewise
    _dense: dict[int, Measured] = field(default_factory=dict)
    _trained: dict[tuple[bool, int | None], TrainedThresholds] = field(default_factory=dict)

    @property
    def sizes(self) -> Sizes:
        return self.job.sizes

    @cached_property
    def device(self) -> torch.device:
        return Workers(self.job.device).device

    @cached_property
    def language_model(self) -> tuple[PreTrainedModel, str]:
        """The model and a name to cite it by."""
        if self.job.model is None:
            if not self.job.quick:
                raise LatteError("give --model and --tokens, or --quick for a tiny model made on the spot")
            return tiny.tiny_model(self.job.seed)
        self.say(f"loading {self.job.model}")
        return load_language_model(self.job.model)

    @cached_property
    def tokens(self) -> TokenFile:
        if self.job.tokens is not None:
            return TokenFile.load(self.job.tokens)
        if self.job.model is not None:
            raise LatteError("give --tokens, a token file that latte tokens has written")
        return tiny.tiny_tokens(tiny.tiny_model(self.job.seed)[0], self.job.seed)

    def config(self, **changes: Any) -> LatteConfig:
        """The default configuration in the language model's shape, with some fields changed."""
        return LatteConfig(**{**config_for(self.language_model[0]), **changes})

    def under_test(
        self,
        *,
        window: int | None = None,
        held_out: int | None = None,
        config: LatteConfig | None = None,
        conditioning: tuple[str, ...] = CONDITIONING,
        rule: KeepRule | None = None,
        estimate_bits: int | None = None,
        signed: bool = False,
        batch: int | None = None,
    ) -> ModelUnderTest:
        """The language model with a runtime of its own; it takes the place of the one before."""
        model, name = self.language_model
        shape = model_shape(model, name)
        tokens = window or self.sizes.window
        task = TextTask(self.tokens, tokens, held_out or self.sizes.held_out)
        task.check_model(model.config)
        thresholds = Thresholds(shape.layers, shape.heads, signed=signed, initial=0.0 if signed else 6.0)
        runtime = LatteRuntime(
            config or self.config(), thresholds, conditioning, kappa=None, estimate_bits=estimate_bits, rule=rule,
            clip=self.job.clip,
        )  # fmt: skip
        self.data, self.models = task.describe(), [name]
        return ModelUnderTest(model, runtime, task, self.device, batch or self.sizes.batch)

    def absolute_under_test(self) -> ModelUnderTest:
        """The language model with LeOPArd-like thresholds, which may be of any sign."""
        return self.under_test(config=self.config(rule=Rule.STATIC), rule=LearnedAbsolute(), signed=True)

    def dense(self, under_test: ModelUnderTest | None = None) -> Measured:
        """Dense int8 attention on the held-out windows of the usual length, default precision; measured once."""
        if 0 not in self._dense:
            own = under_test or self.under_test()
            self._dense[0] = own.measure("dense_int8", "held_out", self.sizes.held_out)
        return self._dense[0]

    def trained(self, *, absolute: bool = False, bits: int | None = None) -> TrainedThresholds:
        """Trained thresholds: from the first fitting --thresholds file, otherwise trained here (once).

        ``absolute`` asks for thresholds of :class:`LearnedAbsolute`: files of rule `static` with 8 estimate bits.
        ``bits`` is the file's number of estimate bits, None for the configured one.
        """
        key = (absolute, 8 if absolute else bits)
        if key not in self._trained:
            self._trained[key] = self._from_file(*key) or self._train(*key)
        return self._trained[key]

    def has_file(self, bits: int | None) -> bool:
        """Whether a --thresholds file fits, so that nothing would be trained."""
        return self._from_file(False, bits) is not None

    def _from_file(self, absolute: bool, bits: int | None) -> TrainedThresholds | None:
        model, name = self.language_model
        for path in self.job.thresholds:
            file = thresholds_file.load(path)
            right_rule = (file.config.rule is Rule.STATIC) == absolute and file.training.get("estimate_bits") == bits
            ours = file.scales is None and file.conditioning == CONDITIONING and file.clip == self.job.clip
            if right_rule and ours and fits(file, model_shape(model, name)):
                return TrainedThresholds(torch.from_numpy(file.tau.copy()), {"file": path.name})
        return None

    def _train(self, absolute: bool, bits: int | None) -> TrainedThresholds:
        if absolute:
            under_test = self.absolute_under_test()
            calibrate.head_wise(under_test, self.job.keep, self.sizes.calibration, rounds=12)
        else:
            under_test = self.under_test(estimate_bits=bits)
            self.start_uniform(under_test)
        start = "head-wise, calibrated" if absolute else "one threshold, calibrated"
        steps = self.sizes.steps
        kind = "absolute thresholds" if absolute else f"thresholds for {bits or 'the configured'} bits"
        self.say(f"training {kind} for {steps} steps, since no --thresholds file fits")
        trained = self.train(under_test, steps, lr=0.1 if absolute else LR)
        origin = {"steps": steps, "seconds": round(trained.seconds, 1), "start": start}
        return TrainedThresholds(under_test.runtime.thresholds.values(), origin)

    def start_uniform(self, under_test: ModelUnderTest) -> float:
        """Bring all thresholds to one value that keeps the wanted share of training pairs; returns it."""
        match(under_test, uniform_family(under_test), self.job.keep, self.sizes.calibration, 1)
        return float(under_test.runtime.thresholds.values()[0, 0])

    def train(self, under_test: ModelUnderTest, steps: int, *, lr: float = LR, keep: float | None = None) -> Trained:
        """Train the model's thresholds to a share, --keep by default; what the trainer leaves behind."""
        plan = self.plan(steps, lr, under_test.batch, keep)
        trained = Trainer(under_test, plan, Workers(self.job.device), say=self.progress).run()
        under_test.runtime.kappa = None
        return trained

    def plan(self, steps: int, lr: float, batch: int, keep: float | None = None) -> Plan:
        return Plan(
            steps=steps, batch=batch, keep=keep or self.job.keep, lr=lr, lr_end=lr / 50, warmup=min(10, steps // 5),
            seed=self.job.seed,
        )  # fmt: skip

    def progress(self, step: Progress) -> None:
        if step.step % 25 == 0 or step.step in (1, step.steps):
            self.say(f"  {step.line()}")


def fits(file: ThresholdsFile, shape: ModelShape) -> bool:
    """Whether thresholds are of a model of that shape."""
    try:
        file.check_model(shape)
    except LatteError:
        return False
    return True
