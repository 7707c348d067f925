"""Naming what images show, as a task for calibration, training and evaluation of thresholds."""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from transformers import PreTrainedModel

from golden.models.vit import ImageModel, load_image_model
from golden.train.images import ImageSet, Request, load_images
from golden.train.jobs import Data
from golden.train.task import Batch, Outcome, Part
from latte_hw.config.errors import LatteError


class ImageTask:
    """Top-1 classification of an image set, with pixels brought to what a model wants.

    Raises :class:`LatteError` when images and model do not fit: size, channels, or more classes than the model names.
    """

    figure = "top_1"

    def __init__(self, images: ImageSet, model: ImageModel) -> None:
        config = model.model.config
        self._images = images.relabelled(dict(config.label2id))
        if (images.size, images.channels) != (config.image_size, config.num_channels):
            raise LatteError(
                f"the images have {images.size}×{images.size} pixels of {images.channels} channels, but "
                f"{model.name} takes {config.image_size}×{config.image_size} of {config.num_channels}"
            )
        if len(self._images.classes) > config.num_labels:
            raise LatteError(
                f"the images are of {len(self._images.classes)} classes, but {model.name} names {config.num_labels}"
            )
        _check_split(images, model)
        self._mean = torch.tensor(model.mean)[:, None, None]
        self._deviation = torch.tensor(model.deviation)[:, None, None]

    def count(self, part: Part) -> int:
        return len(self._images.part(part))

    def batch(self, part: Part, items: Sequence[int]) -> Batch:
        images, rows = self._images.part(part), list(items)
        pixels = torch.from_numpy(images.pixels[rows]).float() / 255
        return Batch({"pixel_values": (pixels - self._mean) / self._deviation}, torch.from_numpy(images.labels[rows]))

    def losses(self, logits: torch.Tensor, targets: torch.Tensor) -> torch.Tensor:
        return torch.nn.functional.cross_entropy(logits.float(), targets, reduction="none")

    def outcome(self, logits: torch.Tensor, targets: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"loss": self.losses(logits, targets), "right": logits.argmax(-1) == targets}

    def value(self, outcome: Outcome) -> float:
        return float(outcome["right"].mean())

    def describe(self) -> dict[str, Any]:
        return self._images.describe()


def load_image_task(
    data: Data, name: str, device: torch.device, say: Callable[[str], None], held_out: int | None
) -> tuple[PreTrainedModel, str, ImageTask]:
    """The image model called ``name``, a name to cite it by, and its task. With ``held_out`` given, so many images to
    judge on are loaded and next to none to train on; without, it is the other way round."""
    assert data.images is not None
    say(f"loading {name}")
    model = load_image_model(name)
    config = model.model.config
    say(f"loading images {data.images}")
    request = Request(
        source=data.images, size=config.image_size, patch=config.patch_size, channels=config.num_channels,
        share=data.share, seed=data.seed, limit=(None, 1) if held_out is None else (1, held_out), device=str(device),
    )  # fmt: skip
    images = load_images(request)
    if held_out is not None and len(images.held_out) < held_out:
        raise LatteError(f"{images.name} has {len(images.held_out)} held-out images, not {held_out}")
    return model.model, model.name, ImageTask(images, model)


def _check_split(images: ImageSet, model: ImageModel) -> None:
    """What the model has been trained on must not be held out now: same source, same seed."""
    trained: dict[str, Any] = model.record.get("images", {})
    if trained.get("source") == images.name and trained.get("split_seed") != images.seed:
        raise LatteError(
            f"{model.name} was trained on {images.name} split with seed {trained.get('split_seed')}, so that images "
            f"held out with seed {images.seed} may be known to it: give --split-seed {trained.get('split_seed')}"
        )
