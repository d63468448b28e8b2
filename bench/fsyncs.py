"""How often the disk makes something durable: the floor under every commit."""

import os
import time
from pathlib import Path

from bench.load import quantile_ms

BLOCK = bytes(4096)


def measure_fsyncs(directory: Path, *, seconds: float) -> dict[str, float]:
    """Append 4 KiB and fdatasync, again and again."""
    path = directory / "fsyncs"
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, 0o600)
    took_s: list[float] = []
    try:
        began_s = before_s = time.perf_counter()
        while before_s - began_s < seconds:
            os.write(descriptor, BLOCK)
            os.fdatasync(descriptor)
            now_s = time.perf_counter()
            took_s.append(now_s - before_s)
            before_s = now_s
    finally:
        os.close(descriptor)
        path.unlink()
    return {
        "per_s": len(took_s) / (before_s - began_s),
        "p50_ms": quantile_ms(took_s, 0.5),
        "p99_ms": quantile_ms(took_s, 0.99),
    }
