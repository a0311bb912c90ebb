"""The torch op that runs kernels: two C++ files, built once for a torch version; without a C++ compiler, none."""

from __future__ import annotations

import contextlib
import importlib.util
import sys
import sysconfig
import threading
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from types import ModuleType

import torch

from actsearch.compiler.build import cache_folder, cpu, cxx_compiler, digest, library, notice

_SOURCES = ("layers_op.cpp", "kernel_op.cpp")  # one text for the compiler; the last one names what Python sees
# without OpenMP the headers' at::parallel_for is a plain loop; torch brings the runtime, on Linux GNU's
_OPENMP = ["-fopenmp"] if sys.platform == "linux" else ["-fopenmp-simd"]
_FLAGS = ["-O3", "-march=native", "-ffp-contract=off", *_OPENMP, "-std=c++20", "-fPIC", "-shared", "-w"]


@lru_cache(maxsize=1)
def load() -> ModuleType | None:
    """Return the op's module, built first when it is missing (some 20 s, once a torch version)."""
    compiler = cxx_compiler()
    if compiler is None:
        return None
    source = "".join(Path(__file__).with_name(name).read_text() for name in _SOURCES)
    key = _key(compiler, source)
    with _alone(key):
        made = library(key, lambda text: _command(compiler, text, key), source, ".cpp")
    if made is None:
        return None
    spec = importlib.util.spec_from_file_location(_name(key), made)
    assert spec is not None
    assert spec.loader is not None
    try:
        module = importlib.util.module_from_spec(spec)
        spec.loader.exec_module(module)
    except ImportError as error:
        notice(f"the op could not be loaded, kernels are called through Python instead ({error})")
        return None
    return module


@contextlib.contextmanager
def _alone(key: str) -> Iterator[None]:
    """Let the other workers of a first search wait, and find the op built: it takes a core some 20 s.

    The lock ends with its process. Where there are no locks, or no place for one, everybody builds, and the last wins.
    """
    with contextlib.ExitStack() as stack:
        with contextlib.suppress(OSError, ImportError):
            import fcntl

            folder = cache_folder()
            folder.mkdir(parents=True, exist_ok=True)
            file = stack.enter_context((folder / f"{key}.lock").open("w"))
            fcntl.flock(file, fcntl.LOCK_EX)
            stack.callback(fcntl.flock, file, fcntl.LOCK_UN)  # closing is not enough where a fork has the file, too
        yield


_builder: threading.Thread | None = None


def ready() -> ModuleType | None:
    """Return the op where it has been built before; else have it built in the background, and return None so far."""
    global _builder
    if load.cache_info().currsize:
        return load()
    if _builder is None:
        _builder = threading.Thread(target=load, daemon=True)
        _builder.start()
        _builder.join(0.5)  # enough to load one that is in the cache
    return load() if not _builder.is_alive() else None


def _key(compiler: Sequence[str], source: str) -> str:
    return digest(source, *compiler, cpu(), *_FLAGS, torch.__version__, sysconfig.get_config_var("SOABI") or "")


def _name(key: str) -> str:
    return f"actsearch_op_{key}"


def _command(compiler: Sequence[str], text: Path, key: str) -> list[str]:
    home = Path(torch.__file__).parent
    includes = [home / "include", home / "include/torch/csrc/api/include", sysconfig.get_paths()["include"]]
    return [
        *compiler,
        *_FLAGS,
        f"-DTORCH_EXTENSION_NAME={_name(key)}",
        f"-D_GLIBCXX_USE_CXX11_ABI={int(torch.compiled_with_cxx11_abi())}",
        *(f"-I{folder}" for folder in includes),
        str(text),
        f"-L{home / 'lib'}",
        *("-ltorch_python", "-ltorch", "-ltorch_cpu", "-lc10"),
    ]
