"""State of a training run on disk: an interrupted run goes on as if it had not been."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch

from golden.files.npz import replacing
from golden.train.model import ModelUnderTest
from golden.train.schedule import Plan
from latte_hw.config.errors import LatteError

SCHEMA = "latte-checkpoint-1"


def save(path: Path, identity: str, state: dict[str, Any]) -> None:
    """Write a checkpoint, whole or not at all. ``identity`` names the run: its plan, model, data and start."""
    with replacing(path) as temporary:
        torch.save({"schema": SCHEMA, "identity": identity, "state": state}, temporary)


def load(path: Path, identity: str) -> dict[str, Any] | None:
    """The state in a checkpoint, on the CPU; None when there is no file yet.

    :class:`LatteError` when it is damaged or belongs to another run.
    """
    if not path.exists():
        return None
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        schema, found, state = content["schema"], content["identity"], content["state"]
    except Exception:  # torch.load raises whatever a damaged file leads it to
        raise LatteError(f"checkpoint {path} cannot be read: remove it to begin anew") from None
    if schema != SCHEMA or found != identity:
        raise LatteError(
            f"checkpoint {path} is of another run (other settings, model or tokens): remove it or name another"
        )
    loaded: dict[str, Any] = state
    return loaded


def identity(under_test: ModelUnderTest, plan: Plan, start: str) -> str:
    """A hash of everything that decides a run's result: plan, model, configuration, data, and how it ``start`` s.

    What is calibrated before training counts by its name: another device may find it other in the last digit.
    """
    runtime = under_test.runtime
    parts = {
        "plan": asdict(plan),
        "model": f"{type(under_test.model).__name__} {under_test.model.num_parameters()}",
        "config": runtime.config.model_dump(mode="json"),
        "conditioning": runtime.conditioning,
        "clip": runtime.clip,
        "estimate_bits": runtime.estimate_bits,
        "scales": "window" if isinstance(runtime.scales, str) else "static",
        "task": under_test.task.describe(),
        "start": start,
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
