"""Seeded scenes whose class is a relation: which shape appears twice?

A scene is a grid of cells of about 37 pixels, some of which hold a shape: 3×3 cells and 5 shapes at 112 pixels. Two
shapes are of the same kind, the others of other kinds, each once. Position, size, turn, colour and stripes of every
shape vary independently, over a darker background with a gradient and waves, among crumbs and under noise. The two
shapes of a kind have nothing in common but their outline; to name it, a model must recognise all and compare.

Scenes are drawn with NumPy in blocks: the first n scenes of a part do not depend on how many are made. Pixels are
rendered with PyTorch on any device; devices round alike but for a few pixels.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from golden.train.images.image_set import Images
from golden.train.images.shapes import ANGLES, profiles
from golden.train.task import Part
from latte_hw.config.errors import LatteError

CLASSES, _RADII, _HOLES = profiles()
BLOCK = 500
"""Scenes drawn from one seed."""

CELL = 36
"""Pixels of the window that a shape is drawn in; a cell of the grid is at least as large."""

CRUMB = 12
"""Pixels of a crumb's window."""

NOISE = 24
"""Greatest change of a pixel by noise, out of 255."""

COVERED = 0.3
"""Share of a patch that a shape must cover for the patch to be labelled with it."""

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class Scenes:
    """What is to be seen in n scenes: k shapes and c crumbs each. Lengths in pixels, angles in radians, colours 0–1."""

    labels: NDArray[np.int64]  # (n,)
    kinds: NDArray[np.int64]  # (n, k)
    shapes: dict[str, Floats]  # centre (n, k, 2), radius, turn, colour (n, k, 3), wave (n, k, 2), depth
    crumbs: dict[str, Floats]  # centre (n, c, 2), half (n, c, 2), turn, colour
    ground: dict[str, Floats]  # colour (n, 3), slope (n, 2), wave (n, 2), depth (n,)
    noise: NDArray[np.int8]  # (n, size, size, 3)

    def first(self, count: int) -> "Scenes":
        """At most so many of the scenes."""
        shapes, crumbs, ground = (
            {name: x[:count] for name, x in one.items()} for one in (self.shapes, self.crumbs, self.ground)
        )
        return Scenes(self.labels[:count], self.kinds[:count], shapes, crumbs, ground, self.noise[:count])


def render(part: Part, count: int, size: int, patch: int, seed: int, device: str = "cpu") -> Images:
    """The first ``count`` scenes of a part, with what every patch of ``patch`` pixels shows (0, or 1 + kind).

    :class:`LatteError` when the size is not a multiple of the patch, or too small for a grid of 2×2 cells.
    """
    if size % patch:
        raise LatteError(f"the image size must be a multiple of the patch, {patch}, not {size}")
    if size < 2 * CELL:
        raise LatteError(f"rendered images must have at least {2 * CELL} pixels a side, not {size}")
    pixels = np.empty((count, 3, size, size), np.uint8)
    labels = np.empty(count, np.int64)
    patches = np.empty((count, size // patch, size // patch), np.uint8)
    for block, start in enumerate(range(0, count, BLOCK)):
        scenes = draw(part, block, size, seed)
        rows = slice(start, min(start + BLOCK, count))
        these = slice(0, rows.stop - start)
        pixels[rows], patches[rows] = _paint(scenes.first(count - start), size, patch, torch.device(device))
        labels[rows] = scenes.labels[these]
    return Images(pixels, labels, patches)


def draw(part: Part, block: int, size: int, seed: int) -> Scenes:
    """Draw a block of scenes."""
    rng = np.random.default_rng([seed, size, 0 if part == "train" else 1, block])
    grid = size // CELL
    shapes, crumbs = grid + 2, 4 * grid
    # Kinds in a random order, without repetition; the last shape repeats the first.
    kinds = rng.permuted(np.tile(np.arange(len(CLASSES)), (BLOCK, 1)), axis=1)[:, :shapes]
    kinds[:, -1] = kinds[:, 0]
    order = np.argsort(rng.random((BLOCK, shapes)), axis=1)
    cells = rng.permuted(np.tile(np.arange(grid * grid), (BLOCK, 1)), axis=1)[:, :shapes]
    pitch = size / grid
    middle = (np.stack([cells // grid, cells % grid], axis=-1) + 0.5) * pitch
    ground = rng.uniform(0.05, 0.35, (BLOCK, 3))
    return Scenes(
        labels=kinds[:, 0].copy(),
        kinds=np.take_along_axis(kinds, order, axis=1),
        shapes=_floats(
            centre=middle + rng.uniform(-5, 5, (BLOCK, shapes, 2)),
            radius=rng.uniform(7.5, 10.5, (BLOCK, shapes)),
            turn=rng.uniform(0, 2 * np.pi, (BLOCK, shapes)),
            colour=_colours(rng, shapes),
            wave=rng.normal(0, 0.7, (BLOCK, shapes, 2)),
            depth=rng.uniform(0, 0.12, (BLOCK, shapes)),
        ),
        crumbs=_floats(
            centre=rng.uniform(0, size, (BLOCK, crumbs, 2)),
            half=rng.uniform((2, 0.7), (4.5, 1.3), (BLOCK, crumbs, 2)),
            turn=rng.uniform(0, 2 * np.pi, (BLOCK, crumbs)),
            colour=_colours(rng, crumbs),
        ),
        ground=_floats(
            colour=ground,
            slope=rng.uniform(-0.15, 0.15, (BLOCK, 2)),
            wave=rng.normal(0, 0.25, (BLOCK, 2)),
            depth=rng.uniform(0, 0.06, BLOCK),
        ),
        noise=rng.integers(-NOISE, NOISE + 1, (BLOCK, size, size, 3), np.int8),
    )


def _floats(**arrays: NDArray[Any]) -> dict[str, Floats]:
    return {name: x.astype(np.float32) for name, x in arrays.items()}


def _colours(rng: np.random.Generator, count: int) -> NDArray[np.float64]:
    """Colours (n, count, 3), lighter than any ground in every channel."""
    return rng.uniform(0.5, 1, (BLOCK, count, 3))


def _paint(scenes: Scenes, size: int, patch: int, device: torch.device) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Pixels (n, 3, size, size), and what patches show (n, p, p)."""

    def on(arrays: dict[str, Floats]) -> dict[str, torch.Tensor]:
        return {name: torch.from_numpy(x).to(device) for name, x in arrays.items()}

    margin = CELL
    canvas = _ground(on(scenes.ground), size, margin)
    shown = torch.zeros(canvas.shape[:3], dtype=torch.uint8, device=device)
    for arrays, paint, window in ((on(scenes.crumbs), _crumb, CRUMB), (on(scenes.shapes), _shape, CELL)):
        kinds = torch.from_numpy(scenes.kinds).to(device)
        for i in range(arrays["turn"].shape[1]):
            one = {name: x[:, i] for name, x in arrays.items()}
            where, offset = _window(one["centre"] + margin, window)
            kind = kinds[:, i] if paint is _shape else None
            cover, colour = paint(one, offset, kind)
            canvas[where] = canvas[where] * (1 - cover) + colour * cover
            if kind is not None:
                label = (kind + 1).to(torch.uint8)[:, None, None]
                shown[where] = torch.where(cover[..., 0] > 0.5, label, shown[where])
    inside = slice(margin, margin + size)
    noise = torch.from_numpy(scenes.noise).to(device).float()
    pixels = (canvas[:, inside, inside] * 255 + noise).round().clamp(0, 255).to(torch.uint8)
    labels = _patch_labels(shown[:, inside, inside], patch)
    return pixels.permute(0, 3, 1, 2).cpu().numpy(), labels.cpu().numpy()


def _ground(ground: dict[str, torch.Tensor], size: int, margin: int) -> torch.Tensor:
    """Background (n, size + 2 margin, same, 3): a gradient and waves."""
    line = torch.arange(size + 2 * margin, device=ground["depth"].device) - (margin + size / 2)
    y, x = line[None, :, None], line[None, None, :]

    def along(name: str) -> torch.Tensor:
        direction = ground[name][:, :, None, None]
        return direction[:, 0] * y + direction[:, 1] * x

    shade = along("slope") * (2 / size) + ground["depth"][:, None, None] * torch.sin(along("wave"))
    return ground["colour"][:, None, None, :] + shade[..., None]


def _window(centre: torch.Tensor, side: int) -> tuple[tuple[torch.Tensor, ...], torch.Tensor]:
    """Index of a window of the canvas around centres (n, 2), and its pixels' distance from them (n, side, side, 2)."""
    first = centre.floor().long() - side // 2
    line = torch.arange(side, device=centre.device)
    rows, columns = first[:, 0, None] + line, first[:, 1, None] + line
    image = torch.arange(len(centre), device=centre.device)[:, None, None]
    y = rows[:, :, None].expand(-1, -1, side) + 0.5 - centre[:, 0, None, None]
    x = columns[:, None, :].expand(-1, side, -1) + 0.5 - centre[:, 1, None, None]
    return (image, rows[:, :, None], columns[:, None, :]), torch.stack([y, x], dim=-1)


def _shape(one: dict[str, torch.Tensor], offset: torch.Tensor, kind: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """Cover (n, w, w, 1) in [0, 1] and colour (n, w, w, 3) of one shape per scene."""
    device = offset.device
    distance = offset.square().sum(-1).sqrt()
    angle = torch.atan2(offset[..., 0], offset[..., 1]) - one["turn"][:, None, None]
    step = (angle * (ANGLES / (2 * torch.pi))).floor().long() % ANGLES
    radii = torch.from_numpy(_RADII).to(device)[kind[:, None, None], step] * one["radius"][:, None, None]
    hole = torch.from_numpy(_HOLES).to(device)[kind][:, None, None]
    cover = (radii - distance + 0.5).clamp(0, 1)
    cover = cover - torch.where(hole > 0, (hole * radii - distance + 0.5).clamp(0, 1), 0)
    stripes = one["depth"][:, None, None] * torch.sin((offset * one["wave"][:, None, None]).sum(-1))
    return cover[..., None], one["colour"][:, None, None] + stripes[..., None]


def _crumb(one: dict[str, torch.Tensor], offset: torch.Tensor, _: None) -> tuple[torch.Tensor, torch.Tensor]:
    """The same of a crumb: a thin short bar."""
    turn = one["turn"][:, None, None]
    sine, cosine = turn.sin(), turn.cos()
    along = (offset[..., 0] * sine + offset[..., 1] * cosine).abs()
    across = (offset[..., 0] * cosine - offset[..., 1] * sine).abs()
    half = one["half"][:, None, None]
    cover = (half[..., 0] - along + 0.5).clamp(0, 1) * (half[..., 1] - across + 0.5).clamp(0, 1)
    return cover[..., None], one["colour"][:, None, None].expand(*offset.shape[:3], 3)


def _patch_labels(shown: torch.Tensor, patch: int) -> torch.Tensor:
    """The kind that covers most of a patch, (n, p, p) uint8, or 0 where none covers enough."""
    n, size, _ = shown.shape
    tiles = shown.view(n, size // patch, patch, size // patch, patch)
    counts = torch.stack([(tiles == 1 + kind).sum((2, 4)) for kind in range(len(CLASSES))])
    most, kind = counts.max(0)
    return torch.where(most >= COVERED * patch * patch, kind + 1, 0).to(torch.uint8)
