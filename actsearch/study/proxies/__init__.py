"""Zero-cost proxies: numbers about an activation that are known before any training; each file here is one.

Start at :func:`measure`. A proxy's file has a function ``measure(start)`` of a :class:`Start`, ``BETTER``, whether
``"low"`` or ``"high"`` values promise more, and ``NEEDS_NET``, whether it looks at a net of a task or at the function
alone. How well each of them predicts what training gives is in ``docs/results/proxies.md``.
"""

from actsearch.study.proxies._load import Proxy as Proxy
from actsearch.study.proxies._load import load_proxy as load_proxy
from actsearch.study.proxies._load import proxy_names as proxy_names
from actsearch.study.proxies._measure import Measured as Measured
from actsearch.study.proxies._measure import measure as measure
from actsearch.study.proxies._start import Start as Start
