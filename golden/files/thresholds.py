"""What a thresholds file (:mod:`latte_hw.config.thresholds`) does to a tensor file, and how it is written. No
PyTorch."""

from collections.abc import Mapping
from pathlib import Path

import numpy as np

from golden.blocks.arith import Array
from golden.blocks.conditioning import rotate, smooth_k
from golden.blocks.quantize import head_scales
from golden.files.npz import replacing
from latte_hw.config.errors import LatteError
from latte_hw.config.thresholds import ThresholdsFile, check_conditioning
from latte_hw.params import HeadParams


def save(file: ThresholdsFile, path: Path) -> None:
    """Write the file, whole or not at all; equal content gives equal bytes."""
    with replacing(path) as temporary:
        temporary.write_text(file.to_json())


def apply(file: ThresholdsFile, arrays: Mapping[str, Array], layer: int) -> dict[str, Array]:
    """The arrays of a tensor file of one layer, with a file's thresholds, conditioning and stored scales.

    Float tensors without conditioning are conditioned. :class:`LatteError` when the layer, the heads or a
    conditioning that has already happened do not agree.
    """
    tau = file.of_layer(layer, "--layer")
    made = dict(arrays)
    for name, heads in (("q", file.model.heads), ("k", file.model.kv_heads), ("v", file.model.kv_heads)):
        if name in made and made[name].ndim == 3 and len(made[name]) != heads:
            raise LatteError(f"the thresholds are for {heads} heads of {name}, the tensor file has {len(made[name])}")
    made.pop("tau_int", None)
    made["tau"] = tau
    _condition(file, made, layer)
    if file.scales is None:
        for name in ("q", "k"):
            if name in made and made[name].dtype == np.float32 and f"scale_{name}" not in made:
                made[f"scale_{name}"] = head_scales(made[name], HeadParams(file.config), file.clip)
    else:
        for name in ("q", "k", "v"):
            given, own = made.get(f"scale_{name}"), getattr(file.scales, name)[layer]
            if made[name].dtype == np.int8 and given is not None and not np.array_equal(given, own):
                raise LatteError(f"{name} is int8 with other scales than the static ones of the thresholds")
            made[f"scale_{name}"] = own
    return made


def _condition(file: ThresholdsFile, made: dict[str, Array], layer: int) -> None:
    """Bring q and k of a tensor file to the file's conditioning, in place."""
    done = check_conditioning(str(name) for name in np.atleast_1d(made.get("conditioning", np.array([], str))))
    if set(done) == set(file.conditioning):
        return
    if done or any(made[name].dtype == np.int8 for name in ("q", "k") if name in made):
        raise LatteError(
            f"the thresholds need the conditioning {_listed(file.conditioning)}, but the tensor file's q and k "
            f"have {_listed(done)}"
        )
    if "smooth_k" in file.conditioning:
        mean = None if file.scales is None else file.scales.k_mean
        made["k"] = smooth_k(made["k"]) if mean is None else made["k"] - mean[layer][:, None, :]
    if "rotate" in file.conditioning:
        made["q"], made["k"] = rotate(made["q"]), rotate(made["k"])
    made["conditioning"] = np.array(file.conditioning)


def _listed(names: tuple[str, ...]) -> str:
    return " + ".join(names) or "none"
