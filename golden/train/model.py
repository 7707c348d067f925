"""A model with LATTE attention, its task and its device: what calibration, training and evaluation work on."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from transformers import PreTrainedModel

from golden.nn.backend import LatteRuntime, StaticScales, Statistics, attach, attention_modules, head_dim
from golden.nn.runtime import Mode
from golden.nn.thresholds import Thresholds
from golden.train.task import Batch, Part, Task, batches
from latte_hw.config import LatteConfig, Rule
from latte_hw.config.thresholds import ModelShape, StaticArrays, ThresholdsFile


@dataclass(frozen=True)
class Measured:
    """What a pass over some items gave: per item by name, and pairs per layer and head (modes soft and integer)."""

    outcome: dict[str, np.ndarray]
    value: float  # the task's figure
    pairs: Statistics


class ModelUnderTest:
    """A frozen model attached to a runtime, with what it is judged on.

    Args:
        model: any model of transformers' attention interface, from ``from_pretrained``; its weights get no gradient.
        runtime: how its attention is computed.
        task: what it is judged on.
        device: where it runs; the model is moved there.
        batch: items of a forward pass.

    Raises :class:`LatteError` when thresholds or configuration do not fit the model.
    """

    def __init__(
        self, model: PreTrainedModel, runtime: LatteRuntime, task: Task, device: torch.device, batch: int = 4
    ) -> None:
        model.eval().requires_grad_(False)
        if hasattr(model.config, "use_cache"):
            model.config.use_cache = False
        self.model, self.runtime, self.task, self.device, self.batch = model.to(device), runtime, task, device, batch
        runtime.thresholds.to(device)
        attach(model, runtime)

    def logits(self, batch: Batch, mode: Mode) -> torch.Tensor:
        """The model's answers in a mode; the batch must be on its device."""
        with self.runtime.using(mode):
            answer: torch.Tensor = self.model(**batch.inputs).logits
        return answer

    def load(self, part: Part, items: Sequence[int]) -> Batch:
        return self.task.batch(part, items).to(self.device)

    @torch.no_grad()
    def measure(self, mode: Mode, part: Part, count: int) -> Measured:
        """The first ``count`` items of a part in a mode, without a soft mask."""
        runtime = self.runtime
        kappa, runtime.kappa = runtime.kappa, None
        runtime.reset_statistics()
        found: list[dict[str, torch.Tensor]] = []
        try:
            for items in batches(count, self.batch):
                batch = self.load(part, items)
                outcome = self.task.outcome(self.logits(batch, mode), batch.targets)
                found.append({name: x.double().cpu() for name, x in outcome.items()})
        finally:
            runtime.kappa = kappa
        merged = {name: torch.cat([one[name] for one in found]).numpy() for name in found[0]}
        return Measured(merged, self.task.value(merged), runtime.statistics())

    def keep_ratio(self, count: int) -> float:
        """Share of valid pairs that are kept on the first ``count`` training items."""
        return self.measure("soft", "train", count).pairs.keep_ratio


def model_shape(model: PreTrainedModel, name: str) -> ModelShape:
    """What thresholds for ``model`` must fit. :class:`LatteError` when it has no attention that we know."""
    config = model.config
    heads = int(config.num_attention_heads)
    return ModelShape(
        name=name,
        type=str(config.model_type),
        layers=len(attention_modules(model)),
        heads=heads,
        kv_heads=int(getattr(config, "num_key_value_heads", None) or heads),
        head_dim=head_dim(model),
    )


def is_causal(model: PreTrainedModel) -> bool:
    """Whether the model's attention is causal, as its modules say."""
    return bool(attention_modules(model)[0].is_causal)


def runtime_for(file: ThresholdsFile, *, estimate_bits: int | None = None, kappa: float | None = None) -> LatteRuntime:
    """The runtime that a thresholds file describes."""
    signed = file.config.rule is Rule.STATIC
    thresholds = Thresholds(file.model.layers, file.model.heads, signed=signed)
    thresholds.load(torch.from_numpy(np.array(file.tau)))
    scales: Literal["window"] | StaticScales = "window" if file.scales is None else to_torch(file.scales)
    return LatteRuntime(
        file.config, thresholds, file.conditioning, scales, "soft", kappa, estimate_bits=estimate_bits, clip=file.clip
    )


def to_torch(scales: StaticArrays) -> StaticScales:
    mean = None if scales.k_mean is None else torch.from_numpy(scales.k_mean)
    q, k, v = (torch.from_numpy(x) for x in (scales.q, scales.k, scales.v))
    return StaticScales(q, k, v, mean)


def config_for(model: PreTrainedModel, base: LatteConfig | None = None) -> dict[str, Any]:
    """Configuration fields that fit a model, where the user gives none: its head_dim, heads and causality."""
    fields = (base or LatteConfig()).model_dump()
    return {**fields, "head_dim": head_dim(model), "heads": int(model.config.num_attention_heads),
            "causal": is_causal(model)}  # fmt: skip
