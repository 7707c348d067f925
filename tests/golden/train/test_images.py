"""Image sets: their parts, what they cannot read, and scenes that are what their labels say."""

import sys
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from golden.train.augment import augment
from golden.train.images import ImageSet, Request, load_images
from golden.train.images.rendered import CLASSES, draw, render
from golden.train.images.shapes import ANGLES, profiles
from latte_hw.config.errors import LatteError


def keys(pixels: np.ndarray) -> list[bytes]:
    return [one.tobytes() for one in pixels]


# --- digits ------------------------------------------------------------------------------------------------------

DIGITS = {"size": 8, "patch": 1, "channels": 1}


def test_digits_hold_out_a_thousand_and_share_none():
    images = load_images(Request("digits", **DIGITS))
    assert (len(images.train), len(images.held_out)) == (797, 1000)
    assert images.train.pixels.shape == (797, 1, 8, 8)
    assert images.train.pixels.max() == 255
    assert set(images.held_out.labels) == set(range(10))
    both = keys(images.train.pixels) + keys(images.held_out.pixels)
    assert len(set(both)) == 1797  # scikit-learn's digits are all different


def test_the_split_of_digits_is_the_seeds():
    first, same, other = (load_images(Request("digits", **DIGITS, seed=seed)) for seed in (3, 3, 4))
    assert np.array_equal(first.held_out.pixels, same.held_out.pixels)
    assert not np.array_equal(first.held_out.pixels, other.held_out.pixels)


def test_limits_take_the_first_of_each_part():
    whole, some = (load_images(Request("digits", **DIGITS, limit=limit)) for limit in ((None, None), (5, 7)))
    assert np.array_equal(some.train.pixels, whole.train.pixels[:5])
    assert np.array_equal(some.held_out.labels, whole.held_out.labels[:7])


# --- rendered scenes ---------------------------------------------------------------------------------------------


def test_outlines_enclose_equal_areas():
    names, radii, holes = profiles()
    assert len(names) == len(set(names)) == len(radii) == len(holes) >= 10
    assert radii.shape[1] == ANGLES
    assert np.allclose((radii**2).mean(1), 1, atol=1e-5)
    assert radii.min() > 0.2
    assert radii.max() < 1.7  # the greatest shape fits its window


def test_one_kind_appears_twice_and_is_the_label():
    scenes = draw("train", 0, 112, seed=1)
    for label, kinds in zip(scenes.labels, scenes.kinds, strict=True):
        counts = np.bincount(kinds, minlength=len(CLASSES))
        assert sorted(counts[counts > 0]) == [1, 1, 1, 2]
        assert counts[label] == 2


def test_patches_show_the_kinds_of_the_scene():
    images, scenes = render("train", 40, 112, 8, seed=1), draw("train", 0, 112, seed=1)
    assert images.pixels.shape == (40, 3, 112, 112)
    assert images.patches.shape == (40, 14, 14)
    for shown, kinds in zip(images.patches, scenes.kinds, strict=False):
        assert set(np.unique(shown)) == {0, *(1 + kinds)}


def test_scenes_depend_on_seed_and_part_but_not_on_their_number():
    few, more = render("train", 3, 72, 9, seed=5), render("train", 6, 72, 9, seed=5)
    assert np.array_equal(few.pixels, more.pixels[:3])
    assert np.array_equal(few.labels, more.labels[:3])
    assert not np.array_equal(few.pixels, render("train", 3, 72, 9, seed=6).pixels)
    assert not np.array_equal(few.pixels, render("held_out", 3, 72, 9, seed=5).pixels)


def test_rendered_counts_are_in_the_name():
    images = load_images(Request("rendered:4:3", size=72, patch=9))
    assert (len(images.train), len(images.held_out)) == (4, 3)
    assert images.describe()["source"] == "rendered scenes"


# --- folders -----------------------------------------------------------------------------------------------------


def write_folder(root: Path, classes: tuple[str, ...], count: int, side: tuple[int, int] = (20, 12)) -> Path:
    """Images of one colour per class and number, PNG and JPEG in turn."""
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for i in range(count):
            image = Image.new("RGB", side, (number * 60, i * 10, 50))
            image.save(root / name / f"{i}{('.png', '.jpeg')[i % 2]}")
    return root


def test_a_folder_of_class_folders(tmp_path):
    folder = write_folder(tmp_path / "pets", ("cat", "dog", "eel"), 8)
    (folder / "cat" / "notes.txt").write_text("not an image")
    images = load_images(Request(str(folder), size=16, share=0.25))
    assert images.classes == ("cat", "dog", "eel")
    assert (len(images.train), len(images.held_out)) == (18, 6)
    assert images.name == "image folder pets"
    for part in (images.train, images.held_out):
        reds = np.rint(part.pixels[:, 0].mean((1, 2)) / 60)
        assert np.array_equal(reds, part.labels)
    assert not set(keys(images.train.pixels)) & set(keys(images.held_out.pixels))


def test_a_folder_with_parts_of_its_own(tmp_path):
    write_folder(tmp_path / "train", ("a", "b"), 5)
    write_folder(tmp_path / "val", ("a", "b"), 2)
    images = load_images(Request(str(tmp_path), size=8, channels=1))
    assert (len(images.train), len(images.held_out)) == (10, 4)
    assert images.channels == 1


def test_class_numbers_of_a_model(tmp_path):
    folder = write_folder(tmp_path / "x", ("cat", "dog"), 4)
    images = load_images(Request(str(folder), size=8))
    numbers = images.relabelled({"dog": 0, "fox": 1, "cat": 2})
    assert numbers.classes == ("dog", "fox", "cat")
    assert np.array_equal(numbers.train.labels, np.where(images.train.labels == 0, 2, 0))
    assert images.relabelled({"LABEL_0": 0, "LABEL_1": 1}) is images


# --- a data set on the hub ---------------------------------------------------------------------------------------


class Rows:
    """A data set as the package `datasets` gives it."""

    def __init__(self) -> None:
        self.features = {"image": None, "label": types.SimpleNamespace(names=["no", "yes"])}

    def __len__(self) -> int:
        return 10

    def __getitem__(self, key):
        if key == "label":
            return [i % 2 for i in range(10)]
        return {"image": Image.new("L", (9, 9), key * 20), "label": key % 2}


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch):
    """Stands in for `datasets.load_dataset`; asked for what, in order."""
    asked: list[tuple] = []

    def put(answer) -> list[tuple]:
        def load_dataset(name, config, split):
            asked.append((name, config, split))
            return answer()

        monkeypatch.setitem(sys.modules, "datasets", types.SimpleNamespace(load_dataset=load_dataset))
        return asked

    return put


def test_a_data_set_by_name(hub):
    asked = hub(Rows)
    images = load_images(Request("hf:some/images::validation", size=8, share=0.3))
    assert asked == [("some/images", None, "validation")]
    assert (len(images.train), len(images.held_out), images.classes) == (7, 3, ("no", "yes"))
    shades = images.train.pixels[:, 0, 0, 0] // 20
    assert np.array_equal(shades % 2, images.train.labels)


def test_a_hub_that_cannot_be_reached(hub):
    def fail():
        raise ConnectionError("no route to host")

    hub(fail)
    with pytest.raises(LatteError, match=r"cannot be had .*no route to host.*; download it .* pass a folder"):
        load_images(Request("hf:some/images"))


def test_a_data_set_without_labels(hub):
    hub(lambda: types.SimpleNamespace(features={"image": None}))
    with pytest.raises(LatteError, match="has no column 'label'"):
        load_images(Request("hf:some/images"))


def test_the_package_for_data_sets_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "datasets", None)
    with pytest.raises(LatteError, match="need the package datasets"):
        load_images(Request("hf:some/images"))


# --- what is refused ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("request_", "words"),
    [
        (Request("digits"), "digits are 8×8 pixels of 1 channel, but the model takes 112×112 of 3"),
        (Request("rendered:x"), "are given as rendered"),
        (Request("rendered:0"), "are given as rendered"),
        (Request("rendered:1:2:3"), "are given as rendered"),
        (Request("rendered", channels=1), "3 channels"),
        (Request("rendered:1:1", size=70, patch=7), "at least 72 pixels"),
        (Request("rendered:1:1", size=100, patch=8), "must be a multiple of the patch, 8, not 100"),
        (Request("nowhere"), "image folder nowhere does not exist"),
        (Request("hf:a:b:c:d"), "given as hf:NAME"),
        (Request("digits", **DIGITS, share=1.0), "above 0 and below 1"),
    ],
)
def test_requests_that_are_refused(request_, words):
    with pytest.raises(LatteError, match=words):
        load_images(request_)


def test_folders_that_are_refused(tmp_path):
    with pytest.raises(LatteError, match="at least two, not 0"):
        load_images(Request(str(tmp_path)))
    for name in ("a", "b"):
        (tmp_path / name).mkdir()
    with pytest.raises(LatteError, match=r"holds no \.png"):
        load_images(Request(str(tmp_path)))
    (tmp_path / "a" / "broken.png").write_bytes(b"not a picture")
    with pytest.raises(LatteError, match=r"broken.png cannot be read|gives 0 training"):
        load_images(Request(str(tmp_path)))
    write_folder(tmp_path / "train", ("a", "b"), 1)
    write_folder(tmp_path / "val", ("a", "c"), 1)
    with pytest.raises(LatteError, match="have other classes"):
        load_images(Request(str(tmp_path)))


def test_a_set_without_held_out_images_is_refused():
    images = load_images(Request("digits", **DIGITS, limit=(2, 2)))
    empty = type(images.train)(images.train.pixels[:0], images.train.labels[:0])
    with pytest.raises(LatteError, match="gives 2 training and 0 held-out images"):
        ImageSet(images.train, empty, images.classes, "nothing", 0, "small")


# --- augmentation ------------------------------------------------------------------------------------------------


def test_turned_scenes_take_their_patches_along():
    patches = torch.arange(16 * 9, dtype=torch.uint8).view(16, 3, 3)
    pixels = patches.float()[:, None].expand(-1, 3, -1, -1)  # every patch one pixel, channels alike
    turned, shown = augment(pixels, patches, "dihedral", seed=2)
    assert torch.equal(turned[:, 0], shown.float())
    assert torch.equal(turned.flatten(1).sort().values, pixels.flatten(1).sort().values)
    assert len({tuple(one.argsort().tolist()) for one in (shown - patches[:, :1, :1]).flatten(1)}) == 8


@pytest.mark.parametrize("symmetry", ["dihedral", "small", "mirror"])
def test_augmentation_is_seeded_and_stays_in_range(symmetry):
    pixels = torch.rand(12, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    one, same, other = (augment(pixels, None, symmetry, seed)[0] for seed in (1, 1, 2))
    assert torch.equal(one, same)
    assert not torch.equal(one, other)
    assert one.shape == pixels.shape
    assert one.min() >= 0
    assert one.max() <= 1 + 1e-6
