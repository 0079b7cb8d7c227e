"""Says what this machine can do: packages, cargo, runners and what each lacks, Cranelift versions built, disk space.

Each gap comes with the command that closes it. Exit code 0 if the main job (fuzzing and testing) can run, else 3.
"""

from __future__ import annotations

import argparse
import shutil

from liftcheck.commands import options, output


def declare(parser: argparse.ArgumentParser) -> None:
    options.add_json(parser)


def run(args: argparse.Namespace) -> int:
    from liftcheck import doctor

    report = doctor.examine()
    if args.json:
        output.print_json("doctor", report.as_json())
    else:
        print(report.as_text(min(110, shutil.get_terminal_size((100, 24)).columns)))
    return 0 if report.usable else 3
