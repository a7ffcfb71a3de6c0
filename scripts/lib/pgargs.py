# SPDX-License-Identifier: MIT
"""Command lines of report and sweep: one line and status 125 for what is wrong, as pipeguard itself has it."""

import argparse
import difflib
import errno
import itertools
import os
import re
import sys

from pglog import say

WRONG_USE = 125
_UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "": 1.0}


class _Once(argparse.Action):
    """An option with a value: given twice, with the same one."""

    def __call__(self, parser, namespace, values, option_string=None):
        given = parser.given.setdefault(self.dest, values)
        if given != values:
            parser.error("%s: given twice, choose one" % option_string)
        setattr(namespace, self.dest, values)


class Parser(argparse.ArgumentParser):
    def __init__(self, *args, **named):
        self.given = {}
        super().__init__(*args, **named)
        self.register("action", None, _Once)
        self.register("action", "store", _Once)

    def _print_message(self, message, file=None):
        """Of --help; who cannot write it says so, in every version of argparse."""
        file = file or sys.stdout
        file.write(message)
        file.flush()

    def _unknown(self, message):
        """The option that is not one of ours, where MESSAGE is of it or of what may be missing for its sake; or None."""
        told = re.match(r"unrecognized arguments: (-\S*)", message)
        if told:
            return told.group(1).split("=")[0]
        if not message.startswith("the following arguments are required"):
            return None
        words = itertools.takewhile(lambda word: word != "--", sys.argv[1:])
        names = [word.split("=")[0] for word in words if word.startswith("--")]
        return next((name for name in names if name not in self._option_string_actions), None)

    def error(self, message):
        word = self._unknown(message)
        if word:
            near = difflib.get_close_matches(word, self._option_string_actions, 1)
            message = "unknown option '%s'%s" % (word, " (did you mean '%s'?)" % near[0] if near else " (see --help)")
        say("%s: %s" % (self.prog, message), sys.stderr)
        sys.exit(WRONG_USE)


def need_apart(written, read=()):
    """An OSError where one of the files WRITTEN, those that are asked for, is another one, or one that is READ."""
    seen = []
    for path in filter(None, written):
        if path == "-" or os.path.exists(path) and not os.path.isfile(path):
            continue
        for others, why in (seen, "two results cannot have one file"), (read, "it is read: a result would take its place"):
            if any(_is_same(path, other) for other in others):
                raise OSError(errno.EINVAL, why, path)
        seen.append(path)


def _is_same(a, b):
    try:
        return os.path.samefile(a, b)
    except OSError:
        return os.path.abspath(a) == os.path.abspath(b)


def duration(text):
    """Seconds of "2s", "500ms", "1.5m", or of a plain number; more than none."""
    m = re.fullmatch(r"([0-9]+(?:\.[0-9]{1,9})?)(us|ms|s|m|)", text)
    if not m or not float(m.group(1)):
        raise argparse.ArgumentTypeError("not a duration (2s, 500ms, 1m): '%s'" % text)
    if float(m.group(1)) * _UNITS[m.group(2)] > 1e6:
        raise argparse.ArgumentTypeError("a duration of more than 1000000s: '%s'" % text)
    return float(m.group(1)) * _UNITS[m.group(2)]


def count(text):
    """A number of "20", "4k", "1M", "1MiB", as in rules."""
    m = re.fullmatch(r"([0-9]{1,18})(?:([kKmM])(?:iB)?)?", text)
    if not m:
        raise argparse.ArgumentTypeError("not a number (20, 4k): '%s'" % text)
    return int(m.group(1)) << {"k": 10, "m": 20}.get((m.group(2) or "").lower(), 0)
