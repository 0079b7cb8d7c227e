"""Machine code and the programs that it was compiled from as terms: entry and exit, calls, values."""
