"""Looking: the search loop around an Optuna study, its panel, screen, finals and statistics.

Start at :func:`actsearch.study.search.search`; ``loop.py`` is the ask-and-tell loop, ``plan.py`` says what is fitted in
which order, ``executor.py`` where. Everything is stored in Optuna studies NAME, NAME/panel and NAME/finals.
"""
