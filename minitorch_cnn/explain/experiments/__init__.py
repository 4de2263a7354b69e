"""Small experiments: shifted images, and gradients by depth."""
