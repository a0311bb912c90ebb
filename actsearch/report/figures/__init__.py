"""One figure a file: each builds a matplotlib ``Figure`` from plain data, without pyplot and its global state."""
