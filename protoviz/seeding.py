"""Random numbers, seeded with the address of what they are for.

A prototype, a training epoch or an image takes its random numbers from what it is (condition, run,
repeat, epoch, layer, channel), never from the order, batch or worker in which it is made, nor from
any global state. So any of them can be made again alone, and no two share a stream.
"""

import hashlib
import json

import numpy as np

Part = str | int


def seed(*address: Part) -> int:
    """A 63-bit seed for an address such as ("pool", "clrjit", 1, 0, 8).

    The first 63 bits of the SHA-256 of the address as JSON: ("a", 1) and ("a", "1") differ, and
    neighbouring addresses share nothing.

    >>> seed("start", "clrjit", 1) == seed("start", "clrjit", 1)
    True
    >>> seed("a", 1) == seed("a", "1")
    False
    """
    text = json.dumps(address, separators=(",", ":"), ensure_ascii=True)
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def generator(*address: Part) -> np.random.Generator:
    """NumPy's counter-based Philox generator, seeded with the address.

    >>> bool(generator("start", "clrjit", 1).random() == generator("start", "clrjit", 1).random())
    True
    """
    return np.random.Generator(np.random.Philox(seed(*address)))
