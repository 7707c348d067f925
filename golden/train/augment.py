"""Changes to training images that leave their class as it is, on any device and seeded.

* ``dihedral`` (rendered scenes): one of the eight turns and reflections, and an order of the colour channels;
* ``small`` (digits): a turn by up to 12°, a zoom by up to 12 %, a shift by up to about a pixel of eight;
* ``mirror`` (photographs): left and right swapped for half of them, a zoom in by up to 40 %, a shift.
"""

import math
from itertools import permutations

import torch

from golden.train.images.image_set import Symmetry

Pair = tuple[torch.Tensor, torch.Tensor | None]


def augment(pixels: torch.Tensor, patches: torch.Tensor | None, symmetry: Symmetry, seed: int) -> Pair:
    """Change a batch: pixels (B, C, S, S) float in [0, 1], and what patches show (B, p, p) or None alike.

    Only ``dihedral`` takes patches with it; the others have none.
    """
    generator = torch.Generator().manual_seed(seed)
    if symmetry == "dihedral":
        return _dihedral(pixels, patches, generator)
    if symmetry == "small":
        return _affine(pixels, generator, degrees=12, zoom=(1 / 1.12, 1.12), shift=0.25), patches
    mirrored = torch.where(_flags(len(pixels), generator, pixels.device), pixels.flip(-1), pixels)
    return _affine(mirrored, generator, degrees=0, zoom=(1.0, 1.4), shift=0.15), patches


def _flags(count: int, generator: torch.Generator, device: torch.device) -> torch.Tensor:
    return (torch.rand(count, generator=generator) < 0.5).to(device)[:, None, None, None]


def _dihedral(pixels: torch.Tensor, patches: torch.Tensor | None, generator: torch.Generator) -> Pair:
    """An image's index in its batch chooses its operation: batches are shuffled, so that is as good as a draw."""
    first = int(torch.randint(8, (), generator=generator))
    orders = list(permutations(range(pixels.shape[1])))
    changed = torch.empty_like(pixels)
    shown = None if patches is None else torch.empty_like(patches)
    for index in range(min(8, len(pixels))):
        operation = (first + index) % 8
        order = orders[int(torch.randint(len(orders), (), generator=generator))]
        changed[index::8] = _turned(pixels[index::8][:, list(order)], operation)
        if patches is not None and shown is not None:
            shown[index::8] = _turned(patches[index::8], operation)
    return changed, shown


def _turned(x: torch.Tensor, operation: int) -> torch.Tensor:
    turned = torch.rot90(x, operation % 4, dims=(-2, -1))
    return turned.flip(-1) if operation >= 4 else turned


def _affine(
    pixels: torch.Tensor, generator: torch.Generator, *, degrees: float, zoom: tuple[float, float], shift: float
) -> torch.Tensor:
    """Turn by up to ``degrees``, enlarge by a factor in ``zoom``, shift by up to ``shift`` of half the side."""
    count = len(pixels)
    draws = torch.rand(4, count, generator=generator, dtype=torch.float64)
    angle = (2 * draws[0] - 1) * math.radians(degrees)
    scale = torch.exp(math.log(zoom[0]) + draws[1] * math.log(zoom[1] / zoom[0]))
    cosine, sine = angle.cos() / scale, angle.sin() / scale
    x, y = (2 * draws[2:] - 1) * shift
    matrix = torch.stack([torch.stack([cosine, -sine, x], -1), torch.stack([sine, cosine, y], -1)], 1)
    grid = torch.nn.functional.affine_grid(matrix.float(), list(pixels.shape), align_corners=False)
    return torch.nn.functional.grid_sample(pixels, grid.to(pixels.device), padding_mode="border", align_corners=False)
