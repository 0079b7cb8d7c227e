"""The mid-end: a function made better, in CLIF. `optimize.optimize` is the door."""
