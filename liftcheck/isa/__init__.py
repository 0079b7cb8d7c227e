"""What differs between ISAs: one package each, with its instructions' tables, and the conventions' registers."""
