"""Makes a process that was just forked from a template look like one that was just started.

What a fresh interpreter would have of its own is set here: session, standard streams, environment, signal
handlers, search path, random numbers, caches of imports; and what belongs to the template alone is given up:
its descriptors, its exit handlers, its finalizers.
"""

from __future__ import annotations

import atexit
import gc
import importlib
import os
import signal
import sys
import threading
import time
import traceback
import weakref
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

__all__ = ["Origin", "be_born"]

APPEND = os.O_WRONLY | os.O_CREAT | os.O_APPEND


@dataclass(frozen=True, slots=True)
class Origin:
    """How the interpreter was before anything was preloaded; each run begins from there."""

    environ: Mapping[str, str]
    handlers: Mapping[int, Any]
    umask: int

    @classmethod
    def now(cls) -> Origin:
        umask = os.umask(0o077)
        os.umask(umask)
        return cls(dict(os.environ), handlers(), umask)

    def altered_handlers(self) -> dict[int, Any]:
        """The signals that mean something else since then, with what they meant. None cannot be put back: it was
        not set from Python."""
        now = handlers()
        return {number: was for number, was in self.handlers.items() if was is not None and now[number] != was}


def handlers() -> dict[int, Any]:
    return {int(number): signal.getsignal(number) for number in signal.valid_signals()}


def be_born(
    run: Callable[[], int],
    main: str,
    directory: str,
    env: Mapping[str, str],
    own: Sequence[int],
    umask: int,
    handlers: Mapping[int, Any],
) -> NoReturn:
    """Become the process of one run, run, and end. `main` is the module that stands for the program, `own` are the
    descriptors of the template and the run's parent, `handlers` the signals to be put back. The working directory is
    set already."""
    code = 1
    try:
        os.setsid()
        streams(directory, own)
        for number, handler in handlers.items():
            signal.signal(number, handler)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.umask(umask)
        environment(env)
        interpreter(main)
        forget_exits()
        code = run()
    except SystemExit as end:
        code = exit_code(end.code)
    except BaseException:
        traceback.print_exc()
    leave(code)


def streams(directory: str, own: Sequence[int]) -> None:
    """Output appended to the attempt's files, empty input, nothing open that is not the run's business."""
    for fd in own:
        os.close(fd)
    for number, name in ((1, "stdout"), (2, "stderr")):
        fd = os.open(os.path.join(directory, name), APPEND, 0o600)
        os.dup2(fd, number)
        os.close(fd)


def environment(env: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(env)
    time.tzset()


def interpreter(main: str) -> None:
    """What `python -m MAIN` in this folder would have made of `sys`, and fresh randomness."""
    module = sys.modules[main]
    sys.modules["__main__"] = module
    sys.argv = [str(module.__file__)]
    if not sys.flags.safe_path:
        sys.path.insert(0, os.getcwd())
    importlib.invalidate_caches()
    numpy_random = sys.modules.get("numpy.random")
    if numpy_random is not None:  # the standard library's own generators see to it themselves
        numpy_random.seed()
    if not gc.isenabled():
        gc.enable()


def forget_exits() -> None:
    """What is registered so far is the template's to do, once, at its own end; logging's part is each process's."""
    atexit._clear()
    logging = sys.modules.get("logging")
    if logging is not None:
        atexit.register(logging.shutdown)
    pools = sys.modules.get("multiprocessing.util")
    if pools is not None:
        atexit.register(pools._exit_function)
    finalizers: Any = weakref.finalize
    finalizers._registry.clear()
    finalizers._registered_with_atexit = False


def exit_code(code: object) -> int:
    if code is None or isinstance(code, int):
        return code or 0
    sys.stderr.write(f"{code}\n")
    return 1


def leave(code: int) -> NoReturn:
    """End as the interpreter does, but without taking itself apart: that would copy all the memory shared with
    the template only to give it back."""
    try:
        shutdown: Any = threading
        shutdown._shutdown()  # waits for threads that are no daemons
        atexit._run_exitfuncs()
    except BaseException:
        traceback.print_exc()
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except (OSError, ValueError, AttributeError):
            code = code or 120  # as the interpreter says it
    os._exit(code & 0xFF)
