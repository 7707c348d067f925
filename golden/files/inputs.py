"""The tensor file of a command, with the thresholds of `latte train` on it if they are given. No PyTorch here."""

from pathlib import Path
from typing import Literal, overload

from golden.files import tensors
from golden.files import thresholds as thresholds_file
from golden.files.npz import read_npz
from latte_hw.config import Core, CoreConfig, LatteConfig
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import resolve_config


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
    (:meth:`golden.files.thresholds.ThresholdsFile.apply`), and so does the configuration unless one is chosen.
    Raises :class:`LatteError` on one of ``thresholds`` and ``layer`` without the other, and on what does not fit.
    """
    if thresholds is None:
        if layer is not None:
            raise LatteError("--layer names a layer of --thresholds: give both or neither")
        chosen = resolve_config(preset, config, settings, core=core)
        return tensors.load(tensor_file, chosen), chosen
    if layer is None:
        raise LatteError("--thresholds needs --layer, the layer that the tensor file is of")
    file = thresholds_file.load(thresholds)
    chosen = resolve_config(preset, config, settings, default=file.config.model_dump(), core=core)
    if isinstance(chosen, LatteConfig) and chosen.rule is not file.config.rule:
        raise LatteError(f"the thresholds are for rule={file.config.rule.value}, not {chosen.rule.value}")
    return tensors.from_arrays(file.apply(read_npz(tensor_file), layer), chosen), chosen
