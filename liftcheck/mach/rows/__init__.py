"""One row a machine instruction: encoding, operands, meaning; and everything that is derived from it.

The one idea: an ISA is a table of rows (`isa/<isa>/insts/`, by the manual's chapters), and this package is the engine
that knows no ISA: `encoding` (words of fixed fields), `opcodes` (bytes with prefixes), `kinds` (operands), `syntax`
(assembler text), `row`, `machine` (what a meaning may read and write), `table` (decode, encode, text, lift),
`evaluate` (run). docs/machine-rows.md says how a row is written.
"""
