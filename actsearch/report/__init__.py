"""TELLING: what a study found, as live display, tables, plots, a results folder, a W&B run, and exported formulas.

Start with :func:`actsearch.report.folder.write_results`, which uses most of the rest, or with
:func:`actsearch.report.export.export` for one formula. ``exporters/`` has one format a file.
"""
