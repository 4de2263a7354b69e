"""Files: downloads, checksums, atomic writes, and pickles that run no code."""
