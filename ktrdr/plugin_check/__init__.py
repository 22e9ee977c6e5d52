"""`ktrdr plugins check`: the contracts that features, labels and networks of one's own must keep."""
