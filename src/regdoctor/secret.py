"""A string that must not be seen.

Passwords, tokens and keys live in ``Secret`` from the moment they are read. Every usual way to turn a value
into text gives ``***``; only ``reveal()`` gives the value, so that a search for that word finds every use.
"""

from __future__ import annotations

import hmac
from typing import Final, NoReturn

MASK: Final = "***"


class Secret:
    """Holds one secret string.

    ``str()``, ``repr()``, ``format()`` and tracebacks show ``***``. Pickling, copying into other processes
    and encoding by ``json`` or ``msgspec`` raise ``TypeError``, unless the writer knows of secrets and passes
    ``mask_secrets`` to ``msgspec``. Equality takes constant time; a secret is not
    hashable, so that it cannot become a key of anything that is printed.
    """

    __slots__ = ("__value",)
    __hash__ = None  # type: ignore[assignment]

    def __init__(self, value: str) -> None:
        self.__value = value

    def reveal(self) -> str:
        """Return the secret itself, for the one place that sends it."""
        return self.__value

    def __repr__(self) -> str:
        return f"Secret({MASK})"

    def __str__(self) -> str:
        return MASK

    def __format__(self, format_spec: str) -> str:
        return MASK

    def __bool__(self) -> bool:
        return bool(self.__value)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Secret):
            return NotImplemented
        ours, theirs = (each.encode("utf-8", "surrogatepass") for each in (self.__value, other.__value))
        return hmac.compare_digest(ours, theirs)

    def __reduce_ex__(self, protocol: object) -> NoReturn:
        raise TypeError("a Secret cannot be pickled or copied")

    def __copy__(self) -> Secret:
        return self

    def __deepcopy__(self, memo: object) -> Secret:
        return self


def mask_secrets(value: object) -> str:
    """Write ``***`` for a secret: an ``enc_hook`` for ``msgspec``.

    Raises ``NotImplementedError`` for any other type, as msgspec expects of such a hook.
    """
    if isinstance(value, Secret):
        return MASK
    raise NotImplementedError(f"cannot encode {type(value).__name__}")
