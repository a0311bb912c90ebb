"""A search that kills its own process after so many ended trials of a study: ``killed_search.py FOLDER STUDY N``."""

from __future__ import annotations

import os
import signal
import sys
from pathlib import Path
from typing import Any

from search_helpers import small_search


def main() -> None:
    signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background has it ignored
    folder, name, n = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    ended = 0

    def kill(study: Any, trial: Any) -> None:
        nonlocal ended
        ended += study.study_name == name
        if ended == n:
            os.kill(os.getpid(), signal.SIGKILL)

    given = dict(argument.split("=") for argument in sys.argv[4:])
    settings: dict[str, Any] = {key: int(value) if value.isdigit() else value for key, value in given.items()}
    small_search(folder, callbacks=[kill], **settings)


if __name__ == "__main__":
    main()
