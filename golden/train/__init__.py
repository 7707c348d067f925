"""Training and judging thresholds on real models: texts, calibration, the trainer, thresholds files, evaluation.

:mod:`golden.files.thresholds` and :mod:`golden.train.commands` are light; everything else needs PyTorch.
"""
