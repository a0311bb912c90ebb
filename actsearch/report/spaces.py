"""What ``actsearch check`` prints of a search space."""

from __future__ import annotations

import textwrap

from actsearch.space.space import Space
from actsearch.space.survey import Survey


def describe(space: Space, found: Survey) -> str:
    """Return lines: title and citation, how many candidates and functions, what is rejected and why."""
    lines = [f"{space.name}: {space.title}" if space.title else space.name]
    if space.citation:
        lines += textwrap.wrap(space.citation, 78, initial_indent="  ", subsequent_indent="  ")
    of = f"of a sample of {found.n_examined:,}" if found.is_sample else "of them"
    lines += [
        f"  {found.size:>15,} candidates",
        f"  {found.n_distinct:>15,} {of} are different functions",
        f"  {found.n_distinct_finite:>15,} of these are finite on [-10, 10]",
        f"  {found.n_distinct_accepted:>15,} of these pass the screen",
        f"  the screen rejects {found.share_rejected:.1%} of the candidates before any training",
    ]
    reasons = [f"{count:,} {reason}" for reason, count in found.rejected.items() if count]
    if reasons:
        lines += textwrap.wrap(f"({', '.join(reasons)})", 76, initial_indent="    ", subsequent_indent="    ")
    lines.append(f"  examined in {found.seconds:.1f} s")
    return "\n".join(lines)
