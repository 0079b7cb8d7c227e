"""What CLIF's opcodes compute, over the terms of `liftcheck.bits`: one statement, read by interpreter, z3 and pages."""
