"""Machine code as terms against what it was compiled from: entry and exit by the signature, values of lifted code."""
