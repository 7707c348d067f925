"""`latte golden` and `latte vectors`: the command line of the golden model."""

import json
from pathlib import Path
from typing import Annotated

import typer

import golden.experiments.commands
import golden.models.commands
import golden.train.commands
import golden.train.vit_commands
from latte_hw.cli.field_help import fields_and_example
from latte_hw.cli.options import ConfigOption, JsonOption, LayerOption, PresetOption, SetOption, ThresholdsOption
from latte_hw.config.errors import LatteError
from latte_hw.config.loading import check_default_size, resolve_config


def register(app: typer.Typer) -> None:
    app.command(
        "golden",
        epilog=fields_and_example("latte golden traces/smollm2-135m.npz --preset smollm2-135m -o build/golden.npz"),
    )(golden_command)
    app.command(
        "vectors", epilog=fields_and_example("latte vectors --preset tiny --seed 1 --tokens 32 -o build/vectors")
    )(vectors_command)
    golden.models.commands.register(app)
    golden.train.commands.register(app)
    golden.train.vit_commands.register(app)
    golden.experiments.commands.register(app)


def golden_command(
    tensor_file: Annotated[Path, typer.Argument(metavar="IN.npz", help="Tensor file: q, k, v and tau or tau_int.")],
    output: Annotated[Path, typer.Option("-o", "--output", metavar="OUT.npz", help="Every stage's results.")],
    thresholds: ThresholdsOption = None,
    layer: LayerOption = None,
    preset: PresetOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Run the integer golden model on a tensor file."""
    from golden import attention
    from golden.analysis import metrics
    from golden.files import npz
    from golden.files.inputs import load_inputs
    from latte_hw.params import HeadParams

    npz.check_output_folder(output)
    tensors, configuration = load_inputs(tensor_file, thresholds, layer, preset, config, settings)
    results = attention.attention(tensors, configuration)
    npz.save_npz(output, results)
    _report({"file": str(output), **metrics.summarize(results, HeadParams(configuration))}, as_json)


def vectors_command(
    output: Annotated[Path, typer.Option("-o", "--output", metavar="DIR", help="Folder for the vectors.")],
    tensor_file: Annotated[
        Path | None, typer.Argument(metavar="IN.npz", help="Tensor file; without one, a random or corner trace.")
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Seed of the random trace.")] = 0,
    corner: Annotated[str | None, typer.Option("--corner", metavar="NAME", help="A named corner trace.")] = None,
    heads: Annotated[int, typer.Option("--heads", min=1, help="Query heads of the random trace.")] = 2,
    kv_heads: Annotated[int, typer.Option("--kv-heads", min=1, help="K/V heads of the random trace.")] = 1,
    tokens: Annotated[int, typer.Option("--tokens", min=1, help="Queries and keys of the random trace.")] = 32,
    preset: PresetOption = None,
    config: ConfigOption = None,
    settings: SetOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write test vectors (desc.json, .npy, .hex) from a tensor file or a seeded random trace."""
    from golden import vectors
    from golden.analysis import metrics
    from golden.files import stimuli, tensors
    from golden.files.inputs import load_inputs
    from latte_hw.params import HeadParams

    configuration = resolve_config(preset, config, settings)
    vectors.check_vectors_folder(output)
    if tensor_file is not None:
        checked, configuration = load_inputs(tensor_file, None, None, preset, config, settings)
    elif corner is not None:
        if corner not in stimuli.CORNERS:
            raise LatteError(f"corner must be one of {', '.join(stimuli.CORNERS)}, not {corner!r}")
        checked = tensors.from_arrays(stimuli.CORNERS[corner](configuration, seed), configuration)
    else:
        if heads % kv_heads:
            raise LatteError(f"heads must be a multiple of kv-heads = {kv_heads}, not {heads}")
        check_default_size(preset, config, configuration, {"the trace": (tokens, None)})
        trace = stimuli.random_trace(configuration, seed, heads, kv_heads, tokens, tokens)
        checked = tensors.from_arrays(trace, configuration)
    arrays = vectors.build_arrays(checked, configuration)
    vectors.write_vectors(output, arrays, configuration, seed if tensor_file is None else None)
    _report({"folder": str(output), **metrics.summarize(arrays, HeadParams(configuration))}, as_json)


def _report(summary: dict[str, object], as_json: bool) -> None:
    if as_json:
        typer.echo(json.dumps(summary, indent=2))
        return
    written = summary.get("file", summary.get("folder"))
    line = f"{written}: {summary['kept']} of {summary['keys_seen']} keys kept ({summary['keep_ratio']:.2%})"
    if "bit_operation_change" in summary:
        line += f", bit operations {summary['bit_operation_change']:+.2%}"
    typer.echo(line)
