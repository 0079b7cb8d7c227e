"""Who does the work: disposable processes, their supervision, and the share of time that reductions get."""
