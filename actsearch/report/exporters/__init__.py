"""One format a file: ``SUFFIX``, ``export(expr, path)`` and ``load(path)``, which reads back what ``export`` wrote.

``load`` returns a function of ``(x, *parameters)`` in NumPy float64, parameters in the order of ``parameters_of``;
:func:`actsearch.report.export.export` compares it with the original, and the derivative in x with what
``load_derivative`` returns, where there is one.
``EXTRA`` is the extra of pyproject.toml that a format needs. Files that start with ``_`` are not formats.
"""
