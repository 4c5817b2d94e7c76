"""Compiled programs kept on disk, so that the second run of a command starts quickly."""

from __future__ import annotations

import os
import sys


def use_compile_cache():
    """Let JAX keep what it compiles in the user's cache folder. Works before JAX is imported only.

    QDIFF_CACHE_DIR names another folder, and QDIFF_CACHE_DIR=off keeps nothing; JAX's own variables win. A folder
    that cannot be written to is not used: programs are then compiled each time.
    """
    wanted = os.environ.get("QDIFF_CACHE_DIR", "")
    if wanted.lower() == "off" or "JAX_COMPILATION_CACHE_DIR" in os.environ:
        return
    folder = wanted or os.path.join(_cache_home(), "qdiff", "xla")
    try:
        os.makedirs(folder, exist_ok=True)
    except OSError:
        return
    if os.access(folder, os.R_OK | os.W_OK | os.X_OK):
        os.environ["JAX_COMPILATION_CACHE_DIR"] = folder
        os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
        _forget_old(folder)


def _forget_old(folder: str, limit: float = 500e6):
    """Remove the programs that were not used for longest, until the folder is below `limit` bytes."""
    try:
        entries = sorted(((e.stat().st_atime, e.stat().st_size, e.path) for e in os.scandir(folder) if e.is_file()), reverse=True)
        total = 0.0
        for _, size, path in entries:
            total += size
            if total > limit:
                os.remove(path)
    except OSError:
        return  # another run removed it first, or may not: a cache that is too large does no harm


def _cache_home() -> str:
    """The folder in which programs of this platform keep what they can make again."""
    if sys.platform == "darwin":
        return os.path.expanduser("~/Library/Caches")
    if os.name == "nt":
        return os.environ.get("LOCALAPPDATA") or os.path.expanduser("~/AppData/Local")
    return os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
