"""Vision transformers: made anew in named sizes, or found as transformers saves them."""

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForImageClassification, PreTrainedModel, ViTConfig, ViTForImageClassification
from transformers.image_processing_base import ImageProcessingMixin
from transformers.utils import logging as model_logging

from golden.models.loading import find_source, load_model
from latte_hw.config.arrays import numbers
from latte_hw.config.errors import LatteError

RECORD = "training.json"
"""File in a model's folder that says how it was trained."""

POSITIONS = 1.0
"""Amplitude of the first position embeddings."""

PLAIN = (0.5, 0.5)
"""Mean and deviation of pixels in [0, 1] that our own models are given, and others that name none."""


@dataclass(frozen=True)
class Size:
    """A named size. ``tokens`` are the patches and the class token."""

    width: int
    layers: int
    heads: int
    image: int  # pixels a side
    patch: int
    channels: int

    @property
    def tokens(self) -> int:
        return (self.image // self.patch) ** 2 + 1


SIZES = {
    "digits": Size(width=64, layers=4, heads=4, image=8, patch=1, channels=1),  # 65 tokens, head_dim 16
    "deit-ti": Size(width=192, layers=12, heads=3, image=112, patch=8, channels=3),  # 197 tokens, head_dim 64
    "small": Size(width=96, layers=4, heads=3, image=72, patch=9, channels=3),  # 65 tokens, head_dim 32: for a CPU
}


@dataclass(frozen=True)
class ImageModel:
    """A model in float32, ready to run, what it wants pixels in [0, 1] to be brought to, and a name to cite it by."""

    model: PreTrainedModel
    mean: tuple[float, ...]  # per channel
    deviation: tuple[float, ...]
    name: str
    record: dict[str, Any]  # how `latte train-vit` trained it; empty for other models


def find_size(name: str) -> Size:
    """The named size; :class:`LatteError` lists the known ones."""
    if name not in SIZES:
        raise LatteError(f"vision model must be one of {', '.join(SIZES)}, not {name!r}")
    return SIZES[name]


def new_vit(size: Size, classes: Sequence[str], seed: int) -> PreTrainedModel:
    """An untrained ViT with class token; equal seeds give equal weights.

    Linear layers begin with outputs as large as their inputs, queries and keys half as large again, and positions
    count from the start: transformers' own beginning (every weight about 0.02) is made for wide models and long
    training, and leaves the attention of small ones even over all tokens for thousands of steps.
    """
    config = ViTConfig(
        hidden_size=size.width, num_hidden_layers=size.layers, num_attention_heads=size.heads,
        intermediate_size=4 * size.width, image_size=size.image, patch_size=size.patch, num_channels=size.channels,
        id2label=dict(enumerate(classes)), label2id={name: i for i, name in enumerate(classes)},
    )  # fmt: skip
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        model: PreTrainedModel = ViTForImageClassification(config)
        for name, weight in model.named_parameters():
            _begin(name, weight)
    return model


@torch.no_grad()
def _begin(name: str, weight: torch.Tensor) -> None:
    """Draw a weight's first values; vectors and the classifier keep transformers' own."""
    if "position" in name:
        weight.copy_(_waves(weight.shape[1] - 1, weight.shape[2]))
    elif weight.ndim == 4:  # patches
        weight.normal_(std=0.5 / math.sqrt(weight[0].numel()))
    elif weight.ndim == 2 and not name.startswith("classifier"):
        larger = 1.5 if ".q_proj." in name or ".k_proj." in name else 1.0
        weight.normal_(std=larger / math.sqrt(weight.shape[1]))


def _waves(patches: int, width: int) -> torch.Tensor:
    """First position embeddings (1, 1 + patches, width): waves of both coordinates, in which neighbours are alike, so
    that looking near by is easily learnt; 0 for the class token."""
    side = math.isqrt(patches)
    waves = width // 4
    frequency = 0.5 * math.pi * (2.0 / side) ** (torch.arange(waves) / max(1, waves - 1))  # up to a period of 4 patches
    angle = torch.arange(side)[:, None] * frequency  # (side, waves)
    line = torch.cat([angle.sin(), angle.cos()], dim=1)  # (side, width / 2)
    rows, columns = line[:, None].expand(-1, side, -1), line[None].expand(side, -1, -1)
    grid = torch.cat([rows, columns], dim=-1).reshape(patches, width) * POSITIONS
    return torch.cat([torch.zeros(1, width), grid])[None]


def save_vit(model: PreTrainedModel, folder: Path, record: dict[str, Any]) -> None:
    """Write the model as transformers loads it (config.json, model.safetensors), with its pixels' mean and deviation
    and the record of its training. :class:`LatteError` when the folder cannot be written."""
    side, channels = int(model.config.image_size), int(model.config.num_channels)
    processor = {
        "image_processor_type": "ViTImageProcessor",
        "do_resize": True,
        "size": {"height": side, "width": side},
        "do_rescale": True,
        "rescale_factor": 1 / 255,
        "do_normalize": True,
        "image_mean": [PLAIN[0]] * channels,
        "image_std": [PLAIN[1]] * channels,
    }
    try:
        model_logging.disable_progress_bar()
        model.save_pretrained(folder)
        (folder / "preprocessor_config.json").write_text(json.dumps(processor, indent=2) + "\n")
        (folder / RECORD).write_text(json.dumps(record, indent=1) + "\n")
    except OSError as error:
        raise LatteError(f"model folder {folder} cannot be written: {error.strerror or error}") from None


def load_image_model(name: str) -> ImageModel:
    """An image classifier from a local folder or the Hugging Face hub; :class:`LatteError` when there is none."""
    source = find_source(name)
    model = load_model(name, AutoModelForImageClassification)
    if not hasattr(model.config, "num_channels") or not isinstance(model.config.image_size, int):
        raise LatteError(f"model {name} is not a classifier of square images")
    channels = int(model.config.num_channels)
    mean, deviation = ((number,) * channels for number in PLAIN)
    try:
        found, _ = ImageProcessingMixin.get_image_processor_dict(source.location)
        mean, deviation = (tuple(numbers(f"{key} of model {name}", found.get(key) or plain).tolist())
                           for key, plain in (("image_mean", mean), ("image_std", deviation)))  # fmt: skip
    except OSError:  # a model without one
        pass
    return ImageModel(model, mean, deviation, source.name, _record(Path(source.location)))


def _record(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / RECORD).read_text())
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}
