"""What a run shows and leaves: progress, pictures, results and its folder."""
