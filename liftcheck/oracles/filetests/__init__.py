"""The engine of `liftcheck test`: files into units, each unit judged as upstream means it, and the account of all."""
