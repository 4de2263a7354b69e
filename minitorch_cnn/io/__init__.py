"""Files: downloads, checksums, atomic writes, and pickles that cannot run code."""
