"""Terms over bit-vectors and IEEE floats, and what is derived from them: Python, z3, text."""
