"""State of a training run on disk: an interrupted run goes on as if it had not been."""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
import torch

from golden.npz import replacing
from golden.train.schedule import Plan
from golden.train.subject import Subject
from latte_hw.errors import LatteError

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


def identity(subject: Subject, plan: Plan) -> str:
    """A hash of everything that decides a run's result: plan, model, configuration, scales, data and start."""
    runtime = subject.runtime
    scales = hashlib.sha256()
    if not isinstance(runtime.scales, str):
        for x in (runtime.scales.q, runtime.scales.k, runtime.scales.v, runtime.scales.k_mean):
            scales.update(b"" if x is None else np.ascontiguousarray(x.cpu().numpy()).tobytes())
    parts = {
        "plan": asdict(plan),
        "model": f"{type(subject.model).__name__} {subject.model.num_parameters()}",
        "config": runtime.config.model_dump(mode="json"),
        "conditioning": runtime.conditioning,
        "estimate_bits": runtime.estimate_bits,
        "scales": scales.hexdigest(),
        "task": subject.task.describe(),
        "start": runtime.thresholds.values().tolist(),
    }
    return hashlib.sha256(json.dumps(parts, sort_keys=True, default=str).encode()).hexdigest()
