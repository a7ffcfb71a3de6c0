# SPDX-License-Identifier: MIT
"""How a sweep starts programs so that their writes are seen and broken: from inside or from outside. Python 3.7."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys

ENGINES = ("inside", "outside", "both")
SEE = "see"         # the rule by which every call is logged from outside, with its stack
_SEE_RULE = SEE + "=%out,connect:stack=*:log"
# A file of endings, as shim/object/ending.c has it: how it begins, and what makes calls wait for a fault. Behind it those are
# logged that pgsites.Wanted keeps, and of broken writes those that needed() does: inside/witness.c knows which.
_RING, _AWAITS_AT, _AWAITS = b"pipeguard endings 6\0", 104, (0x6669726500000001).to_bytes(8, sys.byteorder)


def _here():
    """Where the verbs are, by the name under which this one was started: what a link is called may have no blank."""
    real = os.path.dirname(os.path.dirname(os.path.realpath(__file__)))
    said = os.path.dirname(os.path.abspath(sys.argv[0]))
    return said if os.path.realpath(said) == real else real


_HERE = _here()


def find_library(path=None):
    """libpipeguard.so, as the loader can take it: PATH, or what lies beside this. A LookupError says why there is none."""
    for path in [path] if path else [os.path.join(_HERE, *p) for p in (
            ("..", "build", "libpipeguard.so"), ("..", "libpipeguard.so"), ("libpipeguard.so",),
            ("..", "lib", "libpipeguard.so"))]:
        if os.path.isfile(path):
            path = os.path.abspath(path)
            return _link_to(path) if re.search(r"[\s:]", path) else path
    raise LookupError("libpipeguard.so was not found: run make, or make install")


def _link_to(path):
    """Another name of PATH, which the loader would split: the one that the command makes for `run`."""
    command = find_command(path)
    env = {k: v for k, v in os.environ.items() if k != "LD_PRELOAD" and not k.startswith("PIPEGUARD")}
    said = command and subprocess.run([command, "env"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=env).stdout
    for word in shlex.split(os.fsdecode(said or b"")):
        key, _, link = word.partition("=")
        if key == "LD_PRELOAD" and os.path.realpath(link) == os.path.realpath(path):
            return link
    raise LookupError("the loader splits LD_PRELOAD at blanks and colons: '%s'" % path)


def find_command(library):
    """The program pipeguard that belongs to LIBRARY; None where there is only the library."""
    for path in (os.path.join(os.path.dirname(library), "pipeguard"), os.path.join(_HERE, "..", "build", "pipeguard"),
                 os.path.join(_HERE, "pipeguard"), os.path.join(_HERE, "..", "..", "bin", "pipeguard"),
                 os.path.join(os.path.dirname(library), "..", "bin", "pipeguard"), shutil.which("pipeguard")):
        if path and os.path.isfile(path) and os.access(path, os.X_OK):
            return os.path.abspath(path)
    return None


class Engine:
    def __init__(self, library, name=None):
        self.library, self.command, self.name = library, find_command(library), name
        self.known = {}
        self.ring = None        # a file of endings without any

    @property
    def outside(self):
        return self.name in ("outside", "both")

    def choose(self, program):
        """The engine for PROGRAM, a path, as pipeguard run would choose; returns why there is none, or None."""
        if self.name or not self.command or not program:
            self.name = self.name or "inside"
            return None
        said = self._ask(["doctor", "-j", program])
        try:
            said = json.loads(said.stdout.decode("utf-8", "surrogateescape"))
        except ValueError:
            said = {}
        self.name = "outside" if said.get("engine") == "outside" else "inside"
        return said.get("why") if said.get("reached") == "no" else None

    def _ask(self, words):
        env = {k: v for k, v in os.environ.items() if not k.startswith("PIPEGUARD_") and k != "LD_PRELOAD"}
        return subprocess.run([self.command] + words, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                              stderr=subprocess.PIPE, timeout=60)

    def why_not(self, rule):
        """Why RULE is refused; None where it is right, or nobody knows."""
        if not self.command:
            return None
        if rule not in self.known:
            done = self._ask(["check", rule])
            text = done.stderr.decode("utf-8", "replace").strip().split("\n")[0]
            text = re.sub(r"^(pipeguard: )?.*?\bcolumn \d+: ", "", text)
            self.known[rule] = text if done.returncode else None
        return self.known[rule]

    def words(self, argv):
        """ARGV, with what starts it."""
        return [self.command, "run", "--" + self.name, "--"] + argv if self.outside else argv

    def endings(self, path, awaits=False):
        """A new file at PATH, in which a program's processes share who let go of what: PATH, or None. AWAITS: no call is
        logged before a rule fired. From outside, run makes it."""
        if self.outside or not self.command:
            return None
        self.prepare()
        ring = self.ring
        if awaits and ring.startswith(_RING):
            ring = ring[:_AWAITS_AT] + _AWAITS + ring[_AWAITS_AT + len(_AWAITS):]
        try:
            with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb") as file:
                file.write(ring)
        except OSError:
            return None
        return path if ring else None

    def prepare(self):
        """Asks once what is the same for each run: who forks for runs does so before."""
        if self.ring is None and self.command and not self.outside:
            self.ring = self._ask(["run", "-o", "off", "--", "sh", "-c", 'exec cat "$PIPEGUARD_ENDINGS"']).stdout

    def variables(self, rules, control=None, endings=None):
        """What is set for the program alone, with RULES."""
        if self.outside:
            rules = rules + [_SEE_RULE]
        env = {"PIPEGUARD_FORMAT": "json", "PIPEGUARD_VERBOSE": "2", "PIPEGUARD_STACK": "12"}
        if not self.outside:
            env["LD_PRELOAD"] = self.library + (":" + os.environ["LD_PRELOAD"] if os.environ.get("LD_PRELOAD") else "")
        if rules:
            env["PIPEGUARD_RULES"] = ";".join(rules)
        if control:
            env["PIPEGUARD_CONTROL"] = control
        elif endings:
            env["PIPEGUARD_ENDINGS"] = endings
        return env

    def arm(self, control, rule):
        """Adds RULE to programs that run with the page CONTROL; returns what was wrong, or None."""
        done = self._ask(["ctl", control, "add", rule])
        return done.stderr.decode("utf-8", "replace").strip() if done.returncode else None
