"""The experiments: each answers one question about the method, and leaves a JSON file that says how it was made.

* :mod:`golden.experiments.catalog` names them; a module of the same name measures each, in ``run(context)``;
* :mod:`golden.experiments.context` brings models, tokens and thresholds, once for all of a run;
* :mod:`golden.experiments.matching` brings rules and thresholds to equal pruned shares;
* :mod:`golden.experiments.peer_rules` holds the keep rules of other work;
* :mod:`golden.experiments.figures` draws pictures and tables from the JSON alone, without PyTorch.
"""
