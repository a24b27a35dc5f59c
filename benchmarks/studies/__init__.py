"""Studies behind choices of this project."""
