"""How fast this software is, beside its peers, measured in the same run."""
