"""One process or several: devices and averages, through accelerate when it has been asked for.

`accelerate launch -m golden.train train …` (or torchrun) starts the processes; a plain start is one process. Only the
thresholds' gradient travels between them.
"""

import os

import torch


class Workers:
    """This process among its equals. ``device`` is "auto", "cpu", or a device of torch such as "cuda:1"."""

    def __init__(self, device: str = "auto") -> None:
        self.rank, self.count = 0, 1
        self._accelerator = None
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            from accelerate import Accelerator

            self._accelerator = Accelerator(cpu=device == "cpu")
            self.rank, self.count = self._accelerator.process_index, self._accelerator.num_processes
            self.device = self._accelerator.device
        elif device == "auto":
            self.device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
        else:
            self.device = torch.device(device)

    @property
    def first(self) -> bool:
        """Whether this is the process that speaks and writes."""
        return self.rank == 0

    def share(self, items: list[int]) -> list[int]:
        """This process's part of a batch; parts are equally large when the batch is a multiple of ``count``."""
        return items[self.rank :: self.count]

    def mean(self, value: torch.Tensor) -> torch.Tensor:
        """Mean over all processes."""
        if self._accelerator is None:
            return value
        reduced: torch.Tensor = self._accelerator.reduce(value, "mean")
        return reduced

    def wait(self) -> None:
        """Until every process is here."""
        if self._accelerator is not None:
            self._accelerator.wait_for_everyone()
