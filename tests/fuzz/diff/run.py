#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""
The differential fuzzer: runs the program natively and under the library, and compares.

Each seed is run natively twice (a sequence that is not the same both times is dropped and counted)
and once in each setting; what the program observes must be equal, and the log must be true
(judge.py). What differs is listed by its kind, each with a seed, the fewest steps that show it and
a command that repeats it. Exits 1 if anything differs without a reason, 2 for wrong use.
"""
import argparse
import collections
import difflib
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time

from judge import Judge
from story import Story

BATCH = 50
STEPS = 49

MATCH_NOTHING = ("%in:port=1:garbage;%out:port=1:short=1;%out:kind=tcp:port=1:reset;"
                 "%out:port=1:error=EIO;%in:port=1:eof;connect:port=1:refuse;"
                 "accept:port=1:error=EMFILE")
WAIT = ("%out:when=1000000000:error=EIO;%in:when=1000000000:garbage;%in:when=1000000000:error=EIO;"
        "connect:when=1000000000:refuse;accept:when=1000000000:error=EMFILE;"
        "%out:scope=fd:when=1000000000:break;%in:scope=thread:when=1000000000:eof;"
        "%out:at=1000000000000:break;%in:at=1000000000000:eof;"
        "%out:caller=nosuchmodule:drop;%out:stack=nosuchsymbol:short=1;%in:stack=nosuchsymbol:short=1;"
        "%in:len=1000000007:garbage=3;%out:len=1000000007:short=1;%out:site=0123456789abcdef:break")
JSON = {"PIPEGUARD_FORMAT": "json"}

# Where bytes are counted, the engine outside moves some of them itself, and writes what comes before an at= of its own.
OUTSIDE_WAIT = ";".join(rule for rule in WAIT.split(";") if not re.search(":at=|:garbage", rule))

# Name, variables, is the log read, is it verbose; is it the engine outside.
SETTINGS = [
    ("idle", {}, False, False),
    ("verbose", {"PIPEGUARD_VERBOSE": "1", **JSON}, True, True),
    ("all", {"PIPEGUARD_VERBOSE": "2", **JSON}, True, True),
    ("no-match", {"PIPEGUARD_RULES": MATCH_NOTHING, **JSON}, True, False),
    ("waits", {"PIPEGUARD_RULES": WAIT, **JSON}, True, False),
    ("log-rule", {"PIPEGUARD_RULES": "%out,%in,connect,accept:log", **JSON}, True, False),
    ("off", {"PIPEGUARD_LOG": "off", "PIPEGUARD_VERBOSE": "2"}, False, False),
    ("no-stack", {"PIPEGUARD_STACK": "0", "PIPEGUARD_VERBOSE": "1", **JSON}, True, True),
    ("deep-stack", {"PIPEGUARD_STACK": "32", "PIPEGUARD_VERBOSE": "1", **JSON}, True, True),
    ("outside", {}, False, False, True),
    ("outside-waits", {"PIPEGUARD_RULES": OUTSIDE_WAIT}, False, False, True),
]

# Differences that are right: name, setting ("" is any), pattern of the kind, reason.
ALLOWED = [
    # Natively the signal of a later message is raised, too; only its call is not told.
    ("a later message that broke", "log-rule",
     r"^log: epipe where nothing broke: (raw|sendmmsg), short on (tcp|unix)", ""),
    # What a FILE holds is written later, perhaps under another disposition or mask than at the call that is judged.
    ("a flush later on", "", r"^log: stdio on \w+: signal is (caught|ignored|blocked)", ""),
    # connect(AF_UNSPEC) in a child takes the parent's connection away, too; the parent's log says what that was.
    # A write that was cut short while a SIGPIPE that the program sent itself waits: the two are one (signal(7)).
    ("a SIGPIPE that waited", "", r"^log: epipe where nothing broke: \w+, short on pipe, signal blocked", ""),
    # Of a wide FILE that cannot be flushed, glibc's exit() writes once more when its last flush is over.
    ("a second flush at exit", "",
     r"^log: (a broken write after the exit line|the exit line counts fewer broken writes)", ""),
    # What was sent is counted for the connection, and connect(AF_UNSPEC) ended that.
    ("an ended connection", "", r"^log: tcp: sent is 0, not None/other", ""),
    ("ended in a child", "", r"^log: tcp: (peer|age_ms|side) is other, not None", ""),
    # prctl(PR_GET_SECCOMP) tells of the filter that rules from outside need, beside which no strict mode can be asked for.
    ("a filter stands", "outside-waits",
     r"^observed: (prctl: prctl N: N - \| prctl N: N -|confined: N (-|E[A-Z]+) \| child: exit N)$", ""),
]

# recvmmsg(2) that moved some messages keeps the error of the next one for the socket's next call. Messages on which
# a rule acts go one by one: then nothing keeps it, and libpipeguard(7) says so.
PARTIAL = re.compile(r"\brecvmmsg\(\d+, (\d+) messages.* = (\d+) ")
KEPT = re.compile(r"EFAULT|EINVAL|EMSGSIZE|error (14|22|90)|[ :]0x[89a-f]\b|[ :]0x1[89a-f]\b")


def keeps_error(said):
    """Does a recvmmsg in SAID move a part of its messages?"""
    return any(int(m[1]) > int(m[2]) > 0 for m in map(PARTIAL.search, said) if m)


class Setting:
    def __init__(self, name, variables, logged, verbose, outside=False):
        self.name, self.variables, self.logged, self.verbose = name, variables, logged, verbose
        self.outside = outside


class Runner:
    """Runs the program in a folder of its own."""

    def __init__(self, options):
        self.program, self.library = options.program, options.library
        self.pipeguard = os.path.join(os.path.dirname(options.library), "pipeguard")
        self.folder = tempfile.mkdtemp(prefix="pipeguard-diff.")
        self.work = os.path.join(self.folder, "work")
        self.log = os.path.join(self.folder, "log")
        self.errors = os.path.join(self.folder, "errors")
        os.mkdir(self.work)
        self.classes = options.classes_arguments

    def command(self, setting, seed, count, state, steps):
        words = [self.program, *self.classes]
        if setting and setting.outside:
            words[:0] = [self.pipeguard, "run", "--outside", "--"]
        if state != "default":
            words += ["-s", state]
        if steps is not None:
            words += ["-o", ",".join(map(str, steps))]
        return words + ["-d", self.work, str(seed), str(count)]

    def environment(self, setting):
        variables = {k: v for k, v in os.environ.items()
                     if k != "LD_PRELOAD" and not k.startswith("PIPEGUARD_")}
        variables["LC_ALL"] = "C"
        if setting:
            if not setting.outside:
                variables["LD_PRELOAD"] = self.library
            if setting.logged or setting.outside:
                variables["PIPEGUARD_LOG"] = self.log
            variables.update(setting.variables)
        return variables

    def run(self, setting, seed, count, state, steps=None):
        """What each seed's sequence said: {seed: (said, facts)}; the log; how the program ended."""
        if os.path.exists(self.log):
            os.unlink(self.log)
        with open(self.errors, "wb") as errors:
            done = subprocess.run(
                self.command(setting, seed, count, state, steps), stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE, stderr=errors, env=self.environment(setting),
                restore_signals=True, timeout=60 + 10 * count, check=False)
        log = b""
        if os.path.exists(self.log):
            with open(self.log, "rb") as f:
                log = f.read()
        return self.read(done.stdout.decode("latin-1")), log, done.returncode

    def read(self, output):
        seeds, uses = {}, {}
        for part in output.split("== ")[1:]:
            head, _, rest = part.partition("\n")
            word, _, value = head.partition(" ")
            if word == "seed":
                lines = rest.split("\n")
                seeds[int(value)] = ([x for x in lines if not x.startswith("!")],
                                     [x[1:] for x in lines if x.startswith("!")])
            elif word == "uses":
                uses = dict((k, int(n)) for k, n in (x.split("=") for x in value.split()))
        return Output(seeds, uses)

    def stop(self):
        shutil.rmtree(self.folder, ignore_errors=True)


class Output:
    def __init__(self, seeds, uses):
        self.seeds, self.uses = seeds, uses

    def said(self, seed):
        found = self.seeds.get(seed)
        return found[0] if found else None


def plain(line):
    """A line without the numbers that chance chose."""
    return re.sub(r"-?\b(0x)?[0-9a-f]*\d[0-9a-f]*\b", "N", line)


def first_difference(native, other):
    """Which operation the first line that differs belongs to, and both lines."""
    operation = "start"
    if other is None:
        return "the program", "", "nothing: it ended before"
    for mine, theirs in zip(native + ["(end)"], other + ["(end)"]):
        found = re.match(r"\d+: (\S+)", mine)
        if mine != theirs:
            return operation, mine, theirs
        if found:
            operation = found.group(1)
    return operation, "", ""


def kind_of_difference(native, other):
    operation, mine, theirs = first_difference(native, other)
    if not mine and not theirs:
        return None
    if "killed by" in theirs:
        return f"{operation}: {theirs.strip()}"
    return f"{operation}: {plain(mine.strip())} | {plain(theirs.strip())}"


class Finding:
    def __init__(self, kind):
        self.kind = kind
        self.seen = []  # seed, state, setting
        self.detail = ""
        self.steps = None

    def settings(self):
        return ",".join(s.name for s in SET if any(x[2] is s for x in self.seen))


SET = [Setting(*s) for s in SETTINGS]


class Fuzzer:
    def __init__(self, options):
        self.options = options
        self.runner = Runner(options)
        self.settings = [s for s in SET if s.name in options.settings]
        self.findings = {}
        self.allowed = collections.Counter()
        self.uses = collections.Counter()
        self.unstable, self.hung, self.passing = [], [], []
        self.runs = self.told = self.expected = 0
        self.rules_seen = set()
        self.began = time.monotonic()

    def state_of(self, batch):
        states = ("default", "default", "default", "ignored", "blocked")
        return self.options.state or states[batch % len(states)]

    def note(self, kind, seed, state, setting, detail=""):
        for name, where, pattern, _ in ALLOWED + self.options.ignored:
            if where in ("", setting.name) and re.search(pattern, kind):
                self.allowed[name] += 1
                return
        found = self.findings.setdefault(kind, Finding(kind))
        found.seen.append((seed, state, setting))
        found.detail = found.detail or detail

    # ---- one batch ----

    def stable(self, first, second):
        """Seeds whose sequence says the same twice."""
        good = []
        for seed, (said, _) in first.seeds.items():
            if "hung" in said:
                self.hung.append(seed)
            elif second.said(seed) != said:
                self.unstable.append(seed)
            else:
                good.append(seed)
        return good

    def batch(self, number, seed, count):
        state = self.state_of(number)
        native, _, _ = self.runner.run(None, seed, count, state)
        again, _, _ = self.runner.run(None, seed, count, state)
        good = self.stable(native, again)
        self.uses.update(native.uses)
        self.runs += count
        for setting in self.settings:
            self.compare(setting, native, good, seed, count, state)

    def compare(self, setting, native, good, seed, count, state):
        output, log, status = self.runner.run(setting, seed, count, state)
        if status:
            self.note(f"the program ended with {status}", seed, state, setting)
        for one in good:
            self.compare_one(setting, native, output, one, state)
        if setting.logged:
            self.look_at_log(setting, output, good, log, seed, state)

    def compare_one(self, setting, native, output, seed, state):
        mine, theirs = native.said(seed), output.said(seed)
        kind = kind_of_difference(mine, theirs)
        if not kind:
            return
        if self.repeats(setting, seed, state, mine):
            _, a, b = first_difference(mine, theirs)
            if setting.name in ("log-rule", "no-match", "waits") and keeps_error(mine) and KEPT.search(a):
                self.allowed["recvmmsg's kept error"] += 1
                return
            self.note("observed: " + kind, seed, state, setting, f"{a}\n      {b}")
        else:
            self.passing.append((seed, setting.name))

    def repeats(self, setting, seed, state, native):
        """Is it the library, not a busy machine? Native stays the same, and it differs each time."""
        for _ in range(3):
            if self.runner.run(None, seed, 1, state)[0].said(seed) != native or \
                    self.runner.run(setting, seed, 1, state)[0].said(seed) == native:
                return False
        return True

    def look_at_log(self, setting, output, good, log, seed, state):
        wanted = set(good)
        stories = [Story(s, facts) for s, (_, facts) in output.seeds.items() if s in wanted]
        judge = Judge(stories, log, setting.verbose)
        self.told += judge.told
        self.expected += judge.expected
        for found, text, detail in judge.complaints:
            self.note("log: " + text, found or seed, state, setting, detail)
        self.check_again(judge, setting, state)

    def check_again(self, judge, setting, state):
        """The rule that an event says breaks it again is one, at least in form."""
        for pid, events in judge.events.items():
            for again in (e.get("again") for e in events):
                shape = plain(again) if isinstance(again, str) else None
                if not shape or shape in self.rules_seen or not os.path.exists(self.runner.pipeguard):
                    continue
                self.rules_seen.add(shape)
                done = subprocess.run([self.runner.pipeguard, "check", again], capture_output=True,
                                      check=False)
                if done.returncode:
                    self.note("log: again is no rule", judge.seed_of(pid), state, setting, again)

    # ---- the fewest steps that show it ----

    def shows(self, finding, steps):
        seed, state, setting = finding.seen[0]
        native, _, _ = self.runner.run(None, seed, 1, state, steps)
        output, log, status = self.runner.run(setting, seed, 1, state, steps)
        if seed not in native.seeds:
            return False
        if finding.kind.startswith("log: "):
            if seed not in output.seeds:
                return False
            judge = Judge([Story(seed, output.seeds[seed][1])], log, setting.verbose)
            return finding.kind in ("log: " + text for _, text, _ in judge.complaints)
        kind = kind_of_difference(native.said(seed), output.said(seed))
        return "observed: " + str(kind) == finding.kind or (
            status and finding.kind == f"the program ended with {status}")

    def shrink(self, finding):
        steps = list(range(STEPS))
        if not self.shows(finding, steps):
            return
        for size in (16, 8, 4, 2, 1):
            at = len(steps)
            while at > 0:
                less = steps[:max(0, at - size)] + steps[at:]
                if self.shows(finding, less):
                    steps = less
                at -= size
        finding.steps = steps

    # ---- the report ----

    def repeat(self, finding):
        seed, state, setting = finding.seen[0]
        words = ["tests/fuzz/diff/run.py", "--seed", str(seed), "--settings", setting.name,
                 "--state", state]
        if finding.steps is not None:
            words += ["--steps", ",".join(map(str, finding.steps))]
        words += self.options.classes_arguments_long
        return shlex.join(words + [self.options.program, self.options.library])

    def print_finding(self, finding):
        seeds = sorted({s for s, _, _ in finding.seen})
        print(f"\n{finding.kind}")
        print(f"    {len(finding.seen)} times in {finding.settings()}; seeds "
              + " ".join(map(str, seeds[:5])) + (" ..." if len(seeds) > 5 else ""))
        if finding.detail:
            print("      " + finding.detail)
        print("    " + self.repeat(finding))

    def report(self):
        took = time.monotonic() - self.began
        found = sorted(self.findings.values(), key=lambda f: -len(f.seen))
        for finding in found[:self.options.most]:
            if self.options.shrink:
                self.shrink(finding)
            self.print_finding(finding)
        print(f"\ndiff: {self.runs} sequences in {took:.0f} s, natively and in "
              f"{len(self.settings)} settings: {len(found)} kinds of difference")
        print(f"diff: {len(self.unstable)} dropped as not the same twice natively, {len(self.hung)} "
              f"hung, {len(self.passing)} differed once and not again")
        print(f"diff: {self.expected} broken writes had to be told, {self.told} were; allowed: "
              + (", ".join(f"{n} {k}" for k, n in self.allowed.items()) or "none"))
        if self.options.uses:
            print("diff: calls " + " ".join(f"{k}={n}" for k, n in sorted(self.uses.items())))
            print("diff: never called: " + (" ".join(self.never_called()) or "none"))
        return 1 if found else 0

    def never_called(self):
        """Of the calls that the library interposes."""
        table = os.path.join(os.path.dirname(__file__), "../../../shim/calls.def")
        with open(table, encoding="ascii") as f:
            calls = re.findall(r"^CALL\((\w+),", f.read(), re.M)
        made = set(self.uses) | {"syscall" for use in self.uses if use.startswith("syscall-")}
        return [c for c in calls if c not in made and c != "bsd_signal"]  # for old programs alone

    def run(self):
        options, number = self.options, 0
        seed = options.seed
        while self.runs < options.runs and time.monotonic() - self.began < options.seconds:
            count = min(BATCH, options.runs - self.runs)
            self.batch(number, seed, count)
            number += 1
            seed += count
        return self.report()

    def run_once(self):
        """One seed, perhaps only some steps of it: what was said, and the log."""
        options, state = self.options, self.options.state or "default"
        native, _, _ = self.runner.run(None, options.seed, 1, state, options.steps)
        for setting in self.settings:
            output, log, status = self.runner.run(setting, options.seed, 1, state, options.steps)
            self.show(setting, native, output, log, status)
            if setting.logged and options.seed in output.seeds:
                story = Story(options.seed, output.seeds[options.seed][1])
                for _, text, detail in Judge([story], log, setting.verbose).complaints:
                    self.note("log: " + text, options.seed, state, setting)
                    print(f"log: {text}\n     {detail}")
        return 1 if self.findings else 0

    def show(self, setting, native, output, log, status):
        seed = self.options.seed
        mine, theirs = native.said(seed), output.said(seed) or []
        sides = "" if mine == theirs else f" (-) and in {setting.name} (+)"
        print(f"--- natively{sides}, ended with {status}")
        for line in difflib.ndiff(mine, theirs):
            if not line.startswith("?"):
                print(line)
        kind = kind_of_difference(mine, output.said(seed))
        if kind:
            self.note("observed: " + kind, seed, self.options.state, setting)
        print("--- the log")
        print(log.decode("latin-1"))


def bounds():
    return int(os.environ.get("FUZZ_RUNS", 2000)), int(os.environ.get("FUZZ_SECONDS", 60))


def arguments():
    runs, seconds = bounds()
    p = argparse.ArgumentParser(description=__doc__.strip().split("\n", maxsplit=1)[0])
    p.add_argument("program")
    p.add_argument("library")
    p.add_argument("--seed", type=int, default=1, help="the first one")
    p.add_argument("--runs", type=int, default=runs)
    p.add_argument("--seconds", type=int, default=seconds)
    p.add_argument("--classes", help="only these classes of operations")
    p.add_argument("--without", help="all classes but these")
    p.add_argument("--settings", default=",".join(s.name for s in SET if not s.outside),
                   help="of " + " ".join(s.name for s in SET) + "; all that are inside")
    p.add_argument("--state", choices=("default", "ignored", "blocked"), help="SIGPIPE's, inherited")
    p.add_argument("--steps", type=lambda s: [int(x) for x in s.split(",") if x],
                   help="one seed, only these steps: shows all that was said")
    p.add_argument("--show", action="store_true", help="one seed: shows all that was said")
    p.add_argument("--shrink", action="store_true", help="look for the fewest steps")
    p.add_argument("--ignore", action="append", default=[], metavar="PATTERN",
                   help="kinds that are known, and not to be told")
    p.add_argument("--most", type=int, default=60, help="kinds to print")
    p.add_argument("--uses", action="store_true", help="how often each call was made")
    options = p.parse_args()
    options.settings = options.settings.split(",")
    options.ignored = [("ignored", "", pattern, "") for pattern in options.ignore]
    if set(options.settings) - {s.name for s in SET}:
        p.error("settings are " + ", ".join(s.name for s in SET))
    options.program, options.library = map(os.path.abspath, (options.program, options.library))
    chosen = [("-c", "--classes", options.classes), ("-x", "--without", options.without)]
    options.classes_arguments = [w for short, _, v in chosen if v for w in (short, v)]
    options.classes_arguments_long = [w for _, long, v in chosen if v for w in (long, v)]
    return options


def main():
    options = arguments()
    fuzzer = Fuzzer(options)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(2))
    try:
        if options.steps is not None or options.show:
            return fuzzer.run_once()
        return fuzzer.run()
    finally:
        fuzzer.runner.stop()


if __name__ == "__main__":
    sys.exit(main())
