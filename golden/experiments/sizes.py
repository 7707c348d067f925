"""How large the experiments are: the full size for one GPU, the quick one for a CPU and a tiny model."""

from dataclasses import dataclass, replace


@dataclass(frozen=True)
class Length:
    """A longer window of `long_sequences`."""

    tokens: int
    held_out: int  # windows
    calibration: int  # windows
    steps: int  # of training at this length


@dataclass(frozen=True)
class Sizes:
    """Windows, steps and images of the experiments."""

    window: int = 1024
    held_out: int = 32  # windows to judge on
    calibration: int = 8  # training windows to calibrate on
    batch: int = 4  # windows of a pass or a training step
    steps: int = 150  # of training, where no thresholds file fits
    judged_steps: tuple[int, ...] = (0, 10, 20, 40, 80, 150)  # of `convergence`; the last one is its length
    fidelity_windows: int = 4
    fidelity_queries: int = 64  # per window
    lengths: tuple[Length, ...] = (Length(4096, 6, 2, 30), Length(8192, 4, 1, 10))
    images: int = 2000  # held-out images to judge on, at most
    calibration_images: int = 256
    image_batch: int = 128
    image_steps: int = 200
    vit_steps: int = 2400  # of a vision transformer, where none is given

    def changed(self, **given: int | None) -> "Sizes":
        """With the values that are given; ``steps`` also is the length of `convergence`."""
        changes = {name: value for name, value in given.items() if value is not None}
        sizes = replace(self, **changes)  # type: ignore[arg-type]
        if "steps" in changes:
            kept = [step for step in self.judged_steps if step < sizes.steps]
            sizes = replace(sizes, judged_steps=(*kept, sizes.steps))
        return sizes


FULL = Sizes()

QUICK = Sizes(
    window=48, held_out=6, calibration=3, batch=3, steps=6, judged_steps=(0, 3, 6), fidelity_windows=1,
    fidelity_queries=8, lengths=(Length(96, 2, 2, 2), Length(192, 2, 1, 2)), images=60, calibration_images=30,
    image_batch=30, image_steps=4, vit_steps=12,
)  # fmt: skip
