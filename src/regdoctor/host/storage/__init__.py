"""A registry's storage on disk (the filesystem driver of CNCF distribution), read as files and never written.

``root`` recognises it, ``shards`` and ``blobs`` know what content there is, ``repositories`` follows links and
manifests, ``hashing`` and ``verify`` look at bytes, ``hands`` and ``crew`` share the work out, ``second_look``
looks once more at what seemed wrong, and ``reading`` makes one fact of it all. The layout is that of distribution
``registry/storage/paths.go``.

Whoever may write the storage may put anything there. So symbolic links are never followed, everything is opened
without following them and read up to a bound, and only what looks like a digest is ever shown.

What is needed from outside is here; the rest is loaded when it is used.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from regdoctor.facts.storage import StorageContent
    from regdoctor.host.storage.crew import Helpers
    from regdoctor.host.storage.reading import Request

HELPERS: Final = "storage helpers"
"""Under this name a run's shared values hold the :class:`~regdoctor.host.storage.crew.Helpers`, if any."""
CONCLUDING: Final = 30.0
"""Seconds before the deadline of a run at which reading everything stops, so that it is still told."""


class NoStorage(Exception):  # noqa: N818 - a state of the folder
    """There is no registry's storage at a path; the message says what was looked for, in one line."""


class ResumeError(Exception):
    """The file to resume from cannot be used; the message says why, in one line."""


def request(
    *,
    jobs: int | None = None,
    helpers: Helpers | None = None,
    verify: bool = False,
    resume: Path | None = None,
    stop: Callable[[], bool] = lambda: False,
    tell: Callable[[str], None] = lambda _message: None,
) -> Request:
    """How to read a storage; see :class:`regdoctor.host.storage.reading.Request`."""
    from regdoctor.host.storage.crew import Helpers
    from regdoctor.host.storage.reading import Request

    return Request(
        jobs=jobs, helpers=helpers or Helpers(), verify=verify, resume=resume, stop=stop, tell=tell
    )


def read_everything(path: Path, request: Request) -> StorageContent:
    """Reads the storage at a path, or the repositories that the path names.

    :raises NoStorage: there is none.
    :raises ResumeError: the file to resume from cannot be used.
    """
    from regdoctor.host.storage.reading import read_storage
    from regdoctor.host.storage.root import find_tree

    tree = find_tree(path)
    if tree is None:
        raise NoStorage(_no_storage(path))
    return read_storage(tree, path, request)


def read_one(
    path: Path, repository: str, *, tag: str | None, digest: str | None, request: Request
) -> StorageContent | None:
    """Reads what one tag or digest needs of the storage at a path; None where the repository has neither.

    :raises NoStorage: there is none.
    """
    from regdoctor.host.storage.reading import read_image
    from regdoctor.host.storage.root import find_tree

    tree = find_tree(path)
    if tree is None:
        raise NoStorage(_no_storage(path))
    return read_image(tree, path, repository, tag=tag, digest=digest, request=request)


def check_storage(path: Path) -> None:
    """Does nothing where there is a registry's storage at a path.

    :raises NoStorage: there is none.
    """
    from regdoctor.host.storage.root import find_tree

    if find_tree(path) is None:
        raise NoStorage(_no_storage(path))


def check_resume(path: Path, resume: Path) -> None:
    """Does nothing where a verification of the storage at a path can be resumed from a file, or begun with it.

    :raises NoStorage: there is no storage.
    :raises ResumeError: the file belongs to something else, or cannot be written.
    """
    from regdoctor.host.storage.root import find_tree
    from regdoctor.host.storage.verify import Resume

    tree = find_tree(path)
    if tree is None:
        raise NoStorage(_no_storage(path))
    Resume.open(resume, tree.path)


def _no_storage(path: Path) -> str:
    return (
        f"{path} holds no registry's storage: neither it nor a folder above it has "
        "docker/registry/v2 with blobs or repositories below"
    )
