"""Lists, adds and removes compilers under test.

  liftcheck compiler list
  liftcheck compiler add cranelift@0.130.0        a published version
  liftcheck compiler add cranelift=PATH           a wasmtime checkout, or a folder with just a modified
                                                  cranelift-codegen crate (the rest comes from the registry)
  liftcheck compiler remove cranelift@0.130.0

`add` builds with cargo (about two minutes) and says how long it took; builds are cached in the user's cache folder.
"""

from __future__ import annotations

import argparse

from liftcheck.commands import options

ACTIONS = ("list", "add", "remove")


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", metavar="ACTION", help="list, add or remove")
    parser.add_argument("compilers", nargs="*", metavar="COMPILER",
                        help="cranelift@VERSION, or cranelift=PATH for sources on this machine")
    options.add_json(parser)
