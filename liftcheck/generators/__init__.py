"""Random programs that are well-formed and end, by construction, and the inputs to run them on. See
docs/generator.md."""
