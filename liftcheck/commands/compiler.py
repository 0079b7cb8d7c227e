"""Lists, adds and removes compilers under test.

  liftcheck compiler list
  liftcheck compiler add cranelift@0.130.0        a published version, 0.95 to 0.137; cranelift@0.130 is its
                                                  newest patch, cranelift@latest the newest that cargo here builds
  liftcheck compiler add cranelift=PATH           a wasmtime checkout, or a folder with just a modified
                                                  cranelift-codegen crate (the rest comes from the registry)
  liftcheck compiler remove cranelift@0.130.0

`add` builds with cargo (about three minutes) and says how long it took; builds are cached in the user's cache folder.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING, Final

from liftcheck.commands import options, output
from liftcheck.errors import Unavailable, UsageError

if TYPE_CHECKING:
    from liftcheck.compilers.cranelift.builds import Build

ACTIONS: Final = ("list", "add", "remove")


def declare(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("action", metavar="ACTION", help="list, add or remove")
    parser.add_argument(
        "compilers",
        nargs="*",
        metavar="COMPILER",
        help="cranelift@VERSION, or cranelift=PATH for sources on this machine",
    )
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    """Does one action for each compiler named."""
    if args.action not in ACTIONS:
        raise UsageError(
            f"liftcheck compiler: unknown action '{args.action}'"
            f"{options.near_miss(args.action, ACTIONS)} (there are: {', '.join(ACTIONS)})"
        )
    if args.action == "list":
        return _list(args)
    if not args.compilers:
        raise UsageError(f"liftcheck compiler {args.action}: which compiler? Say cranelift@VERSION or cranelift=PATH")
    return _add(args) if args.action == "add" else _remove(args)


def _list(args: argparse.Namespace) -> int:
    from liftcheck.compilers.cranelift import builds
    from liftcheck.compilers.registry import names

    built = builds.listed()
    if args.json:
        output.print_json(
            "compiler list",
            {
                "built": [_document(build) for build in built],
                "available": builds.available(),
                **_meaning(),
                "names": names(),
                "folder": str(builds.cache()),
            },
        )
        return 0
    for build in built:
        print(f"{build.name:<40} {build.version:<10} built in {build.seconds:.0f} s, {build.size / 1e6:.0f} MB")
    if not built:
        print("nothing is built yet; the first use builds the newest Cranelift")
    known = {build.version for build in built if build.profile == builds.FUZZ}
    others = [version for version in builds.available() if version not in known]
    print(f"can be added: {', '.join(others)}; other published versions from 0.95 on are tried")
    print("cranelift means {default}: {why}".format(**_meaning()))
    plugins = [name for name in names() if name != "cranelift"]
    if plugins:
        print(f"from other packages: {', '.join(plugins)}")
    return 0


def _meaning() -> dict[str, str]:
    """What plain 'cranelift' means, and why."""
    from liftcheck.compilers.cranelift import builds

    try:
        return {"default": f"cranelift@{builds.newest()}", "why": builds.why_newest()}
    except Unavailable as error:
        return {"default": "nothing here", "why": str(error)}


def _add(args: argparse.Namespace) -> int:
    from liftcheck.compilers.cranelift import builds

    done = []
    for spec in args.compilers:
        there = builds.find(spec)
        build = there or builds.add(spec)
        done.append(build)
        if there is not None and not args.json:
            print(f"{build.spec} is already built (Cranelift {build.version})")
        elif not args.json:
            print(f"{build.spec} is ready: Cranelift {build.version}, built in {build.seconds:.0f} s")
    if args.json:
        output.print_json("compiler add", {"built": [_document(build) for build in done]})
    return 0


def _remove(args: argparse.Namespace) -> int:
    from liftcheck.compilers.cranelift import builds

    gone = [build for spec in args.compilers for build in builds.remove(spec)]
    if args.json:
        output.print_json("compiler remove", {"removed": [_document(build) for build in gone]})
    else:
        print("\n".join(f"removed {build.name}" for build in gone))
    return 0


def _document(build: Build) -> dict[str, object]:
    return {
        "name": build.spec,
        "version": build.version,
        "profile": build.profile,
        "seconds": build.seconds,
        "rustc": build.rustc,
        "folder": str(build.folder),
    }
