"""Reads image sets: by name, from folders, from the hub."""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from golden.train.images.image_set import Images, ImageSet
from golden.train.task import Part
from latte_hw.config.errors import LatteError

HUB_PREFIX = "hf:"
DIGITS_HELD_OUT = 1000
RENDERED_COUNTS = (40_000, 2_000)
HELD_OUT_NAMES = ("val", "test", "held_out")
SUFFIXES = (".png", ".jpg", ".jpeg")


@dataclass(frozen=True)
class Request:
    """Which images, in which form.

    Args:
        source: see the package.
        size: side in pixels; digits are always 8.
        patch: side of a model's patch, for rendered images.
        channels: 1 (grey) or 3; digits have 1, rendered images 3.
        share: held-out share where the source has no parts of its own.
        seed: of the split, or of the scenes.
        limit: at most so many images of each part are read, (training, held-out); None reads all.
        device: where scenes are rendered.
    """

    source: str
    size: int = 112
    patch: int = 8
    channels: int = 3
    share: float = 0.25
    seed: int = 0
    limit: tuple[int | None, int | None] = (None, None)
    device: str = "cpu"


def load_images(request: Request) -> ImageSet:
    """The images that a request names; :class:`LatteError` says in one sentence why there are none."""
    source = request.source
    if not 0 < request.share < 1:
        raise LatteError(f"the held-out share must be above 0 and below 1, not {request.share:g}")
    if source == "digits":
        return digits(request)
    if source == "rendered" or source.startswith("rendered:"):
        return _rendered(request)
    if source.startswith(HUB_PREFIX):
        return _from_hub(request)
    return _from_folder(request)


def digits(request: Request) -> ImageSet:
    """scikit-learn's digits: 797 to train on, 1,000 held out, drawn by the seed."""
    if (request.size, request.channels) != (8, 1):
        raise LatteError(
            f"digits are 8×8 pixels of 1 channel, but the model takes {request.size}×{request.size} of "
            f"{request.channels}"
        )
    try:
        from sklearn.datasets import load_digits
    except ModuleNotFoundError:
        raise LatteError("images digits need the package scikit-learn: pip install scikit-learn") from None
    found = load_digits()
    pixels = np.rint(found.images * (255 / 16)).astype(np.uint8)[:, None]
    order = np.random.default_rng(request.seed).permutation(len(pixels))
    held_out, train = np.split(order, [DIGITS_HELD_OUT])
    labels = found.target.astype(np.int64)
    parts = [Images(pixels[rows[:most]], labels[rows[:most]])
             for rows, most in zip((train, held_out), request.limit, strict=True)]  # fmt: skip
    classes = tuple(str(name) for name in found.target_names)
    return ImageSet(parts[0], parts[1], classes, "scikit-learn's digits", request.seed, "small")


def _rendered(request: Request) -> ImageSet:
    from golden.train.images import rendered

    counts = list(RENDERED_COUNTS)
    given = request.source.split(":")[1:]
    if len(given) > 2 or not all(text.isdecimal() and int(text) for text in given):
        raise LatteError(f"rendered images are given as rendered, rendered:TRAIN or rendered:TRAIN:HELD_OUT, "
                         f"not {request.source}")  # fmt: skip
    counts[: len(given)] = [int(text) for text in given]
    if request.channels != 3:
        raise LatteError(f"rendered images have 3 channels, but the model takes {request.channels}")
    parts: tuple[Part, Part] = ("train", "held_out")
    train, held_out = (
        rendered.render(part, min(count, most or count), request.size, request.patch, request.seed, request.device)
        for part, count, most in zip(parts, counts, request.limit, strict=True)
    )
    return ImageSet(train, held_out, rendered.CLASSES, "rendered scenes", request.seed, "dihedral")


def _from_folder(request: Request) -> ImageSet:
    folder = Path(request.source).expanduser()
    if not folder.is_dir():
        raise LatteError(f"image folder {request.source} does not exist")
    held_out_folder = next((folder / name for name in HELD_OUT_NAMES if (folder / name).is_dir()), None)
    if (folder / "train").is_dir() and held_out_folder is not None:
        classes = _classes(folder / "train")
        if classes != _classes(held_out_folder):
            raise LatteError(f"image folder {folder}: train and {held_out_folder.name} have other classes")
        files = [_files(part, classes) for part in (folder / "train", held_out_folder)]
        parts = [_shuffled(part, request.seed) for part in files]
    else:
        classes = _classes(folder)
        parts = _split(_files(folder, classes), request)
    picked = [part[:most] for part, most in zip(parts, request.limit, strict=True)]
    images = [_read(part, _open, request) for part in picked]
    return ImageSet(images[0], images[1], classes, f"image folder {folder.resolve().name}", request.seed, "mirror")


def _classes(folder: Path) -> tuple[str, ...]:
    found = tuple(sorted(path.name for path in folder.iterdir() if path.is_dir()))
    if len(found) < 2:
        raise LatteError(f"image folder {folder} must have a sub-folder per class, at least two, not {len(found)}")
    return found


def _files(folder: Path, classes: tuple[str, ...]) -> list[tuple[Path, int]]:
    found = [(path, number) for number, name in enumerate(classes) for path in sorted((folder / name).iterdir())
             if path.suffix.lower() in SUFFIXES]  # fmt: skip
    if not found:
        raise LatteError(f"image folder {folder} holds no {', '.join(SUFFIXES)} files")
    return found


def _split(items: Sequence[Any], request: Request) -> list[list[Any]]:
    """Training and held-out items: a seeded draw of about ``share``, at least one."""
    mixed = _shuffled(items, request.seed)
    count = max(1, round(request.share * len(mixed)))
    return [mixed[count:], mixed[:count]]


def _shuffled(items: Sequence[Any], seed: int) -> list[Any]:
    return [items[i] for i in np.random.default_rng(seed).permutation(len(items))]


def _open(path: Path) -> Any:
    from PIL import Image

    try:
        with Image.open(path) as image:
            image.load()
            return image
    except Exception as error:  # a damaged file's reader raises whatever it stumbles over
        raise LatteError(f"image {path} cannot be read: {error}") from None


def _read(items: Iterable[tuple[Any, int]], opened: Callable[[Any], Any], request: Request) -> Images:
    """Images of the model's size: the greatest square in the middle, scaled."""
    try:
        from PIL import Image, ImageOps
    except ModuleNotFoundError:
        raise LatteError("reading image files needs the package pillow: pip install pillow") from None
    pixels: list[NDArray[np.uint8]] = []
    labels: list[int] = []
    for item, label in items:
        image = opened(item).convert("L" if request.channels == 1 else "RGB")
        fitted = np.asarray(ImageOps.fit(image, (request.size, request.size), Image.Resampling.BICUBIC), np.uint8)
        pixels.append(fitted.reshape(request.size, request.size, request.channels).transpose(2, 0, 1))
        labels.append(label)
    shape = (0, request.channels, request.size, request.size)
    return Images(np.stack(pixels) if pixels else np.zeros(shape, np.uint8), np.array(labels, np.int64))


def _from_hub(request: Request) -> ImageSet:
    name = request.source.removeprefix(HUB_PREFIX)
    parts = name.split(":")
    if not 1 <= len(parts) <= 3 or not parts[0]:
        raise LatteError(f"a data set is given as hf:NAME, hf:NAME:CONFIG or hf:NAME:CONFIG:SPLIT, not hf:{name}")
    config, split = (parts[1] or None if len(parts) > 1 else None), (parts[2] if len(parts) > 2 else "train")
    try:
        import datasets  # type: ignore[import-not-found, unused-ignore]
    except ModuleNotFoundError:
        raise LatteError(f"images hf:{name} need the package datasets: pip install datasets") from None
    try:
        rows = datasets.load_dataset(parts[0], config, split=split)
        classes = tuple(str(one) for one in rows.features["label"].names)
        rows.features["image"]
    except KeyError as error:
        raise LatteError(f"data set {name} has no column {error}") from None
    except Exception as error:  # offline, unknown, private: whatever the hub's client stumbles over
        reason = (str(error).strip().splitlines() or [type(error).__name__])[0].rstrip(".: ")
        raise LatteError(
            f"data set {name} cannot be had from the Hugging Face hub ({reason}); "
            "download it on a machine with a connection and pass a folder of class folders instead"
        ) from None
    picked = [part[:most] for part, most in zip(_split(range(len(rows)), request), request.limit, strict=True)]
    labels = rows["label"]
    images = [_read(((i, int(labels[i])) for i in part), lambda i: rows[i]["image"], request) for part in picked]
    return ImageSet(images[0], images[1], classes, f"data set {name}", request.seed, "mirror")
