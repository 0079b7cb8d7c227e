"""CLIF: the data model, the table of opcodes, well-formedness; below it the text and the meanings."""
