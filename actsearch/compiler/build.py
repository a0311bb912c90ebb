"""Building C and C++ at run time: find a compiler, cache what it made, and share the cache between processes.

A library's file name is the hash of its source, its flags, the compiler and the CPU, so a cache serves several machines
at once and never goes stale. Files are written beside and renamed, so a killed or concurrent build leaves nothing half;
and a library ends with the hash of what stands before, because one that a full disk or a stopped machine has cut short
would not fail to load but end the process.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import platform
import shlex
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

_log = logging.getLogger("actsearch")

FLAGS = [
    "-std=gnu11", "-march=native", "-fopenmp-simd", "-fno-math-errno", "-fno-trapping-math", "-ffp-contract=off",
    "-fPIC", "-shared", "-nostdlib", "-fno-asynchronous-unwind-tables",
]  # fmt: skip
# Of GCC's passes those that kernels gain by: the same loops as from -O3 in two thirds of its time. A sine that it has
# joined with a cosine, or moved into a branch, is not vectorised.
_GCC = [
    "-O1", "-ftree-loop-vectorize", "-fvect-cost-model=dynamic", "-ftree-pre", "-fgcse", "-fno-tree-sink",
    "-fno-thread-jumps", *(f"-fno-builtin-{name}" for name in ("sin", "cos", "sinf", "cosf")),
]  # fmt: skip
_LONGEST_BUILD = 3600.0  # seconds
_SEAL = hashlib.sha256().digest_size


@dataclass(frozen=True)
class Compiler:
    """A compiler that works.

    Attributes:
        command: how it is called.
        identity: its version and the CPU it builds for.
        flags: what every build of a kernel is given.
        libraries: what every build of a kernel is linked with.
        vectors: whether the C library has vector functions (glibc 2.35 on x86-64).
    """

    command: tuple[str, ...]
    identity: str
    flags: tuple[str, ...]
    libraries: tuple[str, ...]
    vectors: bool


@lru_cache(maxsize=1)
def c_compiler() -> Compiler | None:
    """Return the C compiler: what ``CC`` names, else cc, gcc or clang; None, said once, when there is none."""
    command = _find("CC", ("gcc", "cc", "clang"))
    version = command and _version(command)
    if not command or not version:
        notice("no C compiler was found (CC, gcc, cc, clang): activations run as torch operations, which is slower")
        return None
    wide = ("-mprefer-vector-width=512",) if "avx512f" in cpu() else ()
    library, release = platform.libc_ver()
    vectors = platform.machine() == "x86_64" and library == "glibc" and tuple(map(int, release.split("."))) >= (2, 35)
    libraries = ("-lmvec", "-lm") if vectors else ("-lm",)
    passes = ("-O3",) if "clang" in version else _GCC
    return Compiler(command, f"{version}\n{cpu()}", (*FLAGS, *passes, *wide), libraries, vectors)


def cxx_compiler() -> tuple[str, ...] | None:
    """Return the command of the C++ compiler: what ``CXX`` names, else g++, c++ or clang++."""
    return _find("CXX", ("g++", "c++", "clang++"))


#: Keys of libraries that a batch in the background is about to deliver, and when it is done.
coming: dict[str, threading.Event] = {}

#: Name of the threads that deliver them, which would wait for themselves.
DELIVERY = "actsearch-kernels"


def library(key: str, make: Callable[[Path], Sequence[str]], source: str, suffix: str) -> Path | None:
    """Return the cached library ``key``, built first where it is missing; None when the build fails.

    Args:
        key: the library's file name, without ending; it must stand for everything that the library depends on.
        make: from the source file to the compiler's command, without the output.
        source: the text to compile.
        suffix: of the source file, ``".c"`` or ``".cpp"``.
    """
    if (done := coming.get(key)) is not None and threading.current_thread().name != DELIVERY:
        done.wait()
    for folder in (cache_folder(), _private_folder):
        place = folder() if callable(folder) else folder
        if is_whole(found := place / f"{key}.so"):
            return found
        try:
            return _build(place, key, make, source, suffix)
        except OSError as error:
            # a read-only or full cache: the process's own folder serves
            _log.debug("cannot build in %s: %s", place, error)
        except subprocess.CalledProcessError as error:
            lines = (error.stderr or "").strip().splitlines()
            notice(f"a kernel could not be built, torch operations serve instead ({lines[0] if lines else error})")
            return None
    notice("no folder can be written to build kernels in: activations run as torch operations, which is slower")
    return None


def _build(place: Path, key: str, make: Callable[[Path], Sequence[str]], source: str, suffix: str) -> Path:
    place.mkdir(parents=True, exist_ok=True)
    _sweep(place)
    with tempfile.TemporaryDirectory(dir=place, prefix="building-") as folder:
        text, made = Path(folder) / f"source{suffix}", Path(folder) / "made.so"
        text.write_text(source)
        subprocess.run([*make(text), "-o", str(made)], check=True, capture_output=True, text=True)
        made.write_bytes(_sealed(made.read_bytes()))
        os.replace(made, place / f"{key}.so")
    return place / f"{key}.so"


def _sealed(content: bytes) -> bytes:
    """Return a library and its hash behind it: loaders read what the header speaks of, and no further."""
    return content + hashlib.sha256(content).digest()


def is_whole(path: Path) -> bool:
    """Whether a library is there, can be read, and ends with its hash."""
    try:
        content = path.read_bytes()
    except OSError:
        return False
    return len(content) > _SEAL and _sealed(content[:-_SEAL]) == content


def _sweep(place: Path) -> None:
    """Remove what killed builds left, when it is older than any build takes."""
    for folder in place.glob("building-*"):
        with contextlib.suppress(OSError):  # a neighbour was faster
            if time.time() - folder.stat().st_mtime > _LONGEST_BUILD:
                shutil.rmtree(folder, ignore_errors=True)


def also_as(made: Path, key: str) -> None:
    """Give a library a second name in its folder; a name that is taken stays as it is."""
    with tempfile.TemporaryDirectory(dir=made.parent, prefix="building-") as folder:
        twin = Path(folder) / "twin.so"
        try:
            os.link(made, twin)
        except OSError:  # a file system without hard links
            shutil.copyfile(made, twin)
        os.replace(twin, made.parent / f"{key}.so")


def is_cached(key: str) -> bool:
    """Whether a library is in the cache."""
    return is_whole(cache_folder() / f"{key}.so")


def cache_folder() -> Path:
    """Return the folder of kernels: ``$XDG_CACHE_HOME/actsearch/kernels``, by default under ``~/.cache``.

    A user without a home, as in some containers, has a folder for the length of the process.
    """
    try:
        base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    except RuntimeError:
        return _private_folder()
    return Path(base) / "actsearch" / "kernels"


@lru_cache(maxsize=1)
def _private_folder() -> Path:
    import atexit

    folder = tempfile.mkdtemp(prefix="actsearch-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return Path(folder)


def digest(*parts: str) -> str:
    """Return a hash of texts, as a name for a file or a C function."""
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:24]


@lru_cache(maxsize=32)
def notice(text: str) -> None:
    """Say ``text`` once in a process."""
    _log.warning(text)


def _find(variable: str, names: Sequence[str]) -> tuple[str, ...] | None:
    chosen = os.environ.get(variable)
    if chosen:
        command = tuple(shlex.split(chosen))
        return command if shutil.which(command[0]) else None
    return next(((name,) for name in names if shutil.which(name)), None)


def _version(command: Sequence[str]) -> str | None:
    try:
        done = subprocess.run([*command, "--version"], check=True, capture_output=True, text=True)
    except (OSError, subprocess.CalledProcessError):
        return None
    return done.stdout.splitlines()[0] if done.stdout else None


@lru_cache(maxsize=1)
def cpu() -> str:
    """Return what ``-march=native`` depends on."""
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return f"{platform.machine()} {platform.processor()}"
    wanted = ("model name", "cpu family", "model\t", "flags", "Features", "CPU part")
    return "\n".join(dict.fromkeys(line for line in lines if line.startswith(wanted)))
