"""A file's identity: its path and the hash of its content. Everything that must happen once is keyed by it."""

import hashlib
from dataclasses import dataclass
from pathlib import Path

CHUNK = 1 << 20


@dataclass(frozen=True, slots=True)
class Identity:
    """Absolute path and SHA-256 (hex) of the bytes as they lie on disk, compressed or not."""

    path: str
    content_hash: str

    @property
    def name(self) -> str:
        """A file name that only this identity gives: 32 hex digits."""
        return hashlib.sha256(f"{self.path}\0{self.content_hash}".encode()).hexdigest()[:32]


def canonical(path: Path) -> str:
    """The one spelling of a path that identities use."""
    return path.resolve().as_posix()


def identify(path: Path) -> Identity:
    """Read the file once, in pieces, and say who it is."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while chunk := file.read(CHUNK):
            digest.update(chunk)
    return Identity(canonical(path), digest.hexdigest())
