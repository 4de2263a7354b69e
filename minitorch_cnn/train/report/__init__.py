"""What a run shows and leaves after: progress, pictures, results and its folder."""
