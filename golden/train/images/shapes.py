"""Outlines of the rendered scenes' shapes, as radii over the angle: every ray from the centre leaves a shape once."""

import numpy as np
from numpy.typing import NDArray

ANGLES = 720
"""Entries of a profile, over a full turn."""


def profiles() -> tuple[tuple[str, ...], NDArray[np.float32], NDArray[np.float32]]:
    """Names (s,), outer radius over the angle (s, ANGLES), and the hole's size (s,) as a share of it.

    Every outline encloses the area of a disc of radius 1, so that size says nothing about the shape.
    """
    angle = np.arange(ANGLES) * (2 * np.pi / ANGLES)
    square = _polygon([(1, 1), (-1, 1), (-1, -1), (1, -1)])
    table = {
        "disc": (np.ones(ANGLES), 0.0),
        "ring": (np.ones(ANGLES), 0.55),
        "triangle": (_polygon(_regular(3)), 0.0),
        "square": (square, 0.0),
        "frame": (square, 0.55),
        "star": (_polygon(_star(5, 0.42)), 0.0),
        "cross": (_polygon(_cross(0.3)), 0.0),
        "bar": (_polygon([(3, 1), (-3, 1), (-3, -1), (3, -1)]), 0.0),
        "trefoil": (1 + 0.5 * np.cos(3 * angle), 0.0),
        "half-disc": (_polygon(_half_disc()), 0.0),
    }
    radii = np.stack([radius / np.sqrt((radius**2).mean()) for radius, _ in table.values()])
    return tuple(table), radii.astype(np.float32), np.array([hole for _, hole in table.values()], np.float32)


def _polygon(corners: list[tuple[float, float]]) -> NDArray[np.float64]:
    """Radius over the angle of a polygon that the origin sees whole, corners in the order of growing angles."""
    points = np.array(corners, np.float64)
    start = np.arctan2(points[:, 1], points[:, 0])
    points = points[np.argsort(start % (2 * np.pi))]
    after = np.roll(points, -1, axis=0)
    angle = (np.arange(ANGLES) + 0.5) * (2 * np.pi / ANGLES)
    edge = np.searchsorted(np.sort(start % (2 * np.pi)), angle, side="right") - 1  # -1 is the last edge
    a, side = points[edge], after[edge] - points[edge]
    ray = np.stack([np.cos(angle), np.sin(angle)], axis=1)
    return _cross_product(a, side) / _cross_product(ray, side)


def _cross_product(a: NDArray[np.float64], b: NDArray[np.float64]) -> NDArray[np.float64]:
    return a[:, 0] * b[:, 1] - a[:, 1] * b[:, 0]


def _regular(corners: int) -> list[tuple[float, float]]:
    return [(np.cos(t), np.sin(t)) for t in np.arange(corners) * (2 * np.pi / corners)]


def _star(tips: int, inner: float) -> list[tuple[float, float]]:
    turns = np.arange(2 * tips) * (np.pi / tips)
    return [((inner if i % 2 else 1) * np.cos(t), (inner if i % 2 else 1) * np.sin(t)) for i, t in enumerate(turns)]


def _cross(arm: float) -> list[tuple[float, float]]:
    quarter = [(1, -arm), (1, arm), (arm, arm)]
    return [(x * c - y * s, x * s + y * c) for c, s in ((1, 0), (0, 1), (-1, 0), (0, -1)) for x, y in quarter]


def _half_disc() -> list[tuple[float, float]]:
    return [(np.cos(t), np.sin(t) - 4 / (3 * np.pi)) for t in np.linspace(0, np.pi, 60)]
