"""The tensor file of a command, with the thresholds of `latte train` on it if they are given. No PyTorch here."""

from collections.abc import Mapping
from pathlib import Path
from typing import Literal, overload

from golden.blocks.arith import Array
from golden.files import tensors
from golden.files.thresholds import apply
from latte_hw.config import Core, CoreConfig, LatteConfig
from latte_hw.config import thresholds as thresholds_file
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import check_default_size, resolve_config


@overload
def load_inputs(
    tensor_file: Path,
    thresholds: Path | None,
    layer: int | None,
    preset: str | None,
    config: Path | None,
    settings: list[str] | None,
    core: Literal[Core.LATTE] = Core.LATTE,
) -> tuple[tensors.TensorFile, LatteConfig]: ...


@overload
def load_inputs(
    tensor_file: Path,
    thresholds: Path | None,
    layer: int | None,
    preset: str | None,
    config: Path | None,
    settings: list[str] | None,
    core: Core,
) -> tuple[tensors.TensorFile, CoreConfig]: ...


def load_inputs(
    tensor_file: Path,
    thresholds: Path | None,
    layer: int | None,
    preset: str | None,
    config: Path | None,
    settings: list[str] | None,
    core: Core = Core.LATTE,
) -> tuple[tensors.TensorFile, CoreConfig]:
    """Checked tensors, and the configuration that --preset, --config and --set choose for a core.

    With ``thresholds``, one layer's thresholds, conditioning and stored scales come from there
    (:func:`golden.files.thresholds.apply`), and so does the configuration unless one is chosen.
    Raises :class:`LatteError` on one of ``thresholds`` and ``layer`` without the other, and on what does not fit.
    """
    if thresholds is None:
        if layer is not None:
            raise LatteError("--layer names a layer of --thresholds: give both or neither")
        chosen = resolve_config(preset, config, settings, core=core)
        arrays = tensors.read(
            tensor_file, chosen, check=lambda shapes: check_default_tensors(shapes, preset, config, chosen)
        )
        return tensors.from_arrays(arrays, chosen), chosen
    if layer is None:
        raise LatteError("--thresholds needs --layer, the layer that the tensor file is of")
    file = thresholds_file.load(thresholds)
    chosen = resolve_config(preset, config, settings, default=file.config.model_dump(), core=core)
    if isinstance(chosen, LatteConfig):
        file.check_config(chosen)
    return tensors.from_arrays(apply(file, tensors.read(tensor_file, chosen, thresholds=False), layer), chosen), chosen


def check_default_tensors(
    arrays: Mapping[str, Array], preset: str | None, config: Path | None, chosen: CoreConfig
) -> None:
    """:class:`LatteError` when nobody has chosen a configuration and the tensors do not have the size of `tiny`."""
    shapes = {name: arrays[name].shape for name in ("q", "k", "v") if name in arrays and arrays[name].ndim == 3}
    sizes = {name: (tokens, head_dim) for name, (_, tokens, head_dim) in shapes.items()}
    check_default_size(preset, config, chosen, sizes)
