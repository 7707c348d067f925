"""Names of the experiments and what each asks; light, for the command line."""

from dataclasses import dataclass

from latte_hw.config.errors import LatteError


@dataclass(frozen=True)
class Entry:
    """One experiment: its module's name, a title, and the question that it answers."""

    name: str
    title: str
    question: str


CATALOG = (
    Entry("fidelity", "Estimate fidelity per head", "How well do M-bit estimates order the keys of a query?"),
    Entry("sensitivity", "Sensitivity to the threshold", "What does pruning more cost?"),
    Entry("granularity", "Global, head-wise and trained thresholds", "What do thresholds per head and training bring?"),
    Entry("precision", "Precision of the estimate", "How many bits does the estimate need, and in one round or two?"),
    Entry("convergence", "Cost and convergence of training", "How long must thresholds be trained, and at what cost?"),
    Entry("long_sequences", "Long sequences", "Do thresholds trained on short windows hold on long ones?"),
    Entry("peers", "Other rules under the same quantisation", "Which rule prunes best, all else being equal?"),
    Entry("vision", "Vision transformers", "Does it hold for attention without a causal mask, on images?"),
)
"""In the order in which `run all` takes them."""

NAMES = tuple(entry.name for entry in CATALOG)


def find(name: str) -> Entry:
    """The experiment called ``name``; :class:`LatteError` lists the known ones."""
    for entry in CATALOG:
        if entry.name == name:
            return entry
    raise LatteError(f"experiment must be one of {', '.join(NAMES)}, or all, not {name!r}")


def chosen(names: list[str]) -> list[Entry]:
    """The named experiments, every one for ``all``, each once."""
    if "all" in names:
        return list(CATALOG)
    return [find(name) for name in dict.fromkeys(names)]
