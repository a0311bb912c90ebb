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


class Process:
    """What observations tell about candidates, the mean of all functions being unknown too.

    So a candidate that is like none seen is expected to be as functions are on the whole, each region of those seen
    counting once however often it was visited, and how that is isn't certain either.

    Args:
        prior: one of :func:`plausible`.
        features: of what was observed, in the prior's view, shape (n, d), n >= 2.
        targets: what was observed, shape (n,).
        others: features of the candidates, shape (m, d).

    Attributes:
        n_asked: how many were asked for since.

    Reference: Rasmussen, Williams 2006, section 2.7 (kriging with an unknown mean, in the limit of a vague prior).
    """

    def __init__(self, prior: Prior, features: Array, targets: Array, others: Array) -> None:
        self._prior, self._observed, self._known, self._others = prior, features, features, others
        self.n_asked = 0
        n = len(features)
        among = correlation(features, features, prior.length)
        towards = correlation(features, others, prior.length)
        self._factor = np.linalg.cholesky(among + prior.noise * np.eye(n))
        told = (self._factor, True)
        ones = cho_solve(told, np.ones(n), check_finite=False)
        self._centre = float(ones @ targets / ones.sum())
        self._weights = cho_solve(told, targets - self._centre, check_finite=False)
        self._variance = float(self._weights @ (targets - self._centre)) / (n - 1)
        self._mean = self._centre + self._weights @ towards
        self._known_means = self._centre + self._weights @ among
        self._shares = _Rows(_solved(self._factor, towards))
        self._ones = _solved(self._factor, np.ones(n))  # how much of the mean of all functions each one tells

    def ask(self, features: Array) -> None:
        """Take into account that some more were asked for, shape (k, d).

        What they give is not known. The candidates' deviations are those once it is, and that it is as expected does
        not change their means.
        """
        if not len(features):
            return
        length, n, k = self._prior.length, len(self._observed), len(features)
        towards_known = correlation(self._known, features, length)
        self._known_means = np.concatenate([self._known_means, self._centre + self._weights @ towards_known[:n]])
        across = _solved(self._factor, towards_known).T
        among = correlation(features, features, length) + self._prior.noise * np.eye(k)
        own = np.linalg.cholesky(among - across @ across.T)
        towards = correlation(features, self._others, length)
        self._shares.add(_solved(own, towards - across @ self._shares.all))
        self._ones = np.concatenate([self._ones, _solved(own, 1 - across @ self._ones)])
        self._factor = np.block([[self._factor, np.zeros((len(self._factor), k))], [across, own]])
        self._known = np.concatenate([self._known, features])
        self.n_asked += k

    @property
    def posterior(self) -> Posterior:
        """What is expected now."""
        left = np.maximum(1 - self._shares.squares, 1e-12)
        left += (1 - self._ones @ self._shares.all) ** 2 / (self._ones @ self._ones)
        return Posterior(self._mean, np.sqrt(self._variance * left) + 1e-12, self._known_means)


class _Rows:
    """A matrix that grows by rows, with the sums of squares of its columns."""

    def __init__(self, rows: Array) -> None:
        self._room, self._n = rows, len(rows)
        self.squares = np.einsum("ij,ij->j", rows, rows)

    @property
    def all(self) -> Array:
        return self._room[: self._n]

    def add(self, rows: Array) -> None:
        n = self._n + len(rows)
        if n > len(self._room):
            room = np.empty((n + len(self._room) // 4, self._room.shape[1]))
            room[: self._n] = self.all
            self._room = room
        self._room[self._n : n] = rows
        self._n = n
        self.squares = self.squares + np.einsum("ij,ij->j", rows, rows)


def _solved(factor: npt.NDArray[np.floating], right: Array) -> Array:
    """Return the inverse of a lower triangular matrix times ``right``."""
    found: Array = solve_triangular(factor, right, lower=True, check_finite=False)
    return found


def explained(prior: Prior, known: Array, others: Array) -> Array:
    """Return what each known candidate, after those before it, explains of others: shape (n, m).

    The sum of squares over the first axis is the share of the variance that is known.
    """
    factor = np.linalg.cholesky(correlation(known, known, prior.length) + prior.noise * np.eye(len(known)))
    return _solved(factor, correlation(known, others, prior.length))


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
