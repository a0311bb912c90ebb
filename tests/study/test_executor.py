"""The pool: answers, exceptions, and workers that die."""

from __future__ import annotations

import os
import signal
from concurrent.futures import Future, ProcessPoolExecutor, ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from actsearch.errors import StudyError
from actsearch.study.executor import MAX_RESUBMISSIONS, Lost, Pool


def _answers(pool: Pool[Any]) -> dict[Any, Any]:
    found: dict[Any, Any] = {}
    while pool.n_waiting:
        found.update(pool.wait())
    return found


def _square(number: int) -> int:
    if number < 0:
        raise ValueError("negative")
    return number * number


def _die_while(work: tuple[str, int]) -> int:
    """Kill the own process as often as asked, counting in a file."""
    path, n_deaths = work
    with open(path, "a") as file:
        file.write(".")
    if Path(path).stat().st_size <= n_deaths:
        os.kill(os.getpid(), signal.SIGKILL)
    return n_deaths


@pytest.mark.parametrize("executor", [None, ThreadPoolExecutor(2)])
def test_answers_come_under_their_keys_and_exceptions_are_answers(executor: Any) -> None:
    with Pool(_square, executor, n_workers=0) as pool:
        for number in (2, 3, -1):
            pool.submit(number, number)
        answers = _answers(pool)
        assert pool.wait() == []
    assert (answers[2], answers[3]) == (4, 9)
    assert isinstance(answers[-1], ValueError)


def test_work_is_done_again_when_a_worker_dies_and_given_up_only_when_it_kills_its_own(tmp_path: Path) -> None:
    deadly = MAX_RESUBMISSIONS + 5
    with Pool(_die_while, n_workers=2) as pool:
        for name, n_deaths in {"once": 1, "always": deadly, "never": 0, "nor this": 0}.items():
            pool.submit(name, (str(tmp_path / name), n_deaths))
        answers = _answers(pool)
    assert isinstance(answers.pop("always"), Lost)
    assert answers == {"once": 1, "never": 0, "nor this": 0}
    # it was in flight at least twice alone; at other times another's death may have taken it along
    assert 2 <= (tmp_path / "always").stat().st_size <= MAX_RESUBMISSIONS + 1


def test_an_executor_that_was_handed_in_is_not_replaced_when_it_breaks(tmp_path: Path) -> None:
    with ProcessPoolExecutor(1) as executor, Pool(_die_while, executor) as pool:
        pool.submit("x", (str(tmp_path / "x"), 9))
        with pytest.raises(StudyError, match="make the same call again"):
            _answers(pool)


def test_an_executor_that_was_handed_in_is_left_running() -> None:
    with ThreadPoolExecutor(3) as executor:
        with Pool(_square, executor) as pool:
            assert pool.n_workers == 3
        assert executor.submit(_square, 3).result() == 9


def test_ctrl_c_passes_through_a_call_in_this_process() -> None:
    def interrupted(work: Any) -> None:
        raise KeyboardInterrupt

    with Pool(interrupted, n_workers=0) as pool, pytest.raises(KeyboardInterrupt):
        pool.submit("x", None)


def test_a_future_cancelled_by_its_executor_counts_as_lost() -> None:
    class Cancelling(ThreadPoolExecutor):
        def submit(self, *args: Any, **kwargs: Any) -> Future[Any]:
            future: Future[Any] = Future()
            future.cancel()
            future.set_running_or_notify_cancel()
            return future

    with Cancelling(1) as executor, Pool(_square, executor) as pool:
        pool.submit("x", 2)
        with pytest.raises(StudyError, match="lost its workers"):
            pool.wait()


def test_a_negative_number_of_workers_is_refused() -> None:
    with pytest.raises(StudyError, match="n_workers is -1"):
        Pool(_square, n_workers=-1)
