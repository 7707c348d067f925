"""Trains a vision transformer from scratch: AdamW, a warm-up and half a cosine, light augmentation, seeded.

Images that say what each patch shows (rendered scenes) teach the patch tokens as well, through a linear layer that is
thrown away afterwards: what to look for is learnt within minutes that way, the relation follows. A small loss keeps
attention from spreading over too many keys (:mod:`golden.train.sharp`).
"""

import math
import time
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
import torch
from transformers import PreTrainedModel

from golden.models.vit import PLAIN
from golden.train import sharp
from golden.train.augment import augment
from golden.train.images import Images, ImageSet
from latte_hw.config.errors import LatteError

SAY_EVERY = 50
"""Steps between two lines of progress."""

JUDGE_BATCH = 500

GROUND_WEIGHT = 0.1
"""Weight of patches that show the background alone, of which there are many, among those with a shape."""


@dataclass(frozen=True)
class VitPlan:
    """Everything that decides how a training run goes."""

    steps: int = 2400
    batch: int = 512
    lr: float = 1e-3
    warmup: float = 0.05  # share of the steps in which the learning rate rises
    weight_decay: float = 0.05
    smoothing: float = 0.05  # of labels
    patch_weight: float = 1.0  # of the patch tokens' loss, where images say what patches show
    sharpness: float = 0.1  # weight of the loss on attention that spreads over more than that share of keys:
    spread: float = 0.05
    seed: int = 0

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            if getattr(self, name) < 1:
                raise LatteError(f"{name} must be at least 1, not {getattr(self, name)}")
        if not self.lr > 0:
            raise LatteError(f"the learning rate must be above 0, not {self.lr:g}")

    def lr_at(self, step: int) -> float:
        """Learning rate of a step."""
        rise = max(1, round(self.warmup * self.steps))
        if step < rise:
            return self.lr * (step + 1) / rise
        return self.lr * (1 + math.cos(math.pi * (step - rise) / max(1, self.steps - rise))) / 2

    def sharpness_at(self, step: int) -> float:
        """Weight of the loss on spread: nothing while the model finds out what to look for, then rising."""
        return self.sharpness * min(1.0, max(0.0, step / self.steps - 0.3) / 0.3)


@dataclass(frozen=True)
class Stock:
    """Training images on the device."""

    pixels: torch.Tensor  # (n, C, S, S) uint8
    labels: torch.Tensor  # (n,) int64
    patches: torch.Tensor | None  # (n, p, p) uint8

    @classmethod
    def of(cls, images: Images, device: torch.device) -> "Stock":
        patches = None if images.patches is None else torch.from_numpy(images.patches).to(device)
        return cls(torch.from_numpy(images.pixels).to(device), torch.from_numpy(images.labels).to(device), patches)


def train_vit(
    model: PreTrainedModel, images: ImageSet, plan: VitPlan, device: torch.device, say: Callable[[str], None]
) -> dict[str, Any]:
    """Train ``model`` in place; the record of the run with the held-out top-1, in plain values.

    On a GPU the passes run in bfloat16 (autocast), weights stay float32.
    """
    model.to(device).train()
    stock = Stock.of(images.train, device)
    head = _patch_head(model, stock, plan, device)
    parameters = [*model.named_parameters(), *(head.named_parameters() if head is not None else ())]
    optimizer = torch.optim.AdamW(_groups(parameters, plan), lr=plan.lr, betas=(0.9, 0.98))
    history: list[dict[str, float]] = []
    started = time.monotonic()
    with sharp.watched(model):
        for step, rows in zip(range(plan.steps), _order(len(images.train), plan), strict=False):
            for group in optimizer.param_groups:
                group["lr"] = plan.lr_at(step)
            loss, figures = _losses(model, head, stock, rows.to(device), images, plan, step)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_([one for _, one in parameters], 1.0)
            optimizer.step()
            if (step + 1) % SAY_EVERY == 0 or step + 1 == plan.steps:
                history.append({"step": step + 1, **{name: round(x.item(), 4) for name, x in figures.items()}})
                if not math.isfinite(history[-1]["loss"]):
                    raise LatteError(f"training diverged at step {step + 1}: the loss is not finite")
                say(_line(history[-1], plan, time.monotonic() - started))
        spread = sharp.spread()
    seconds = time.monotonic() - started
    top_1 = judge(model, images.held_out, device)
    return {
        "plan": asdict(plan),
        "images": images.describe(),
        "top_1": top_1,
        "keys_attended": spread,
        "seconds": round(seconds, 1),
        "images_per_second": round(plan.steps * plan.batch / seconds),
        "history": history,
    }


@torch.no_grad()
def judge(model: PreTrainedModel, images: Images, device: torch.device) -> float:
    """Top-1 share in floating point."""
    model.eval()
    right = 0
    for start in range(0, len(images), JUDGE_BATCH):
        rows = slice(start, start + JUDGE_BATCH)
        pixels = torch.from_numpy(images.pixels[rows]).to(device).float() / 255
        answers = model(pixel_values=_normal(pixels)).logits.argmax(-1).cpu().numpy()
        right += int((answers == images.labels[rows]).sum())
    return right / len(images)


def _losses(
    model: PreTrainedModel, head: torch.nn.Module | None, stock: Stock, rows: torch.Tensor, images: ImageSet,
    plan: VitPlan, step: int,
) -> tuple[torch.Tensor, dict[str, torch.Tensor]]:  # fmt: skip
    """Loss of a step, and by name: loss, share of right answers, and of patches with a shape that are named right."""
    labels = stock.labels[rows]
    pixels, patches = augment(
        stock.pixels[rows].float() / 255,
        None if stock.patches is None else stock.patches[rows],
        images.symmetry,
        plan.seed * 1_000_003 + step,
    )
    sharp.begin()
    with torch.autocast(pixels.device.type, torch.bfloat16, enabled=pixels.device.type == "cuda"):
        answer = model(pixel_values=_normal(pixels), output_hidden_states=head is not None)
        loss = torch.nn.functional.cross_entropy(answer.logits.float(), labels, label_smoothing=plan.smoothing)
        figures = {"right": (answer.logits.argmax(-1) == labels).float().mean()}
        if head is not None and patches is not None:
            shown = head(answer.hidden_states[-1][:, 1:]).float()  # (B, patches, kinds)
            weights = torch.ones(shown.shape[-1], device=shown.device)
            weights[0] = GROUND_WEIGHT
            kinds = patches.flatten().long()
            loss = loss + plan.patch_weight * torch.nn.functional.cross_entropy(shown.flatten(0, 1), kinds, weights)
            with_shape = kinds > 0
            named = shown.flatten(0, 1).argmax(-1) == kinds
            figures["patches"] = (named & with_shape).sum() / with_shape.sum().clamp(min=1)
    if plan.sharpness_at(step):
        tokens = (model.config.image_size // model.config.patch_size) ** 2 + 1
        loss = loss + plan.sharpness_at(step) * sharp.excess(plan.spread * tokens)
    return loss, {"loss": loss.detach(), **figures}


def _normal(pixels: torch.Tensor) -> torch.Tensor:
    mean, deviation = PLAIN
    return (pixels - mean) / deviation


def _patch_head(model: PreTrainedModel, stock: Stock, plan: VitPlan, device: torch.device) -> torch.nn.Module | None:
    """The linear layer that names what patches show; None where nothing says it."""
    if stock.patches is None or plan.patch_weight == 0:
        return None
    kinds = int(stock.patches.max()) + 1
    head = torch.nn.Sequential(
        torch.nn.LayerNorm(model.config.hidden_size), torch.nn.Linear(model.config.hidden_size, kinds)
    )
    with torch.no_grad():
        head[1].weight.zero_()
        head[1].bias.zero_()
    return head.to(device)


def _groups(parameters: list[tuple[str, torch.nn.Parameter]], plan: VitPlan) -> list[dict[str, Any]]:
    """Matrices decay; vectors, embeddings of positions and the class token do not."""

    def decays(name: str, one: torch.nn.Parameter) -> bool:
        return one.ndim > 1 and "position" not in name and "token" not in name

    decaying = [one for name, one in parameters if decays(name, one)]
    others = [one for name, one in parameters if not decays(name, one)]
    return [{"params": decaying, "weight_decay": plan.weight_decay}, {"params": others, "weight_decay": 0.0}]


def _order(count: int, plan: VitPlan) -> Iterator[torch.Tensor]:
    """Rows of one batch after the other: every epoch is a seeded permutation."""
    waiting, epoch = np.empty(0, np.int64), 0
    while True:
        while len(waiting) < plan.batch:
            drawn = np.random.default_rng([plan.seed, epoch]).permutation(count)
            waiting, epoch = np.concatenate([waiting, drawn]), epoch + 1
        yield torch.from_numpy(waiting[: plan.batch])
        waiting = waiting[plan.batch :]


def _line(row: dict[str, float], plan: VitPlan, seconds: float) -> str:
    left = seconds / row["step"] * (plan.steps - row["step"])
    rate = row["step"] * plan.batch / seconds
    minutes, rest = divmod(round(left), 60)
    patches = f", patches {row['patches']:.2%}" if "patches" in row else ""
    return (
        f"step {row['step']}/{plan.steps}: loss {row['loss']:.4f}, right {row['right']:.2%}{patches}, "
        f"{rate:,.0f} images/s, {minutes}:{rest:02d} left"
    )
