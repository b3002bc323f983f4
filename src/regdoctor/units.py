"""Numbers as people write them."""

from __future__ import annotations


def size_text(size: float) -> str:
    """Bytes in binary units (IEC 80000-13): ``1.5 GiB``."""
    for unit in ("bytes", "KiB", "MiB", "GiB"):
        if size < 1024:
            return f"{size:.0f} {unit}" if unit == "bytes" else f"{size:.1f} {unit}"
        size /= 1024
    return f"{size:.1f} TiB"
