"""Training and judging thresholds on real models: texts, calibration, the trainer, thresholds files, evaluation.

:mod:`golden.train.thresholds_file` and :mod:`golden.train.commands` are light; everything else needs PyTorch.
"""
