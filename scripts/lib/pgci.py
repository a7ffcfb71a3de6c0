# SPDX-License-Identifier: MIT
"""Findings in the forms that others read: JUnit's XML, SARIF 2.1.0, workflow commands, Prometheus' text. Python 3.7."""

import functools
import hashlib
import os
import re
import sys
import urllib.parse
from xml.sax.saxutils import escape, quoteattr

import pglog
from pglog import say

SARIF_VERSION = "2.1.0"
INFORMATION = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"


class Finding:
    """One thing that was found, or was looked for in vain: RULE, its kind, a word; NAME, what was tried where; MESSAGE;
    STACK, pairs of a place and 'file.c:12' or None, the place first; KEY, the same from build to build. FAILED: it is a
    reason to fail; KNOWN: it would be, but is accepted; SKIPPED: nothing was found out."""

    def __init__(self, rule, name, message, **more):
        self.rule, self.name, self.message = rule, name, message
        self.group, self.stack, self.key, self.text = "", [], name, ""
        self.level, self.seconds = "warning", 0.0
        self.failed = self.known = self.skipped = False
        self.__dict__.update(more)

    def place(self):
        """The frame to show, as in STACK: the first with a line of the sources that are here; else with a source line."""
        lined = [pair for pair in self.stack if split(pair[1])]
        return next((pair for pair in lined if is_here(split(pair[1])[0])), None) or (lined or self.stack or [(self.name, None)])[0]

    def line(self):
        """(file, number) of that; None."""
        return split(self.place()[1])


def split(line):
    """(file, number) of 'file.c:12'; None of what is no line."""
    m = re.fullmatch(r"(.+):(\d+)", line or "")
    return (m.group(1), int(m.group(2))) if m and int(m.group(2)) else None


# ---- JUnit ----

def _attr(text):
    return quoteattr(pglog.escaped(str(text)))


def _case(f):
    out = ["<testcase name=%s classname=%s time=\"%.3f\"" % (_attr(f.name), _attr(f.group), f.seconds or 0)]
    line = f.line()
    if line:
        out.append(" file=%s line=\"%d\"" % (_attr(relative(line[0])), line[1]))
    text = "\n".join(pglog.escaped(row) for row in f.text.split("\n"))
    inner = ""
    if f.skipped:
        inner = "<skipped message=%s/>" % _attr(f.message)
    elif f.failed:
        inner = "<failure type=%s message=%s>%s</failure>" % (_attr(f.rule), _attr(f.message), escape(text))
    else:
        inner = "<system-out>%s</system-out>" % escape(pglog.escaped("%s: %s%s" % (
            f.rule, f.message, " (known)" if f.known else "")))
    return "".join(out) + ">%s</testcase>" % inner


def junit(suite, findings, about):
    """The XML of one suite: a test case for each of FINDINGS."""
    count = 'tests="%d" failures="%d" errors="0" skipped="%d" time="%.3f"' % (
        len(findings), sum(f.failed and not f.skipped for f in findings), sum(f.skipped for f in findings),
        sum(f.seconds or 0 for f in findings))
    facts = "".join("<property name=%s value=%s/>" % (_attr(k), _attr(v)) for k, v in (about or {}).items() if v)
    return ('<?xml version="1.0" encoding="UTF-8"?>\n<testsuites %s>\n<testsuite name=%s %s>\n<properties>%s</properties>\n'
            '%s\n</testsuite>\n</testsuites>\n' % (count, _attr(suite), count, facts, "\n".join(map(_case, findings))))


# ---- SARIF ----

@functools.lru_cache(maxsize=None)
def source_root():
    return os.path.realpath(os.environ.get("GITHUB_WORKSPACE") or os.environ.get("CI_PROJECT_DIR") or os.getcwd())


@functools.lru_cache(maxsize=4096)     # few files have many findings
def relative(path):
    """PATH below the folder of the sources, where it is there; else as it is."""
    real = os.path.realpath(path) if os.path.isabs(path) else os.path.join(source_root(), path)
    root = source_root()
    return os.path.relpath(real, root) if os.path.commonpath([real, root]) == root else path


def is_here(path):
    path = relative(path)
    return not os.path.isabs(path) and os.path.isfile(os.path.join(source_root(), path))


def _uri(path):
    path = urllib.parse.quote(os.fsencode(relative(path)))
    return "file://" + path if path.startswith("/") else path


def _location(place, line):
    out = {"logicalLocations": [{"fullyQualifiedName": place}]}
    at = split(line)
    if at:
        out["physicalLocation"] = {"artifactLocation": {"uri": _uri(at[0])}, "region": {"startLine": at[1]}}
    return out


def _shown(f):
    """Where F is shown. Some readers refuse a whole log for one result that has no file: without a line it is the module, or
    the program."""
    place, line = f.place()
    out = _location(place, line)
    module = re.search(r"([^ (]+)\+0x[0-9a-f]+\)?$", place)
    name = module.group(1) if module and module.group(1) != "?" else f.group
    if name:
        out.setdefault("physicalLocation", {"artifactLocation": {"uri": urllib.parse.quote(os.fsencode(name))}})
    return out


def _text(text):
    """TEXT as a message: what does not print is shown, and nothing is a link."""
    return pglog.escaped(text).replace("](", "] (")


def _result(f, ids):
    out = {"ruleId": f.rule, "ruleIndex": ids.index(f.rule), "level": f.level,
           "message": {"text": _text("%s: %s" % (f.name, f.message))}, "locations": [_shown(f)],
           "partialFingerprints": {"pipeguard/v1": hashlib.sha256(f.key.encode("utf-8", "surrogateescape")).hexdigest()}}
    if f.stack:
        out["stacks"] = [{"message": {"text": "who wrote"}, "frames": [{"location": _location(p, at)} for p, at in f.stack]}]
    if f.known:
        out["suppressions"] = [{"kind": "external", "justification": "known: it is in the file of accepted findings"}]
    return out


def sarif(findings, meanings, about, command):
    """The log of one run, with those FINDINGS that fail, or would if they were not known. MEANINGS: of their rules."""
    ids = sorted(meanings)
    findings = [f for f in findings if (f.failed or f.known) and not f.skipped]
    version = ((about or {}).get("pipeguard") or "").rpartition(" ")[2]
    driver = {"name": "pipeguard", "rules": [
        {"id": i, "shortDescription": {"text": meanings[i]}, "fullDescription": {"text": meanings[i]},
         "defaultConfiguration": {"level": "warning"}} for i in ids]}
    if version:
        driver["version"] = version
    results = [_result(f, ids) for f in findings]
    return {"$schema": INFORMATION, "version": SARIF_VERSION, "runs": [
        {"tool": {"driver": driver}, "columnKind": "utf16CodeUnits", "results": results,
         "invocations": [{"executionSuccessful": True, "commandLine": command}]}]}


# ---- workflow commands ----

def _data(text):
    """TEXT in a workflow command; what does not print is shown."""
    return pglog.escaped(text).replace("%", "%25")


def _property(text):
    return _data(text).replace(":", "%3A").replace(",", "%2C")


def annotate(findings, file):
    """A line for each of FINDINGS that a CI of GitHub's kind shows beside the source. Nothing elsewhere."""
    if os.environ.get("GITHUB_ACTIONS") != "true":
        return
    for f in findings:
        if f.skipped or f.known or not f.failed:
            continue
        at = f.line()
        where = "file=%s,line=%d," % (_property(relative(at[0])), at[1]) if at else ""
        say("::%s %stitle=%s::%s" % ("error" if f.level == "error" else "warning", where,
                                     _property("broken pipe: " + f.rule), _data("%s: %s" % (f.name, f.message))), file)


# ---- Prometheus ----

def _label(text):
    return pglog.escaped(str(text)).replace("\\", "\\\\").replace('"', '\\"')


def prometheus(metrics):
    """METRICS: (name, help, type, [(labels, value)]), as the text that collectors read."""
    out = []
    for name, text, kind, values in metrics:
        out += ["# HELP %s %s" % (name, text), "# TYPE %s %s" % (name, kind)]
        for labels, value in values:
            inner = ",".join('%s="%s"' % (k, _label(v)) for k, v in labels.items())
            out.append("%s%s %s" % (name, "{%s}" % inner if inner else "", value))
    return "\n".join(out) + "\n"


# ---- files ----

def write(path, text):
    """TEXT as the file PATH, whole or not at all, as who collects it may read at any time; "-" is standard output. What
    is no file, or may only be written as it is, is written in place."""
    if path == "-":
        sys.stdout.write(text)
        return
    new = _beside(path)
    try:
        with open(new or path, "w", encoding="utf-8") as f:
            f.write(text)
        if new:
            os.replace(new, os.path.realpath(path))
    except OSError as e:
        raise OSError(e.errno, e.strerror, path)
    finally:
        if new and os.path.exists(new):
            os.unlink(new)


def _beside(path):
    """The name of a new file that is to become PATH; None where there can be none."""
    real = os.path.realpath(path)
    if os.path.exists(real) and not (os.path.isfile(real) and os.access(os.path.dirname(real), os.W_OK)):
        return None
    return "%s.%d.new" % (real, os.getpid())


def need_writable(paths):
    """An OSError where one of PATHS, those that are asked for, could not be written: it is said before time is spent."""
    for path in filter(None, paths):
        new = _beside(path)
        try:
            if path != "-" and (new or os.path.isdir(path)):
                with open(new or path, "w"):
                    os.unlink(new)
        except OSError as e:
            raise OSError(e.errno, e.strerror, path)


def write_all(args, suite, findings, meanings, about):
    """What ARGS asks for: --junit, --sarif."""
    if args.junit:
        write(args.junit, junit(suite, findings, about))
    if args.sarif:
        write(args.sarif, pglog.json_text(sarif(findings, meanings, about, suite), indent=1) + "\n")
