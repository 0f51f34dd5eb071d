"""What the plain desk is told to load: the whole of what its adoption takes."""
