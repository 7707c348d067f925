"""``python -m golden.experiments``: `latte experiments` where the package is not installed, on a GPU machine say."""

from golden.experiments.commands import experiments
from latte_hw.host import terminal

terminal.run(lambda: experiments(prog_name="latte experiments"))
