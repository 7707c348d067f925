"""Pictures and tables of the experiments, from their result files alone: no model, no PyTorch.

One module per experiment, of its name: ``draw(content, figure)`` fills a matplotlib figure, ``table(content)`` gives
Markdown, and ``SIZE`` is the figure's size in inches.
"""
