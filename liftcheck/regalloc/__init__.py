"""Register allocation as data: what went into an allocator and what came out. It is judged in `oracles.regalloc`."""
