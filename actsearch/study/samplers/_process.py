"""A Gaussian process over features, small and exact: what is known of every candidate from the few that were tried."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from scipy.linalg import cho_solve, solve_triangular
from scipy.special import erfcx

Array = npt.NDArray[np.float64]

LENGTHS = (0.4, 0.6, 1.0, 1.6)  # in deviations of a feature among the candidates
NOISES = (0.01, 0.03, 0.1, 0.3)  # variance between seeds, of the variance between functions
N_PRIORS = 8  # that are believed in at once
LEAST_ODDS = 0.1  # of one of them, against the likeliest
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
        view: which of several sets of features it is a function of.
    """

    length: float
    noise: float
    view: int = 0


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


def plausible(views: Sequence[Array], targets: Array) -> list[tuple[float, Prior]]:
    """Return the likeliest priors of all views, ``LENGTHS`` and ``NOISES``, each with its share of the probability.

    All are equally probable before targets are seen. Of few targets many priors are nearly as likely as the likeliest,
    and to believe in that one alone is to be too sure. The mean may be anything, the variance is the likeliest.

    Args:
        views: sets of features of the same candidates, each of shape (n, d).
        targets: shape (n,), n >= 2.

    Returns:
        At most ``N_PRIORS`` of them, the likeliest first; their shares sum to 1.

    Reference: Rasmussen, Williams 2006, "Gaussian processes for machine learning", sections 2.7 and 5.4.1.
    """
    found: list[tuple[float, Prior]] = []
    ones, degrees = np.ones(len(targets)), len(targets) - 1
    for view, features in enumerate(views):
        for length in LENGTHS:
            spectrum, axes = np.linalg.eigh(correlation(features, features, length))
            constant, along = axes.T @ ones, axes.T @ targets
            for noise in NOISES:
                variances = np.maximum(spectrum, 0.0) + noise
                precision = float((constant**2 / variances).sum())
                mean = float((constant * along / variances).sum()) / precision
                variance = float(((along - mean * constant) ** 2 / variances).sum()) / degrees
                evidence = degrees * math.log(variance + 1e-12) + float(np.log(variances).sum()) + math.log(precision)
                found.append((-0.5 * evidence, Prior(length, noise, view)))
    found = sorted(found, key=lambda pair: -pair[0])[:N_PRIORS]
    odds = [math.exp(evidence - found[0][0]) for evidence, _ in found]
    total = sum(ratio for ratio in odds if ratio >= LEAST_ODDS)
    return [(ratio / total, prior) for ratio, (_, prior) in zip(odds, found, strict=True) if ratio >= LEAST_ODDS]


def posterior(prior: Prior, features: Array, targets: Array, running: Array, others: Array) -> Posterior:
    """Return what observations tell about candidates, the mean of all functions being unknown too.

    So a candidate that is like none seen is expected to be as functions are on the whole, each region of those seen
    counting once however often it was visited, and how that is isn't certain either.

    Args:
        prior: one of :func:`plausible`.
        features: of what was observed, in the prior's view, shape (n, d), n >= 2.
        targets: what was observed, shape (n,).
        running: features of what has been asked for and not been told yet, shape (k, d): the others' deviations are
            those once it is known, and that it is as expected does not change their means.
        others: features of the candidates, shape (m, d).

    Reference: Rasmussen, Williams 2006, section 2.7 (kriging with an unknown mean, in the limit of a vague prior).
    """
    n = len(features)
    known = np.concatenate([features, running])
    among = correlation(known, known, prior.length)
    towards = correlation(known, others, prior.length)
    factor = np.linalg.cholesky(among + prior.noise * np.eye(len(known)))
    told = (factor[:n, :n], True)
    ones = cho_solve(told, np.ones(n), check_finite=False)
    centre = float(ones @ targets / ones.sum())
    weights = cho_solve(told, targets - centre, check_finite=False)
    variance = float(weights @ (targets - centre)) / (n - 1)
    shares = solve_triangular(factor, towards, lower=True, check_finite=False)
    left = np.maximum(1 - np.einsum("ij,ij->j", shares, shares), 1e-12)
    ones = cho_solve((factor, True), np.ones(len(known)), check_finite=False)
    left += (1 - ones @ towards) ** 2 / ones.sum()
    return Posterior(
        mean=centre + weights @ towards[:n],
        deviation=np.sqrt(variance * left) + 1e-12,
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
