"""The search loop: ask the sampler, drop what is known or hopeless, fit the rest rung by rung, tell.

Only this process talks to Optuna. Workers get plain jobs and return curves, so what a candidate scores depends neither
on the number of workers nor on the order of trials; which candidates the sampler asks for does, as in any
asynchronous search.
"""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import optuna
import sympy
from optuna.trial import FrozenTrial, TrialState
from threadpoolctl import threadpool_limits

import actsearch
from actsearch.errors import StudyError
from actsearch.space.choosers import RandomChooser, RecordingChooser
from actsearch.study.executor import Pool
from actsearch.study.fits import Attributes, failure, symmetry_of
from actsearch.study.function import Function, stored_function
from actsearch.study.objective import Candidate, Objective
from actsearch.study.result import TRAINED, retried
from actsearch.study.together import Company
from actsearch.study.waiting import Waiting

if TYPE_CHECKING:
    from actsearch.space.space import Space

_log = logging.getLogger(__name__)

PATIENCE = 20  # proposals without a new function, after which running candidates are waited for
ESCAPE = 25  # repeated choices in a row, after which one candidate is drawn at random
GIVE_UP = 1000  # proposals in a row without a new function, after which the search ends
MAX_FAILURES = 5  # failed candidates in a row, after which the task itself is blamed


class Loop:
    """The state of one search.

    Args:
        study: the search's study.
        space: where candidates are from.
        objective: how they are fitted and judged.
        pool: where they are fitted.
        n_trials: how many distinct functions to train, those that the study holds already included.
        identify: expression -> function.
        screen: expression -> the reason to reject it, or None.
        notify: called with study and trial after each trial that ended.
    """

    def __init__(
        self,
        study: optuna.Study,
        space: Space,
        objective: Objective,
        pool: Pool[Any],
        n_trials: int,
        identify: Callable[[sympy.Expr], Function],
        screen: Callable[[sympy.Expr], str | None],
        notify: Callable[[optuna.Study, FrozenTrial], None],
    ) -> None:
        self.study, self.space, self.objective, self.pool = study, space, objective, pool
        self.n_trials, self.identify, self.screen, self.notify = n_trials, identify, screen, notify
        self._company = Company[Candidate](pool)
        self._waiting = Waiting(objective)
        self.stopped = ""  # why the search ended before n_trials, a sentence
        self._size = space.size()
        self.outcomes: Counter[str] = Counter()
        self._first: dict[str, int] = {}  # fingerprint, or key of a trained one -> number of the trial that settled it
        self._active: dict[str, Candidate] = {}  # by key
        self._interrupted: dict[str, int] = {}  # fingerprint -> reports that a trial made before it was interrupted
        self._choices: set[frozenset[tuple[str, str]]] = set()
        self._n_without_new = self._n_repeated = self._n_failed = 0
        trials = study.get_trials(deepcopy=False)
        again = retried(trials)
        for trial in trials:
            self._recall(trial, trial.number in again)

    @property
    def n_trained(self) -> int:
        """How many distinct functions were trained, those of earlier runs included."""
        return sum(self.outcomes[outcome] for outcome in TRAINED)

    def run(self) -> None:
        """Search until ``n_trials`` functions are trained or no new one can be found.

        Raises:
            StudyError: several candidates in a row could not be fitted.
        """
        # what samplers compute is small: more threads of this process would wait for it on the workers' cores
        with threadpool_limits(1, "blas"):
            while True:
                self._keep_busy()
                if not self._active:
                    return
                for candidate, answer in self._company.wait():
                    self._take(candidate, answer)

    # -- proposing ----------------------------------------------------------------------------------------------------

    def _keep_busy(self) -> None:
        """Keep one work more in flight than there are workers, so that none waits for the sampler.

        A population that waits at a rung goes first once it is half full, the furthest one before others; then
        new candidates. What is left when there are no new ones goes as it is.
        """
        while self.pool.n_waiting <= self.pool.n_workers:
            group = self._waiting.furthest()
            if group is None:
                self._propose_some()
                group = self._waiting.furthest() or (
                    self._waiting.nearest() if self.pool.n_waiting < self.pool.n_workers else None
                )
            if group is None:
                return
            jobs = [self.objective.jobs(candidate) for candidate in group]
            self._company.submit(group, jobs, [self.objective.size(group[0])] * len(jobs[0]))

    def _propose_some(self) -> None:
        """Propose as many candidates as are fitted at once, fewer where the last ones are shared among workers.

        But not fewer than are worth a population of their own.
        """
        left = self.n_trials - self.n_trained - len(self._active)
        wanted = min(self._waiting.largest, max(self._waiting.fewest, -(-left // self.pool.n_workers)))
        patience = PATIENCE
        while self._waiting.n_new < wanted and self.n_trained + len(self._active) < self.n_trials:
            if (self._active and patience == 0) or self._is_exhausted():
                return
            if not self._propose():
                patience -= 1

    def _is_exhausted(self) -> bool:
        if len(self._choices) >= self._size:
            self.stopped = f"all {self._size} candidates of {self.space.name!r} have been tried"
        elif self._n_without_new >= GIVE_UP:
            self.stopped = f"{GIVE_UP} proposals in a row held no new function"
        return bool(self.stopped)

    def _propose(self) -> bool:
        """Ask for one candidate; return whether it has to be fitted."""
        if self._n_repeated >= ESCAPE:
            self._enqueue_random()
        trial = self.study.ask()
        expr = self.space.decode(lambda name, options: trial.suggest_categorical(name, options))
        self._count_choices(trial)
        function = self.identify(expr)
        trial.set_user_attr("expr", function.spec)
        trial.set_user_attr("fingerprint", function.fingerprint)
        for name, stored in symmetry_of(function).items():
            trial.set_user_attr(name, stored)
        first = self._first.get(function.fingerprint, self._first.get(function.key))
        if first is not None:
            self._repeat(trial, first)
        elif function.key in self._active:
            self._active[function.key].duplicates.append(trial)
        elif reason := self.screen(expr):
            self._reject(trial, function, reason)
        else:
            self._n_without_new = 0
            candidate = Candidate(function, trial, self._interrupted.get(function.fingerprint, 0))
            self._active[function.key] = candidate
            self._waiting.add(candidate)
            return True
        self._n_without_new += 1
        return False

    def _count_choices(self, trial: optuna.Trial) -> None:
        choices = frozenset(trial.params.items())
        self._n_repeated = self._n_repeated + 1 if choices in self._choices else 0
        self._choices.add(choices)

    def _enqueue_random(self) -> None:
        """Draw the next candidate at random: a sampler that repeats itself would do so for ever."""
        _log.info("the sampler repeated itself %d times; the next candidate is drawn at random", self._n_repeated)
        chooser = RecordingChooser(RandomChooser(len(self.study.get_trials(deepcopy=False))))
        self.space.decode(chooser)
        self.study.enqueue_trial(dict(chooser.choices))
        self._n_repeated = 0

    def _repeat(self, trial: optuna.Trial, number: int) -> None:
        """Give a duplicate the value and the state of the first trial of its function, or of a mirror image of it."""
        first = self.study.get_trials(deepcopy=False)[number]
        for step, reported in first.intermediate_values.items():
            trial.report(reported, step)
        value = first.value if first.state == TrialState.COMPLETE else None
        self._tell(trial, {"outcome": "duplicate", "duplicate_of": number}, first.state, value)

    def _reject(self, trial: optuna.Trial, function: Function, reason: str) -> None:
        self._first[function.fingerprint] = trial.number
        attributes = {"outcome": "rejected", "reason": reason}
        self._tell(trial, attributes, TrialState.COMPLETE, self.objective.scale.chance)

    # -- fitting ------------------------------------------------------------------------------------------------------

    def _take(self, candidate: Candidate, answer: object) -> None:
        if not isinstance(answer, tuple):
            self._end(candidate, failure(answer), TrialState.FAIL, None)
            self._blame_task(answer)
            return
        self._n_failed = 0
        outcome = self.objective.take(candidate, answer)
        if outcome == "running":
            self._waiting.add(candidate)
            return
        attributes = self.objective.attributes(candidate) | {"outcome": outcome}
        if outcome == "pruned":
            self._end(candidate, attributes, TrialState.PRUNED, None)
        else:
            diverged = outcome == "diverged"
            value = self.objective.scale.chance if diverged else self.objective.value(candidate)
            self._end(candidate, attributes, TrialState.COMPLETE, value)

    def _end(self, candidate: Candidate, attributes: Attributes, state: TrialState, value: float | None) -> None:
        function = candidate.function
        del self._active[function.key]
        self._first |= dict.fromkeys((function.fingerprint, function.key), candidate.trial.number)
        self._tell(candidate.trial, attributes, state, value)
        self.objective.forget_states(candidate)
        for duplicate in candidate.duplicates:
            self._repeat(duplicate, candidate.trial.number)

    def _blame_task(self, answer: object) -> None:
        self._n_failed += 1
        if self._n_failed >= MAX_FAILURES:
            raise StudyError(f"{MAX_FAILURES} candidates in a row could not be fitted: {failure(answer)['reason']}")

    def _tell(self, trial: optuna.Trial, attributes: Attributes, state: TrialState, value: float | None) -> None:
        for name, stored in ({"version": actsearch.__version__} | attributes).items():
            trial.set_user_attr(name, stored)
        self.outcomes[attributes["outcome"]] += 1
        self.notify(self.study, self.study.tell(trial, value, state=state))

    def _recall(self, trial: FrozenTrial, is_retried: bool) -> None:
        """Count a trial of an earlier run; of an interrupted one, remember how far it came."""
        fingerprint, outcome = trial.user_attrs.get("fingerprint"), trial.user_attrs.get("outcome")
        if fingerprint is None or not trial.state.is_finished():
            return
        if outcome is None or is_retried:
            self._interrupted[fingerprint] = max(len(trial.intermediate_values), self._interrupted.get(fingerprint, 0))
            return
        self.outcomes[outcome] += 1
        self._choices.add(frozenset(trial.params.items()))
        if outcome != "duplicate":
            self._first.setdefault(fingerprint, trial.number)
        if outcome in TRAINED:
            self._first.setdefault(stored_function(trial.user_attrs).key, trial.number)


def release(study: optuna.Study) -> None:
    """End the trials that an interrupted search leaves running, and put their choices first in the queue."""
    for trial in study.get_trials(deepcopy=False, states=[TrialState.RUNNING]):
        if trial.params:
            n_retries = trial.user_attrs.get("n_retries", 0)  # an interruption is not the candidate's fault
            study.enqueue_trial(trial.params, user_attrs={"retry_of": trial.number, "n_retries": n_retries})
        for key, value in {"outcome": "failed", "reason": "interrupted; its choices are in the queue again"}.items():
            study._storage.set_trial_user_attr(trial._trial_id, key, value)
        study.tell(trial.number, state=TrialState.FAIL)
