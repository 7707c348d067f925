"""What the training commands are asked for, in plain values."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

from golden.train.schedule import Plan
from latte_hw.config import LatteConfig
from latte_hw.config.loading import resolve_config


@dataclass(frozen=True)
class Data:
    """Where the tokens come from: a token file, or a text that is tokenised now and split alike; or images instead."""

    tokens: Path | None
    text: str | None
    window: int
    chunk: int
    share: float
    seed: int
    images: str | None = None


@dataclass(frozen=True)
class Configuration:
    """--preset, --config and --set; without the first two, a configuration that fits the model."""

    preset: str | None
    file: Path | None
    settings: tuple[str, ...]

    def resolve(self, fields: dict[str, Any]) -> LatteConfig:
        return resolve_config(self.preset, self.file, list(self.settings), default=fields)


@dataclass(frozen=True)
class TrainJob:
    """What `latte train` is asked for; see its options."""

    model: str
    data: Data
    plan: Plan
    start: str
    static: bool
    static_quantile: float
    conditioning: tuple[str, ...]
    clip: float
    calibration: int
    increase: float | None
    saved: Path | None
    estimate_bits: int | None
    device: str
    configuration: Configuration


@dataclass(frozen=True)
class EvaluateJob:
    """What `latte evaluate` is asked for; see its options.

    ``bit_exact`` names layers to compare with the golden model: () takes the usual three, None compares none.
    """

    model: str
    data: Data
    thresholds: Path
    against: tuple[Path, ...]
    windows: int
    batch: int
    modes: tuple[str, ...]
    bit_exact: tuple[int, ...] | None
    layer_file: Path | None
    layer: int
    layer_tokens: int | None
    estimate_bits: int | None
    device: str
