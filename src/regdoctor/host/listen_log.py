"""Why a registry could not listen, read from the end of its log.

Go words it ``listen tcp ADDRESS: bind: REASON``; distribution writes that as its last line before it exits.
"""

from __future__ import annotations

import os
import re
import stat
from pathlib import Path
from typing import Final

from regdoctor.facts.ports import ListenRefusal

LARGEST: Final = 1024 * 1024
"""Bytes that are read from the end of a log."""
_REFUSED: Final = re.compile(
    r"listen tcp[46]? (?P<address>\S*:\d+): bind: (?P<reason>address already in use|permission denied)"
)
_AT_WORK: Final = re.compile(r"listening on |response completed|\"(?:GET|HEAD|POST|PUT|PATCH|DELETE) /")
"""Lines of a registry that listens."""


def read_refusal(path: Path) -> ListenRefusal | None:
    """The last refusal, unless later lines show the registry at work.

    :raises OSError: the file cannot be read, or is none.
    """
    with path.open("rb") as log:
        status = os.fstat(log.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise OSError(f"{path} is no file")
        skipped = max(0, status.st_size - LARGEST)
        if skipped:
            log.seek(skipped)
            log.readline(LARGEST)
        data = log.read(LARGEST)
    found = None
    for number, line in enumerate(data.splitlines(), start=1):
        text = line[:4096].decode("utf-8", "replace")
        match = _REFUSED.search(text)
        if match is not None:
            found = ListenRefusal(
                path=str(path),
                line=None if skipped else number,
                address=match["address"],
                reason=match["reason"],
            )
        elif found is not None and _AT_WORK.search(text):
            found = None
    return found
