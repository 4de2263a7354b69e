"""Changes of a file that nobody made by hand."""

import struct

NUMBERS = [0, 1, 0x7F, 0x80, 0xFF, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF, (1 << 63) - 1, (1 << 64) - 1]
LARGE = 40_000_000  # bytes of the numbers in a large file


def mutated(sound, rng):
    """Return the bytes with one to four changes."""
    content = bytearray(sound)
    for _ in range(rng.integers(1, 5)):
        place, length = int(rng.integers(0, len(content) + 1)), int(rng.geometric(0.05))
        # the heads of files are where their structure lies
        place = place if rng.random() < 0.5 else place % 512
        kind = rng.integers(0, 6)
        if kind <= 1 and place < len(content):
            content[place] ^= 1 << rng.integers(0, 8)
        elif kind == 2:
            del content[place : place + length]
        elif kind == 3:
            content[place:place] = content[place : place + length]
        elif kind == 4:
            number = NUMBERS[rng.integers(0, len(NUMBERS))]
            width = int(rng.choice([1, 2, 4, 8]))
            order = "<" if rng.random() < 0.8 else ">"
            piece = struct.pack(f"{order}Q", number)
            content[place : place + width] = piece[:width] if order == "<" else piece[-width:]
        else:
            other = int(rng.integers(0, len(content) + 1))
            content[place : place + length] = content[other : other + length]
    return bytes(content)
