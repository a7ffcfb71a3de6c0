# SPDX-License-Identifier: MIT
"""A case: one break of a log, and what it takes to meet it again, in one file. Python 3.7, nothing else."""

import argparse
import errno
import io
import os
import re
import shutil
import subprocess
import tarfile
import time

import pgabout
import pglog

VERSION = 1
DESCRIPTION, LOGS, STDIN = "case.json", "logs/", "stdin"
MOST = 1 << 28      # bytes of a file in a case that are read

# Variables that decide how a program starts, which files it finds and what it prints.
NEEDED = re.compile(r"PATH|LANG|LANGUAGE|LC_\w+|TZ|LD_LIBRARY_PATH|PYTHON(PATH|UNBUFFERED|IOENCODING)|GODEBUG|GOMAXPROCS|"
                    r"MALLOC_\w+|POSIXLY_CORRECT")
SECRET = re.compile(r"TOKEN|SECRET|PASS|PWD|CRED|AUTH|COOKIE|SESSION|SIGNATURE|PRIVATE|API_?KEY|ACCESS_?KEY|(^|_)KEY($|_)",
                    re.I)
HIDDEN = "***"

TEXT, COUNT = (str, None), (pglog.NUMBER, None)
WORD = re.compile("[^\0\ud800-\udc7f\udd00-\udfff]*")      # what the kernel takes for a word of a command
BREAK = {"program": TEXT, "comm": TEXT, "call": TEXT, "via": TEXT, "kind": TEXT, "fd": COUNT, "errno": TEXT,
         "signal": TEXT, "site": TEXT, "again": TEXT, "engine": TEXT, "stack": [str], "names": [str]}
SHAPE = {"v": range(VERSION, VERSION + 1), "break": BREAK, "command": ([WORD], None), "rules": [WORD], "seed": (WORD, None),
         "suppress": (WORD, None), "environment": {str: WORD}, "left_out": [str], "build_ids": {str: TEXT}, "stdin": bool,
         "client": (WORD, None), "ready": (WORD, None), "about": {str: TEXT}}


_NAME = re.compile("[^\0=\ud800-\udc7f\udd00-\udfff]+")


class Wrong(Exception):
    """What is the matter, in one sentence."""


# ---- the break ----

def plain_name(frame):
    """The function of a FRAME, the same from build to build; its module where it has none."""
    _, module, _, symbol = pglog.frame_parts(frame)
    return re.sub(r"\+0x[0-9a-f]+$", "", symbol) or module or frame


def describe(event):
    """EVENT as a case has it."""
    out = {name: event.get(name) for name in BREAK}
    out["stack"] = event["stack"] or []
    out["names"] = [plain_name(f) for f in out["stack"]]
    return out


def rule_of(event):
    """The rule that breaks EVENT's write again, or the first write of its place: from outside what was sent before is not
    known. None: there is none."""
    if event["again"] or event["engine"] != "outside" or not event["call"] or not event["site"]:
        return event["again"]
    return "%s:site=%s:when=1:break" % (event["call"], event["site"])


def breaks_of(paths):
    """The breaks that logs in JSON have, in their order, each with its program."""
    out = []
    for path in paths:
        programs = {}
        with pglog.open_log(path) as source:
            for event in pglog.Reader(source).dicts():
                if event["ev"] == "load":
                    programs[event["pid"]] = event["program"]
                elif event["ev"] == "epipe":
                    out.append(dict(event, program=programs.get(event["pid"])))
    return out


# ---- what it takes ----

def need_rules(command, rules):
    """That RULES are some, as COMMAND, the program pipeguard, says; where there is none, replay will."""
    if not command or not rules:
        return
    said = subprocess.run([command, "check"] + rules, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                          stderr=subprocess.PIPE)
    if said.returncode:
        text = said.stderr.decode("utf-8", "surrogateescape").strip()
        raise Wrong(text[len("pipeguard: "):] if text.startswith("pipeguard: ") else text)


def seed(text):
    if not re.fullmatch("[0-9]{1,20}", text) or int(text) >> 64:
        raise argparse.ArgumentTypeError("not a number of 64 bits: '%s'" % text)
    return text


def environment(named, every):
    """(variables, names of those that are there and were left out). NAMED are taken whatever they are called."""
    taken, left = {}, []
    for name, value in sorted(os.environ.items()):
        wanted = name in named or not SECRET.search(name) and (every or NEEDED.fullmatch(name))
        if name.startswith("PIPEGUARD_") or name in ("LD_PRELOAD", "_", "SHLVL", "PWD", "OLDPWD"):
            continue
        if wanted:
            taken[name] = value
        else:
            left.append(name)
    return taken, left


# NAME=VALUE, "Name: value", --name=value, as a word and in a line of the shell; there, --name value, too.
_NAMED = re.compile(r"(-{0,2}[A-Za-z_][\w-]*)(\s*[=:]\s*)(.*)", re.S)
_IN_LINE = [re.compile(r"(?<![\w-])(%s)([^\s\"';&|)-][^\s\"';&|)]*)" % before, re.I) for before in (
    r"-{0,2}[A-Za-z_][\w-]*\s*[=:]\s*(?:(?:bearer|basic|digest|token)\s+)?", r"--?[A-Za-z][\w-]*\s+")]
_ADDRESS = re.compile(r"(\w+://[^/@:\s]*):([^/@\s]+)@")
_USER = re.compile(r"([^:\s]+):(.+)", re.S)
_USERS = ("-u", "-U", "--user", "--proxy-user")


def is_secret(option):
    return bool(SECRET.search(option.replace("-", "_")))


def _scrubbed_line(line):
    for pattern in _IN_LINE:
        line = pattern.sub(lambda m: m.group(1) + HIDDEN if is_secret(m.group(1)) else m.group(), line)
    return line


def scrubbed(words):
    """A command without what looks like a secret: values of options, variables and headers that are called like one,
    passwords in addresses and behind users."""
    out, hide, user = [], False, False
    for word in words:
        named = _NAMED.fullmatch(word)
        if hide and not word.startswith("-"):
            word = HIDDEN
        elif named and is_secret(named.group(1)) and not re.search("[|&;()$`]", word):
            word = named.group(1) + named.group(2) + HIDDEN
        elif user and _USER.fullmatch(word):
            word = _USER.fullmatch(word).group(1) + ":" + HIDDEN
        else:
            word = _ADDRESS.sub(r"\1:" + HIDDEN + "@", word)
            word = _scrubbed_line(word) if re.search(r"\s", word) else word
        hide = bool(re.match(r"--?[A-Za-z][\w-]*$", word)) and is_secret(word)
        user = word in _USERS
        out.append(word)
    return out


def build_ids(frames, places, command):
    """Those of the modules that FRAMES name, which are looked for in PLACES, and may be that of COMMAND."""
    program = shutil.which(command[0]) if command else None
    paths = pglog.Symbols(places + ([program] if program else []))
    modules = {pglog.frame_parts(f)[1] for f in frames} - {"", "?"}
    found = {m: paths.path_of(pglog.name_of(pglog.unescaped(m))) for m in modules}
    return {m: pgabout.build_id(path) if path else None for m, path in sorted(found.items())}


# ---- the file ----

def _add(tar, name, data):
    entry = tarfile.TarInfo(name)
    entry.size, entry.mode, entry.mtime = len(data), 0o644, int(time.time())
    tar.addfile(entry, io.BytesIO(data))


def write(path, case, logs, stdin):
    """The case as a compressed archive, which is whole or not there. A device is not replaced by it."""
    if os.path.exists(path) and not os.path.isfile(path):
        raise OSError(errno.EINVAL, "it is no file", path)
    new = "%s.%d.new" % (path, os.getpid())
    try:
        with tarfile.open(new, "w:gz") as tar:
            _add(tar, DESCRIPTION, (pglog.json_text(case, indent=1) + "\n").encode())
            for n, log in enumerate(logs):
                with pglog.open_plain(log) as f:
                    _add(tar, "%s%d-%s" % (LOGS, n, re.sub(r"[^\w.-]", "_", os.path.basename(log))), f.read())
            if stdin:
                with pglog.open_plain(stdin) as f:
                    _add(tar, STDIN, f.read())
        os.replace(new, path)
    except OSError as e:
        if os.path.exists(new):
            os.unlink(new)
        raise OSError(e.errno, e.strerror, e.filename if e.filename and e.filename != new else path)


def read(path):
    """(the case, what standard input had or None). Nothing of the archive is written to a disk by its own name."""
    try:
        with pglog.open_plain(path) as raw, tarfile.open(fileobj=raw, mode="r:*") as tar:
            case, stdin = _member(tar, DESCRIPTION), _member(tar, STDIN)
    except (tarfile.TarError, EOFError, ValueError) as e:
        raise Wrong("%s: it is no case (%s)" % (path, str(e).split("\n")[0].rstrip(":")))
    try:
        case = pglog.json_value(case or b"")
    except ValueError:
        raise Wrong("%s: it is no case: no %s" % (path, DESCRIPTION))
    case = dict(dict.fromkeys(SHAPE), **case) if isinstance(case, dict) else None
    if not case or not pglog.fits(case, SHAPE) or not all(_NAME.fullmatch(name) for name in case["environment"]):
        raise Wrong("%s: its %s is damaged, or of another version" % (path, DESCRIPTION))
    if case["stdin"] and stdin is None:
        raise Wrong("%s: what standard input had is not in it, or is more than %d bytes" % (path, MOST))
    return case, stdin if case["stdin"] else None


def _member(tar, name):
    for entry in tar:
        if entry.name == name and entry.isfile() and entry.size <= MOST:
            return tar.extractfile(entry).read()
    return None


# ---- the same? ----

FACTS = (("program", "program"), ("call", "call"), ("kind", "kind of descriptor"), ("errno", "error"),
         ("signal", "what the signal did"))


def differences(case, event):
    """What is not as it was: words for a person."""
    was, now = case["break"], describe(event)
    out = ["%s: %s then, %s now" % (what, was[name], now[name]) for name, what in FACTS
           if was[name] is not None and was[name] != now[name]]
    if was["site"] != now["site"] and was["names"] != now["names"]:
        then, here = (" < ".join(names[:4]) or "unknown" for names in (was["names"], now["names"]))
        out.append("place: %s then, %s now" % (then, here))
    return out


def nearest(case, events):
    """The event that is most like the case's."""
    return min(events, key=lambda e: (e["site"] != case["break"]["site"], len(differences(case, e))))


def as_call(case):
    """'write on pipe, EPIPE'."""
    was = case["break"]
    return "%s: %s on %s, %s" % (was["program"] or was["comm"] or "?", was["call"] or "a write", was["kind"] or "an unknown object",
                                 {"fatal": "SIGPIPE killed it"}.get(was["signal"], was["errno"] or "broken"))
