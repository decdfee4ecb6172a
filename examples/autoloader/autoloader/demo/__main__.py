"""`python -m autoloader.demo`: the whole story, told as it happens. Exit code 0 only if the loaded rows are right."""

import argparse
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType

from autoloader.demo.story import Story
from autoloader.errors import AutoloaderError
from headway.core.errors import HeadwayError

OURS = ".made-by-the-autoloader-demo"


def main(arguments: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m autoloader.demo", description=__doc__)
    parser.add_argument(
        "--folder", type=Path, default=Path(".demo"), help="everything happens below it; default: .demo"
    )
    parser.add_argument(
        "--before-count",
        metavar="COMMAND",
        help="a shell command to run when all processes have ended and before the rows are counted: break something",
    )
    options = parser.parse_args(arguments)
    signal.signal(signal.SIGTERM, _as_ctrl_c)
    folder: Path = options.folder.resolve()
    started = time.monotonic()
    try:
        _empty(folder)
        right = Story(folder).tell(options.before_count)
    except KeyboardInterrupt:
        print("\nInterrupted; everything that was started has been stopped.", file=sys.stderr)
        return 130
    except (AutoloaderError, HeadwayError, OSError, subprocess.SubprocessError) as error:
        print(f"\nThe demo failed: {error}\nIts files are in {folder}.", file=sys.stderr)
        return 1
    seconds = time.monotonic() - started
    print(f"\n{'Everything is right' if right else 'Something is WRONG'}. {seconds:.0f} s; files in {folder}")
    return 0 if right else 1


def _empty(folder: Path) -> None:
    """Make the folder anew, but never delete what no demo has made."""
    if folder.exists() and any(folder.iterdir()) and not (folder / OURS).exists():
        raise AutoloaderError(f"{folder} has files that no demo made; name a new or an empty --folder")
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    (folder / OURS).touch()


def _as_ctrl_c(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    sys.exit(main())
