"""The subcommands of the command line: one module each, with `declare(parser)` and `run(args) -> exit code`.

`declare` must stay cheap (argparse only): what else a command needs is imported inside the functions that use
it, so that `liftcheck --help` and wrong usage answer at once.
"""
