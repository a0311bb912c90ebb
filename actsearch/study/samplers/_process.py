"""A Gaussian process over features, small and exact: what is known of every candidate from the few that were tried."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import erfcx

Array = npt.NDArray[np.float64]

LENGTHS = (0.4, 0.6, 1.0, 1.6)  # in deviations of a feature among the candidates
NOISES = (0.01, 0.03, 0.1, 0.3)  # variance between seeds, of the variance between functions
_ROOT_FIVE = math.sqrt(5)


def correlation(first: Array, second: Array, length: float) -> Array:
    """Return the Matern correlation (5/2) between two sets of features.

    Args:
        first: shape (n, d).
        second: shape (m, d).
        length: the distance at which functions begin to differ.

    Returns:
        Shape (n, m).
    """
    square = (-2 * first) @ second.T
    square += (first**2).sum(axis=1)[:, None]
    square += (second**2).sum(axis=1)
    distance = np.sqrt(np.maximum(square, 0.0, out=square), out=square)
    distance *= _ROOT_FIVE / length
    growth = distance / 3
    growth += 1
    growth *= distance
    growth += 1
    return np.multiply(growth, np.exp(np.negative(distance, out=distance), out=distance), out=growth)


@dataclass(frozen=True)
class Prior:
    """What is assumed of the function from features to targets.

    Attributes:
        length: of :func:`correlation`.
        noise: variance of an observation about the function, over the variance of the function.
    """

    length: float
    noise: float


@dataclass(frozen=True)
class Posterior:
    """What is expected of candidates.

    Attributes:
        mean: of each candidate, shape (m,).
        deviation: how uncertain it is, shape (m,).
        known: the means of what was observed and then of what is running, shape (n + k,).
    """

    mean: Array
    deviation: Array
    known: Array


def likeliest(features: Array, targets: Array) -> Prior:
    """Return the prior of all combinations of ``LENGTHS`` and ``NOISES`` that makes the targets likeliest.

    The variance is the likeliest for each, and the mean that of the targets.

    Args:
        features: shape (n, d).
        targets: shape (n,).

    Reference: Rasmussen, Williams 2006, "Gaussian processes for machine learning", section 5.4.1.
    """
    best, found = -math.inf, Prior(LENGTHS[0], NOISES[0])
    for length in LENGTHS:
        spectrum, axes = np.linalg.eigh(correlation(features, features, length))
        along = (axes.T @ (targets - targets.mean())) ** 2
        for noise in NOISES:
            variances = np.maximum(spectrum, 0.0) + noise
            likelihood = -0.5 * (len(targets) * math.log((along / variances).mean() + 1e-12) + np.log(variances).sum())
            if likelihood > best:
                best, found = likelihood, Prior(length, noise)
    return found


def posterior(prior: Prior, features: Array, targets: Array, running: Array, others: Array) -> Posterior:
    """Return what observations tell about candidates.

    Args:
        prior: see :func:`likeliest`.
        features: of what was observed, shape (n, d).
        targets: what was observed, shape (n,).
        running: features of what has been asked for and not been told yet, shape (k, d): the others' deviations are
            those once it is known, and that it is as expected does not change their means.
        others: features of the candidates, shape (m, d).
    """
    n = len(features)
    known = np.concatenate([features, running])
    among = correlation(known, known, prior.length)
    towards = correlation(known, others, prior.length)
    factor = np.linalg.cholesky(among + prior.noise * np.eye(len(known)))
    centre = float(targets.mean())
    weights = cho_solve((factor[:n, :n], True), targets - centre, check_finite=False)
    variance = float(weights @ (targets - centre)) / n
    shares = solve_triangular(factor, towards, lower=True, check_finite=False)
    left = np.maximum(1 - np.einsum("ij,ij->j", shares, shares), 1e-12)
    return Posterior(
        mean=centre + weights @ towards[:n],
        deviation=np.sqrt(variance * left),
        known=centre + weights @ among[:n],
    )


def explained(prior: Prior, known: Array, others: Array) -> Array:
    """Return what each known candidate, after those before it, explains of others: shape (n, m).

    The sum of squares over the first axis is the share of the variance that is known.
    """
    factor = np.linalg.cholesky(correlation(known, known, prior.length) + prior.noise * np.eye(len(known)))
    return solve_triangular(factor, correlation(known, others, prior.length), lower=True, check_finite=False)


def log_expected_improvement(mean: Array, deviation: Array, best: float) -> Array:
    """Return the logarithm of the expected improvement over ``best``, also where it is too small for a float.

    Reference: Jones, Schonlau, Welch 1998, "Efficient global optimization of expensive black-box functions", eq. 15;
        Ament et al. 2023, arXiv:2310.20708, for the logarithm.
    """
    z = np.maximum((mean - best) / deviation, -1e4)
    # density * (1 + z * Mills ratio): the bracket has no cancellation that matters down to -1e4
    mills = math.sqrt(math.pi / 2) * erfcx(-np.minimum(z, 5.0) / math.sqrt(2))
    density = -0.5 * np.minimum(z, 5.0) ** 2 - 0.5 * math.log(2 * math.pi)
    small = density + np.log(np.maximum(1 + np.minimum(z, 5.0) * mills, 1e-300))
    return np.log(deviation) + np.where(z > 5.0, np.log(np.maximum(z, 1.0)), small)
