"""Queries, keys and values of a real model on a real text, with thresholds, as a tensor file."""

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from golden.blocks.conditioning import condition
from golden.files.npz import save_npz
from golden.models.attention_tap import AttentionCall, tap_attention
from golden.models.calibrate import Calibration, calibrate
from golden.models.loading import TextModel, load_text_model
from latte_hw.config.errors import LatteError

Float32 = NDArray[np.float32]


@dataclass(frozen=True)
class CaptureRequest:
    """What to take from which model; ``heads`` of None means every query head."""

    model: str
    text: Path
    layers: tuple[int, ...]
    heads: tuple[int, ...] | None = None
    tokens: int = 256
    keep: float = 0.1
    smooth_k: bool = False
    rotate: bool = False
    command: str = ""

    @property
    def conditioning(self) -> tuple[str, ...]:
        return tuple(name for name, wanted in (("smooth_k", self.smooth_k), ("rotate", self.rotate)) if wanted)


@dataclass(frozen=True)
class Captured:
    """A tensor file before it is written. Heads are ordered by layer, then by their number in the layer."""

    q: Float32  # (layers · heads, T, D), scaled so that the logit is q·k / √D whatever scaling the model uses
    k: Float32  # (layers · K/V heads, T, D)
    v: Float32  # (layers · K/V heads, T, D)
    labels: tuple[str, ...]  # "layer 2 head 0", one per query head
    causal: bool
    calibration: Calibration
    source: tuple[str, ...]  # lines "what: value"
    conditioning: tuple[str, ...]

    def write(self, path: Path) -> None:
        """Write the tensor file; the same tensors give the same bytes."""
        arrays: dict[str, Any] = {
            "q": self.q,
            "k": self.k,
            "v": self.v,
            "tau": self.calibration.tau,
            "source": np.array(self.source),
            "conditioning": np.array(self.conditioning, dtype="U16"),
        }
        save_npz(path, arrays, compressed=True)

    def summary(self, path: Path) -> dict[str, Any]:
        """What was written, in plain values."""
        return {
            "file": str(path),
            "bytes": path.stat().st_size,
            "heads": len(self.q),
            "kv_heads": len(self.k),
            "tokens": self.q.shape[1],
            "head_dim": self.q.shape[2],
            "causal": self.causal,
            "keep_ratio": round(float(self.calibration.keep_ratio.mean()), 6),
            "per_head": [
                {"head": label, "tau": round(float(tau), 4), "keep_ratio": round(float(ratio), 6)}
                for label, tau, ratio in zip(
                    self.labels, self.calibration.tau, self.calibration.keep_ratio, strict=True
                )
            ],
            "conditioning": list(self.conditioning),
            "source": list(self.source),
        }


def capture_tensors(request: CaptureRequest, say: Callable[[str], None]) -> Captured:
    """Run the model on the text and take what was asked for; ``say`` gets progress, a line at a time.

    Raises :class:`LatteError` on anything the user can put right: the model, the text, a layer, a head, the keep ratio.
    """
    if not 0 < request.keep <= 1:
        raise LatteError(f"--keep must be above 0 and at most 1, not {request.keep:g}")
    text = read_text(request.text)
    say(f"loading {request.model}")
    loaded = load_text_model(request.model)
    calls = _run(loaded, text, request, say)
    heads = request.heads if request.heads is not None else tuple(range(len(calls[0].q)))
    picked = [_pick_heads(call, heads) for call in calls]
    q, k, v = (np.concatenate(arrays) for arrays in zip(*picked, strict=True))
    q, k = condition(request.conditioning, q, k)
    say("calibrating thresholds")
    return Captured(
        q=q,
        k=k,
        v=v,
        labels=tuple(f"layer {layer} head {head}" for layer in request.layers for head in heads),
        causal=calls[0].causal,
        calibration=calibrate(q, k, causal=calls[0].causal, keep=request.keep),
        source=(
            f"model: {loaded.name}",
            f"text: {request.text.name}, sha256 {hashlib.sha256(text.encode()).hexdigest()}",
            f"tokens: {request.tokens}",
            f"layers: {', '.join(map(str, request.layers))}",
            f"heads: {', '.join(map(str, heads))}",
            f"causal: {'yes' if calls[0].causal else 'no'}",
            f"command: {request.command}",
        ),
        conditioning=request.conditioning,
    )


def read_text(path: Path) -> str:
    """The text in the file, which must be UTF-8 and not empty."""
    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise LatteError(f"text file {path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise LatteError(f"text file {path} is not UTF-8 text") from None
    if not text.strip():
        raise LatteError(f"text file {path} is empty")
    return text


def _run(loaded: TextModel, text: str, request: CaptureRequest, say: Callable[[str], None]) -> list[AttentionCall]:
    """The attention calls of the chosen layers on the first tokens of the text."""
    model = loaded.model
    _check_length(model.config, request.tokens)
    ids = loaded.tokenizer(text, verbose=False)["input_ids"]
    if len(ids) < request.tokens:
        raise LatteError(f"text file {request.text} gives {len(ids)} tokens, fewer than --tokens {request.tokens}")
    say(f"running {loaded.name} on {request.tokens} tokens")
    with torch.inference_mode(), tap_attention(model, frozenset(request.layers)) as tap:
        model(input_ids=torch.tensor([ids[: request.tokens]]))
    for layer in request.layers:
        if layer not in tap.calls:
            raise LatteError(f"--layers must be from 0 to {tap.layers - 1} for this model, not {layer}")
    return [tap.calls[layer] for layer in request.layers]


def _check_length(config: Any, tokens: int) -> None:
    longest = getattr(config, "max_position_embeddings", None)
    if longest is not None and tokens > longest:
        raise LatteError(f"--tokens must be at most {longest} for this model, not {tokens}")


def _pick_heads(call: AttentionCall, heads: tuple[int, ...]) -> tuple[Float32, Float32, Float32]:
    """q of the chosen query heads and k, v of the K/V heads that they use."""
    count, group = len(call.q), len(call.q) // len(call.k)
    for head in heads:
        if head >= count:
            raise LatteError(f"--heads must be from 0 to {count - 1} for this model, not {head}")
    used = [head // group for head in heads]
    kv_heads = sorted(set(used))
    if len({used.count(kv_head) for kv_head in kv_heads}) > 1:
        raise LatteError(
            f"--heads must take equally many query heads of every K/V head: in this model {group} query heads in "
            f"sequence share one, so {', '.join(map(str, heads))} is uneven"
        )
    q, k, v = call.q[list(heads)].numpy(), call.k[kv_heads].numpy(), call.v[kv_heads].numpy()
    if q.shape[-1] != v.shape[-1]:
        raise LatteError(f"this model has keys of {q.shape[-1]} and values of {v.shape[-1]} elements; they must agree")
    return q * np.float32(call.scaling * q.shape[-1] ** 0.5), k, v
