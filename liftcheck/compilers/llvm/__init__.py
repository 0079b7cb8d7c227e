"""LLVM as a compiler under test, through llvmlite: CLIF said in LLVM's IR where that says exactly the same."""
