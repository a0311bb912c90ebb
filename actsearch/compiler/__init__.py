"""Expressions as torch functions: start with ``compile``; ``torch_source.py`` prints what is run."""

from actsearch.compiler.compiled import CompiledActivation as CompiledActivation
from actsearch.compiler.compiled import compile as compile
