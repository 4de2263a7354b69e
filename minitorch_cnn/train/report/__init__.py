"""What a run shows and leaves behind: progress, pictures, results and its folder."""
