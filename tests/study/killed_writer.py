"""Run by test_storage_kill.py: forks a process that tells trials, kills it for real, and does so again when asked.

Forking from here costs no import, so that tens of kills take seconds. Reads a line ``seconds`` from stdin a round,
answers ``killed`` when the child is gone. The child notes every trial it has told in the file ``argv[2]``: a byte
written is the system's, and outlives the process.
"""

from __future__ import annotations

import os
import signal
import sys
import time
from pathlib import Path

import optuna
from storage_helpers import study_in

from actsearch.study.reclaim import reclaim, sign
from actsearch.study.session import session
from actsearch.study.storage import open_storage

_real_write = os.write


def _write_in_pieces(descriptor: int, data: bytes) -> int:
    """Make lines that take long to write: then kills fall into the middle of them."""
    if len(data) < 40:
        return _real_write(descriptor, data)
    written = _real_write(descriptor, data[:25])
    time.sleep(0.0003)
    return written


def tell_for_ever(url: str, acknowledged: str) -> None:
    os.write = _write_in_pieces
    notes = os.open(acknowledged, os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    study = study_in(open_storage(url))
    with session(study):
        reclaim(study)
        while True:
            trial = study.ask()
            sign(trial)
            trial.suggest_categorical("0:unary", ("sin(a)", "cos(a)", "a * b"))
            trial.suggest_categorical("1:unary", ("sin(a)", "cos(a)", "a * b"))
            trial.set_user_attr("expr", "sin(x)")
            study.tell(trial, 1.0)
            _real_write(notes, f"{trial.number}\n".encode())


def main(url: str, acknowledged: str) -> None:
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    for line in sys.stdin:
        child = os.fork()
        if child == 0:
            try:
                tell_for_ever(url, acknowledged)
            finally:
                os._exit(3)  # never: it is killed
        deadline = time.monotonic() + 60
        start_size = _size(acknowledged)
        # the clock starts with the first trial told, lest a slow start be killed every time
        while _size(acknowledged) == start_size and time.monotonic() < deadline:
            time.sleep(0.0005)
        time.sleep(float(line))
        os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        print("killed" if os.WIFSIGNALED(status) else f"ended by itself: {status}", flush=True)


def _size(path: str) -> int:
    return Path(path).stat().st_size if Path(path).exists() else 0


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
