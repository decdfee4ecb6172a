"""From an entrypoint to a flow: `path/to/file.py:flow` (relative to a root folder) or `package.module:flow`."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType
from typing import Any

from headway.core.errors import EntrypointNotFound
from headway.core.nearest import suggestion
from headway.sdk.flows import Flow
from headway.sdk.fresh_code import FreshLoader

__all__ = ["load_flow", "relative_entrypoint"]


def load_flow(entrypoint: str, roots: Sequence[Path] = ()) -> Flow[Any, Any]:
    """The flow an entrypoint names; a file is looked for in each root in turn (default: the current folder).

    Without `:flow` the module's only flow is meant. Raises EntrypointNotFound, naming what was tried; what
    the module itself raises while it is imported goes through.
    """
    where, _, name = entrypoint.rpartition(":") if ":" in entrypoint else (entrypoint, "", "")
    if where.endswith(".py") or "/" in where:
        module = _import_file(entrypoint, Path(where), list(roots) or [Path.cwd()])
    else:
        module = _import_module(entrypoint, where, roots)
    found = _flow_in(module, name, entrypoint)
    if found.entrypoint is None:
        found.entrypoint = entrypoint
    return found


def _import_file(entrypoint: str, path: Path, roots: list[Path]) -> ModuleType:
    tried = [path] if path.is_absolute() else [(root / path).absolute() for root in roots]
    file = next((candidate for candidate in tried if candidate.is_file()), None)
    if file is None:
        shown = " and ".join(str(candidate) for candidate in tried)
        raise EntrypointNotFound(
            f"Entrypoint {entrypoint!r} was not found: there is no file {shown}. "
            "Deploy again from the project's folder, or correct the deployment's path and entrypoint."
        )
    root = next((root for root in roots if not path.is_absolute() and (root / path).absolute() == file), file.parent)
    for folder in (str(file.parent), str(root.absolute())):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    known = sys.modules.get(file.stem)
    free = known is None or getattr(known, "__file__", None) == str(file)
    module_name = file.stem if free else f"headway_flow_{file.stem}"
    spec = importlib.util.spec_from_file_location(module_name, file, loader=FreshLoader(module_name, str(file)))
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # so that what it defines can be pickled
    spec.loader.exec_module(module)
    return module


def _import_module(entrypoint: str, name: str, roots: Sequence[Path]) -> ModuleType:
    for folder in (str(root) for root in roots):
        if folder not in sys.path:
            sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not (name == error.name or name.startswith(f"{error.name}.")):
            raise
        shown = ", ".join(str(root) for root in roots) or "the Python path"
        raise EntrypointNotFound(
            f"Entrypoint {entrypoint!r} was not found: there is no module {error.name!r} (looked in {shown}). "
            "Install it where the run executes, or correct the deployment's entrypoint."
        ) from None


def _flow_in(module: ModuleType, name: str, entrypoint: str) -> Flow[Any, Any]:
    flows = {key: value for key, value in vars(module).items() if isinstance(value, Flow)}
    if name:
        found: Any = module
        for part in name.split("."):
            found = getattr(found, part, None)
        if isinstance(found, Flow):
            return found
        by_name = [value for value in flows.values() if value.name == name]
        if by_name:
            return by_name[0]
    elif len({id(value) for value in flows.values()}) == 1:
        return next(iter(flows.values()))
    where = module.__file__ or module.__name__
    if not name:
        names = ", ".join(flows) or "none"
        raise EntrypointNotFound(f"{where} has {len(flows)} flows; name one: {entrypoint}:NAME, one of {names}.")
    hint = suggestion(name, flows, "It has no flows at all.")
    raise EntrypointNotFound(f"Entrypoint {entrypoint!r} was not found: {where} has no flow {name!r}.{hint}")


def relative_entrypoint(flow: Flow[Any, Any], root: Path) -> str:
    """Where a flow is, relative to `root` if it is inside, else as a module or an absolute path."""
    name = getattr(flow.fn, "__qualname__", flow.name)
    if "<locals>" in name:
        raise EntrypointNotFound(
            f"Flow {flow.name!r} is defined inside a function and cannot be found by another process. "
            "Move it to the top of its module."
        )
    module = sys.modules.get(flow.fn.__module__)
    file = getattr(module, "__file__", None)
    if file is None:
        raise EntrypointNotFound(
            f"Flow {flow.name!r} has no file (module {flow.fn.__module__!r}), so no other process can load it. "
            "Put it into a file."
        )
    path = Path(file).resolve()
    if path.is_relative_to(root.resolve()):
        return f"{path.relative_to(root.resolve()).as_posix()}:{name}"
    if flow.fn.__module__ == "__main__" or _named_by_file(flow):
        return f"{path}:{name}"
    return f"{flow.fn.__module__}:{name}"


def _named_by_file(flow: Flow[Any, Any]) -> bool:
    """Whether the flow was loaded from a file: its module's name means nothing to another process."""
    where, _, name = (flow.entrypoint or "").rpartition(":")
    return (where or name).endswith(".py")
