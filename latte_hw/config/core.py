"""What is built of a configuration: a datapath in a wrapper."""

from enum import StrEnum


class Datapath(StrEnum):
    """What becomes of queries, keys and values."""

    LATTE = "latte"  # the one that prunes
    DENSE = "dense"  # the int8 baseline


class Wrapper(StrEnum):
    """What is around the datapath, and so the ports."""

    HEAD = "head"  # nothing: one head core with streams of its own
    TOP = "top"  # several head cores behind AXI4 ports


class Core(StrEnum):
    """The combinations that there are, by their names on the command line."""

    LATTE = "latte"
    DENSE = "dense"
    TOP = "top"

    @property
    def datapath(self) -> Datapath:
        return _AXES[self][0]

    @property
    def wrapper(self) -> Wrapper:
        return _AXES[self][1]


_AXES = {
    Core.LATTE: (Datapath.LATTE, Wrapper.HEAD),
    Core.DENSE: (Datapath.DENSE, Wrapper.HEAD),
    Core.TOP: (Datapath.LATTE, Wrapper.TOP),
}
