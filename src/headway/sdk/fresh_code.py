"""Imports of user code that never run yesterday's bytecode.

Python takes a compiled module for current if the source has the size and the whole second of modification that
it was compiled from. A flow that is edited, deployed and run by a machine can change within one second without
changing its size. In a run's process, modules outside of the installation are therefore compared by the hash of
their source: what is compiled is kept in `__pycache__` as hash-based bytecode (PEP 552), which plain Python
understands too.
"""

from __future__ import annotations

import functools
import importlib.machinery
import importlib.util
import marshal
import os
import site
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib.abc import PathEntryFinder
from pathlib import Path
from types import CodeType

__all__ = ["FreshLoader", "compare_by_content", "is_installed"]

CHECKED_HASH = (0b11).to_bytes(4, "little")
HEAD = 16


class FreshLoader(importlib.machinery.SourceFileLoader):
    """Loads a module from its source, or from bytecode of exactly this source."""

    def get_code(self, fullname: str) -> CodeType | None:
        path = self.get_filename(fullname)
        source = self.get_data(path)
        head = importlib.util.MAGIC_NUMBER + CHECKED_HASH + importlib.util.source_hash(source)
        cache = _cache_of(path)
        kept = _read(cache)
        if kept is not None and kept[:HEAD] == head:
            with suppress(EOFError, ValueError, TypeError):
                code = marshal.loads(kept[HEAD:])
                if isinstance(code, CodeType) and code.co_filename == path:
                    return code
        code = self.source_to_code(source, path)
        if cache is not None and not sys.dont_write_bytecode:
            with suppress(OSError, NotImplementedError):
                self._cache_bytecode(path, cache, bytearray(head + marshal.dumps(code)))  # type: ignore[attr-defined]
        return code


def compare_by_content() -> None:
    """From now on, modules outside of the installation are loaded by `FreshLoader`; once per process."""
    if any(getattr(hook, "fresh", False) for hook in sys.path_hooks):
        return
    sys.path_hooks.insert(0, _hook())
    for path in list(sys.path_importer_cache):
        if not is_installed(path):
            del sys.path_importer_cache[path]
    importlib.invalidate_caches()


def _hook() -> Callable[[str], PathEntryFinder]:
    machinery = importlib.machinery
    find = machinery.FileFinder.path_hook(
        (machinery.ExtensionFileLoader, machinery.EXTENSION_SUFFIXES),
        (FreshLoader, machinery.SOURCE_SUFFIXES),
        (machinery.SourcelessFileLoader, machinery.BYTECODE_SUFFIXES),
    )

    def hook(path: str) -> PathEntryFinder:
        if is_installed(path):
            raise ImportError("what is installed is loaded as ever", path=path)
        return find(path)

    hook.fresh = True  # type: ignore[attr-defined]
    return hook


def is_installed(path: str) -> bool:
    """Whether a folder is one whose modules change by installing, not by editing."""
    return (path + os.sep).startswith(_installed())


@functools.cache
def _installed() -> tuple[str, ...]:
    folders = [os.path.dirname(os.__file__), *site.getsitepackages(), str(Path(__file__).parents[1])]
    if site.ENABLE_USER_SITE:
        folders.append(site.getusersitepackages())
    return tuple(folder + os.sep for folder in folders)


def _cache_of(path: str) -> str | None:
    try:
        return importlib.util.cache_from_source(path)
    except NotImplementedError:
        return None


def _read(path: str | None) -> bytes | None:
    if path is not None:
        with suppress(OSError):
            return Path(path).read_bytes()
    return None
