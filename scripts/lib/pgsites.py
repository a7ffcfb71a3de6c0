# SPDX-License-Identifier: MIT
"""Where a program writes, what can be broken there, and what a run with a fault shows. Python 3.7, nothing else."""

import io
import itertools
import os
import re
import signal

import pgengine
import pglog
import pgrun

VERDICTS = ("silent", "crashed", "hung", "spins", "killed", "clean", "recovered", "not reached")
BAD = VERDICTS[:5]
# Of a program, and of a server.
MEANINGS = {
    "silent": ("status 0 and no message, but bytes were lost",
               "a client got another answer, with the status of a good one; or bytes of a log were lost; or the server "
               "ended with status 0 and without a message"),
    "crashed": ("SIGSEGV, SIGABRT, a sanitizer",) * 2,
    "hung": ("it did not end", "a client waited in vain, or none is served any more"),
    "spins": ("the same write failed over and over",) * 2,
    "killed": ("SIGPIPE, or another signal, ended it", "SIGPIPE ended the server, or a process of it"),
    "clean": ("it says so: a status, a message", "the server ended, and says so: a status, a message"),
    "recovered": ("status and result as ever", "the next client is served as ever"),
    "not reached": ("the place was not reached in that run",) * 2}
FAULTS = ("break", "break+suppress", "reset", "reset+suppress", "refuse", "short", "error=EAGAIN")
RULE, SECOND = "sweep", "sweep2"
CRASHES = {4: "SIGILL", 5: "SIGTRAP", 6: "SIGABRT", 7: "SIGBUS", 8: "SIGFPE", 11: "SIGSEGV", 31: "SIGSYS"}
SIGPIPE = 13
WHAT = {1: "standard output", 2: "standard error", "tcp": "a TCP connection", "unix": "a Unix socket"}
SANITIZER = re.compile(r"ERROR: \w*Sanitizer|WARNING: ThreadSanitizer|runtime error: |SUMMARY: \w*Sanitizer")
OURS = re.compile(r"^pipeguard: ", re.M)


# ---- logs ----

LOGGED = 10         # events of a place that are logged one by one
MOST = 1 << 26      # bytes of one log that are read
EVENTS = 50000      # of one log: many more than the library writes of a program


def as_call(e):
    """From outside every call is logged by a rule: that line stands for one of ev call."""
    if e["ev"] == "inject" and e["rule"] == pgengine.SEE:
        if e["engine"] == "outside":
            e["ev"] = "call"
            # Who wakes itself up sends single bytes; the outside engine does not ask who reads them.
            e["own"] = e["kind"] == "pipe" and e["len"] == 1 and (e["fd"] or 0) > 2
        else:
            e["ev"] = "seen"
    return e


def is_whole(e):
    return e["mono"] is not None and (e["ev"] not in pglog.WRITES or None not in (e["pid"], e["repeated"], e["ret"]))


def open_lines(path):
    """A log, so far as it is one. The folder is the program's as well: what lies there may be anything."""
    try:
        with pglog.open_plain(path, links=False) as source:
            return source.read(MOST)
    except OSError:
        return b""


def events_of(text):
    """The whole events of a log."""
    return [as_call(e) for e in itertools.islice(pglog.Reader(io.BufferedReader(io.BytesIO(text))).dicts(), EVENTS)
            if is_whole(e)]


def is_call(line):
    return b'"ev":"call"' in line or b'"rule":"%s"' % pgengine.SEE.encode() in line


BROKEN = 100        # broken writes of one log that are looked at one by one
_MANY = re.compile(rb'"signal":"fatal"|"repeated":\d\d')


WITNESSES = 10      # calls of one log on the object that the fault was made at: one tells whether the rest was written
_LEN = re.compile(rb'"len":(\d+),')


class Wanted:
    """Which calls behind a fault, the event FIRED, tell what became of it: see _again and _lost."""

    def __init__(self, fired):
        self.same, self.pid = b'"ino":%d,' % (fired["ino"] or 0), b'"pid":%d,' % fired["pid"]
        self.alike = (b'"site":"%s"' % (fired["site"] or "").encode() if fired["kind"] == "pipe" else
                      b'"kind":"%s"' % (fired["kind"] or "").encode())
        self.rest = rest_of(fired)

    def has(self, line, seen):
        """SEEN: how many on the same object there were; True, and whether it is one of those."""
        if self.same not in line:
            return self.alike in line, False
        length = _LEN.search(line)
        enough = self.pid in line and self.rest <= (int(length.group(1)) if length else 0)
        return enough and seen < WITNESSES, enough


def needed(text, mark, wanted):
    """The lines of TEXT less calls before the one with MARK or that are not WANTED, and less broken writes that are ever
    more of the same: a run makes many of both, some for each site."""
    out, broken, seen = [], 0, 0
    lines = text.split(b"\n")
    first = next((n for n, line in enumerate(lines) if mark in line), 0)
    for n, line in enumerate(lines):
        if is_call(line):
            keep, same = wanted.has(line, seen) if wanted and n >= first else (False, False)
            seen += same
        else:
            broke = b'"ev":"epipe"' in line
            broken += broke
            keep = not broke or broken <= BROKEN or _MANY.search(line)
        if keep:
            out.append(line)
    return b"\n".join(out)


def focused(texts, rule):
    """TEXTS, logs, with what shows what came of RULE."""
    mark = b'"rule":"%s"' % rule.encode()
    fired = [pglog.json_event(line) for text in texts if mark in text for line in text.split(b"\n")
             if mark in line and b'"ev":"inject"' in line]
    fired = sorted((e for e in fired if e and is_whole(e)), key=lambda e: e["mono"])
    wanted = Wanted(fired[0]) if fired else None
    return [needed(text, mark, wanted) for text in texts]


def read_logs(folder, rule=None):
    """The events of each process's log, in the order of time; with RULE, those that show what came of it."""
    texts = [open_lines(os.path.join(folder, name)) for name, _ in pgrun.entries_of(folder)
             if re.fullmatch(r"\d+\.log", name)]
    logs = [events_of(text) for text in (focused(texts, rule) if rule else texts)]
    logs = sorted(filter(None, logs), key=lambda events: events[0]["mono"])
    programs = {e["program"] for events in logs for e in events if e["ev"] == "load" and e["program"]}
    for events in logs:
        _name_programs(events, programs)
    return logs


def _name_programs(events, programs):
    """Sets 'program' of each event: of the last load, or, in a child that never loaded one, by its short name."""
    current = None
    for e in events:
        if e["ev"] == "load":
            current = e["program"]
        if current is None:
            full = [p for p in programs if os.fsencode(p)[:15] == os.fsencode(e["comm"] or "")[:15]]
            e["program"] = full[0] if len(full) == 1 else None
        else:
            e["program"] = current
        if e["ev"] == "exit":   # the next one has its number, and so its log
            current = None


def are_cut(folder):
    """Is there a log to which nothing could be written, or no room for one?"""
    try:
        sizes = [os.lstat(os.path.join(folder, name)).st_size for name, _ in pgrun.entries_of(folder)]
        return 0 in sizes or not os.statvfs(folder).f_bavail
    except OSError:
        return False


def modules_of(logs):
    """Path and build-id of each module, by the name it has in stacks."""
    found = {}
    for e in itertools.chain.from_iterable(logs):
        if e["ev"] == "module" and e["module"]:
            found.setdefault(e["module"], {"path": e["path"], "build_id": e["build_id"]})
    return found


# ---- sites ----

def key_of(e):
    return "|".join((e["program"] or e["comm"] or "?", e["call"], e["via"] or "call", e["kind"], e["site"]))


def _disposition(state, e):
    """SIGPIPE's disposition in this process after E."""
    if e["ev"] == "load":
        return e["sigpipe"]
    return e["to"] if e["ev"] == "disposition" else state


def sites_of(logs, ready=None):
    """The sites of a baseline run, by their keys, in the order in which they were reached; READY: when the server was."""
    found, counts, left = {}, {}, {}
    for events in logs:
        state = None
        for e in events:
            state = _disposition(state, e)
            if broke_alone(e):
                left.setdefault(key_of(e), []).append(pglog.who_left(e["ended"]))
            if not is_of_site(e):
                continue
            key = key_of(e)
            site = found.setdefault(key, {
                "key": key, "program": e["program"], "call": e["call"], "via": e["via"], "kind": e["kind"],
                "hash": e["site"], "stack": e["stack"] or [], "mono": e["mono"], "fds": [], "peers": [], "sides": [],
                "nonblock": False, "longest": 0, "states": [], "processes": [], "own": True, "late": False})
            _add_to_site(site, e, state)
            site["late"] = site["late"] or ready is not None and e["mono"] > ready
            of = counts.setdefault(key, {})
            of[(e["pid"], e["ino"])] = max(of.get((e["pid"], e["ino"]), 0), e["repeated"])
    for key, site in found.items():
        site["count"] = sum(counts[key].values())
        site["processes"] = len(set(site["processes"]))
        site["left"] = sorted(set(left.get(key, ())))[:4]
    return dict(sorted(found.items(), key=lambda kv: kv[1]["mono"]))


def _add_to_site(site, e, state):
    for name, value in (("fds", e["fd"]), ("sides", e["side"]), ("states", state), ("peers", peer_of(e))):
        if value not in site[name] and len(site[name]) < 8:
            site[name].append(value)
    site["processes"].append(e["pid"])
    site["nonblock"] = site["nonblock"] or bool(e["nonblock"])
    site["own"] = site["own"] and wakes_itself(e)
    site["longest"] = max(site["longest"], e["len"] or 0)


def peer_of(e):
    """A server's address, or a client's without its port."""
    peer = e["peer"]
    if not peer or e["side"] == "client" or peer[0] in "/@":
        return peer
    return peer.rpartition(":")[0] or peer


def wakes_itself(e):
    """Does a program wake itself up by the write E? It reads that pipe itself; or it sends single bytes on a pair of
    sockets that it made."""
    return bool(e["own"]) or (e["kind"] == "unix" and e["len"] == 1 and not e["peer"] and not e["side"] and
                              e["call"] != "connect")


def fault_order(fault):
    return FAULTS.index(fault) if fault in FAULTS else len(FAULTS)


def applies(site, fault):
    """Can FAULT be made at SITE? Faults of the user's own are tried everywhere that writes."""
    stream = site["kind"] in ("pipe", "tcp", "unix")
    if site["call"] == "connect":
        return fault == "refuse" and site["kind"] in ("tcp", "unix")
    if fault.endswith("+suppress") and site["states"] and set(site["states"]) <= {"ignored", "caught"}:
        return False
    base = fault.split("+")[0]
    if base == "break":
        return stream
    if base == "reset":
        return site["kind"] in ("tcp", "unix")
    if base == "refuse":
        return False
    if base == "short":     # libc's stdio writes the rest itself
        return site["via"] != "stdio" and site["longest"] > 1 and (stream or site["kind"] == "file")
    if base == "error=EAGAIN":
        return site["nonblock"]
    return stream or base.startswith(("error=", "delay", "drop", "stall"))


def rule_of(site, fault, when=1):
    """The rule that makes FAULT at the WHEN-th call of SITE, in each process, without a name."""
    action = fault.split("+")[0]
    if action == "short":
        action = "short=1"
    calls = "%stdio" if site["via"] == "stdio" else site["call"]
    comm = ":comm=" + pglog.glob(site["program"]) if site["program"] else ""
    return "%s:kind=%s%s:site=%s:when=%d:%s" % (calls, site["kind"], comm, site["hash"], when, action)


_CALLER = re.compile(r"([\w.+-]{1,64}\+0x[0-9a-f]{1,16})( .*)?", re.A)


def run_rule_of(site, fault, when=1):
    """The same for a run from inside: it names the first caller as well, by which the library tells most other calls
    without a look at their stacks."""
    rule = rule_of(site, fault, when)
    caller = _CALLER.fullmatch(site["stack"][0]) if site["stack"] else None
    return rule.replace(":site=", ":caller=%s:site=" % caller.group(1), 1) if caller else rule


def broke_alone(e):
    """Did the write E break without a fault, and is it known who let go of the other end?"""
    return bool(e["ev"] == "epipe" and not e["injected"] and e["ended"] and e["call"] and e["kind"] and e["site"])


def is_of_site(e):
    return bool(e["ev"] == "call" and e["site"] and e["call"] and e["kind"])


def reached_after(logs, rule):
    """The sites that were reached after RULE had fired, with the number that their next call has for a rule: 'when'.
    Those whose calls are too many to be logged one by one are left out."""
    events = sorted((e for of in logs for e in of), key=lambda e: e["mono"])
    fired = next((e for e in events if e["ev"] == "inject" and e["rule"] == rule), None)
    if not fired:
        return {}
    after = [e for e in events if e["mono"] > fired["mono"]]
    sites = sites_of([[e for e in of if e["mono"] > fired["mono"] or not is_of_site(e)] for of in logs])
    for key, site in list(sites.items()):
        pid = next(e["pid"] for e in after if is_of_site(e) and key_of(e) == key)
        calls = {}
        for e in events:
            if e["mono"] < fired["mono"] and is_of_site(e) and e["pid"] == pid and key_of(e) == key:
                calls[e["ino"]] = max(calls.get(e["ino"], 0), e["repeated"])
        broke = fired["pid"] == pid and fired["call"] and fired["kind"] and key_of(fired) == key
        site["when"] = sum(calls.values()) + bool(broke) + 1
        if site["when"] > LOGGED:
            del sites[key]
    return sites


# ---- what a run shows ----

def evidence_of(logs, rule=RULE):
    """What became of the fault that RULE made, from the logs of the run."""
    events = sorted((e for events in logs for e in events), key=lambda e: e["mono"])
    fired = [e for e in events if e["ev"] == "inject" and e["rule"] == rule]
    out = {"fired": len(fired), "failures": 0, "fatal": [], "again": None, "lost": False, "stack": [], "signal": None}
    if not fired:
        return out
    first = fired[0]
    out.update(stack=first["stack"] or [], call=first["call"], fd=first["fd"], kind=first["kind"], len=first["len"],
               peer=first["peer"], program=first["program"], pid=first["pid"])
    after = [e for e in events if e["mono"] >= first["mono"]]
    broken = [e for e in after if e["ev"] in ("epipe", "reset") and e["ret"] == -1 and e["injected"]]
    _count_failures(out, broken)
    out["fatal"] = sorted({e["program"] or e["comm"] or "?" for e in after
                           if e["ev"] == "epipe" and e["signal"] == "fatal"})
    out["again"] = _again(first, after)
    out["lost"] = _lost(out, first, after, broken)
    out["retold"] = _retold(broken)
    return out


def _count_failures(out, broken):
    worst = {}
    for e in broken:
        key = (e["pid"], e["ino"], e["call"], e["ev"])
        worst[key] = max(worst.get(key, 0), e["repeated"])
    out["failures"] = sum(worst.values())
    if broken:
        out["signal"] = broken[-1]["signal"]
        out["errno"] = broken[0]["errno"]


def _retold(broken):
    """The first write after one that had failed: 'place' of it, or None."""
    seen = set()
    for e in broken:
        key = (e["pid"], e["ino"])
        if key in seen:
            return e["stack"][0] if e["stack"] else None
        seen.add(key)
    return None


def _again(first, after):
    """How the program went round the fault: a word, or None."""
    for e in after:
        if e["ev"] != "call" or e["ret"] < 0 and e["errno"] != "EINPROGRESS" or e["kind"] != first["kind"]:
            continue
        if e["ino"] != first["ino"] and (e["call"] == "connect") == (first["call"] == "connect") and (
                first["kind"] != "pipe" or e["site"] == first["site"]) and peer_of(e) == peer_of(first):
            return "by another connection" if first["kind"] != "pipe" else "on another pipe"
    return None


def _lost(out, first, after, broken):
    """Were bytes lost, as far as the log says?"""
    action = first["action"] or ""
    if broken:
        return not out["again"]
    if not action.startswith(("short", "error=EAGAIN")):
        return action.startswith("drop")
    rest = rest_of(first)
    for e in after:
        if e["ev"] == "call" and e["pid"] == first["pid"] and e["ino"] == first["ino"] and (e["len"] or 0) >= rest:
            out["again"] = "it wrote the rest"
            return False
    return rest > 0


def rest_of(fired):
    """The bytes that the fault, the event FIRED, left to be written, or as many as show that they were."""
    return min((fired["len"] or 0) - (1 if (fired["action"] or "").startswith("short") else 0), 1 << 16)


# ---- baselines ----

def lines_of(text):
    """The lines of an error output, without what differs from run to run."""
    lines = (pgrun.masked(line.encode("utf-8", "replace")).strip() for line in re.split(r"[\r\n]+", text))
    return {line.decode("utf-8", "replace") for line in lines if line}


def level_of(outputs):
    """How exactly outputs can be compared: the first way in which these are all the same."""
    for level in ("exact", "masked", "sorted", "length"):
        if len({o[level] for o in outputs}) == 1:
            return level
    return None


def are_alike(results):
    """Did RESULTS, of runs without a fault, end in the same way?"""
    return len({_outcome(r) for r in results}) == 1


def _outcome(result):
    if result is None or "failed" in result:
        return ()
    return (result["status"], result["timed_out"], result.get("alive"), result.get("ready"),
            tuple(c["status"] for c in result.get("clients", ())))


def baseline_of(results):
    """What is the same in all RESULTS of runs without a fault."""
    base = {"statuses": sorted({r["status"] for r in results}, key=str), "seconds": max(r["seconds"] for r in results)}
    base["client"] = base["alive"] = None
    base["out_level"] = level_of([r["out"] for r in results])
    base["out"] = results[0]["out"]
    base["err"] = sorted(set().union(*(lines_of(r["err"]["text"]) for r in results)))
    base["err_text"] = results[0]["err"]["text"]
    names = set.intersection(*(set(r["files"]) for r in results))
    base["files"] = {n: results[0]["files"][n] if len({r["files"][n] for r in results}) == 1 else None for n in names}
    if "clients" in results[0]:
        clients = [r["clients"][0] for r in results]
        base["seconds"] = max([c["seconds"] for r in results for c in r["clients"]])
        base["client"] = {"statuses": sorted({c["status"] for c in clients}, key=str), "out": clients[0]["out"],
                          "level": level_of([c["out"] for c in clients])}
        base["alive"] = all(r["alive"] for r in results)
    return base


def _coarser(level, one, other):
    """LEVEL, or the next one at which both outputs are the same."""
    levels = ("exact", "masked", "sorted", "length")
    return next((n for n in levels[levels.index(level):] if one[n] == other[n]), None) if level else None


def widened(base, result):
    """BASE, less what RESULT, another run without a fault, shows to differ from time to time."""
    if "failed" in result or result["timed_out"]:
        return base
    base = dict(base, statuses=base["statuses"] + [result["status"]],
                err=sorted(set(base["err"]) | lines_of(result["err"]["text"])),
                out_level=_coarser(base["out_level"], base["out"], result["out"]),
                files={n: d if d == result["files"][n] else None for n, d in base["files"].items()
                       if n in result["files"]})
    if result.get("clients"):
        client = result["clients"][0]
        good = base["client"]
        base["client"] = dict(good, statuses=good["statuses"] + [client["status"]],
                              level=_coarser(good["level"], good["out"], client["out"]))
    return base


def changed_files(base, result):
    """Names of files that are missing, or not as in the baseline."""
    return sorted(n for n, d in base["files"].items()
                  if n not in result["files"] or (d is not None and d != result["files"][n]))


# ---- verdicts ----

def signal_name(n):
    try:
        return signal.Signals(n).name
    except ValueError:      # real-time ones
        return "signal %d" % n


def ended(status):
    """A status in words: "status 3", "SIGTERM"."""
    return signal_name(-status) if type(status) is int and status < 0 else "status %s" % status


def ended_by(status):
    """The signal that ended a program or, by a shell's report, its child; 0: none."""
    if status is None:
        return 0
    return -status if status < 0 else status - 128 if 128 < status < 160 else 0


def _crash(base, result):
    sig = ended_by(result["status"])
    if sig in CRASHES and result["status"] not in base["statuses"]:
        return "ended by " + CRASHES[sig]
    for status in result.get("orphans", []):
        if status < 0 and -status in CRASHES:
            return "a child ended by " + CRASHES[-status]
    found = SANITIZER.search(result["err"]["text"])
    if found and not SANITIZER.search(base["err_text"]):
        return "a sanitizer's report: " + found.group(0).strip(" :")
    return None


def _spins(evidence, site):
    n = evidence["failures"]
    if n > 4 * site["count"] + 100:
        return "the same write failed %s times, where it was made %s in a good run" % (
            pglog.number(n), "once" if site["count"] == 1 else "%s times" % pglog.number(site["count"]))
    return None


def new_message(base, result, evidence):
    """The first line on stderr that no good run had; None. A piece of a known one is none, where stderr was hit."""
    known = set(base["err"])
    for line in re.split(r"[\r\n]+", result["err"]["text"]):
        wiped = pgrun.masked(line.encode("utf-8", "replace")).strip().decode("utf-8", "replace")
        if wiped and wiped not in known and not (evidence.get("fd") == 2 and is_rest(wiped, known)):
            return line.strip()
    return None


def is_rest(line, known):
    """Is LINE a piece of one of KNOWN, or the beginning of one and, behind it, all of another?"""
    return any(line in k for k in known) or any(
        line.endswith(k) and any(other.startswith(line[:-len(k)].rstrip()) for other in known) for k in known if k)


def named(files):
    return ", ".join(files[:3]) + (" and %d more" % (len(files) - 3) if len(files) > 3 else "")


def _losses(base, result, evidence):
    """What is not as in a good run; '' if all is."""
    losses = []
    level = base["out_level"]
    if level and result["out"][level] != base["out"][level]:
        lost = base["out"]["length"] - result["out"]["length"]
        losses.append("the output is %s" % ("short of %s bytes" % pglog.number(lost) if lost > 0 else "another one"))
    files = changed_files(base, result)
    if files:
        losses.append("%s %s" % (named(files), "differs" if len(files) == 1 else "differ"))
    if not losses and evidence["lost"]:
        what = WHAT.get(evidence["fd"]) or WHAT.get(evidence["kind"], "a %s" % (evidence["kind"] or "descriptor"))
        losses.append("bytes for %s were lost" % what)
    return " and ".join(losses)


def verdict(base, site, result, evidence):
    """(verdict, why)."""
    if not evidence["fired"]:
        return "not reached", "the site was not reached in this run"
    crash = _crash(base, result)
    if crash:
        return "crashed", crash
    spins = _spins(evidence, site)
    if spins:
        return "spins", spins
    if "clients" in result:
        return _server_verdict(base, result, evidence)
    return _program_verdict(base, result, evidence)


def _program_verdict(base, result, evidence):
    status = result["status"]
    if result["timed_out"]:
        return "hung", "it did not end (it %s)" % ("kept the processor busy" if result["busy"] else "waited")
    if ended_by(status) == SIGPIPE and status not in base["statuses"]:
        return "killed", "SIGPIPE ended it" if status < 0 else "status 141: SIGPIPE ended a part of it"
    message = new_message(base, result, evidence)
    if status not in base["statuses"] and status != 0:
        if status < 0:
            return "killed", "ended by " + signal_name(-status)
        return "clean", "status %d%s" % (status, ": " + message if message else ", without a message")
    if message:
        return "clean", "%s, but it says: %s" % (ended(status), message)
    losses = _losses(base, result, evidence)
    if losses:
        killed = "; SIGPIPE ended %s" % ", ".join(evidence["fatal"]) if evidence["fatal"] else ""
        return "silent", "%s, no message, and %s%s" % (ended(status), losses, killed)
    return "recovered", "status and output as ever%s" % (", " + evidence["again"] if evidence["again"] else "")


def _client_as_ever(base, client):
    good = base["client"]
    return (client["status"] in good["statuses"] and not client["timed_out"] and
            (not good["level"] or client["out"][good["level"]] == good["out"][good["level"]]))


def _server_verdict(base, result, evidence):
    clients, status = result["clients"], result["status"]
    message = new_message(base, result, evidence)
    if base["alive"] and not result["alive"]:
        if ended_by(status) == SIGPIPE:
            return "killed", "SIGPIPE ended the server"
        if status == 0 and not message:
            return "silent", "the server ended with status 0 and without a message"
        return "clean", "the server ended: %s, %s" % (ended(status), message or "without a message")
    if evidence["fatal"]:
        return "killed", "SIGPIPE ended a process of it: %s%s" % (
            ", ".join(evidence["fatal"]), "; the next client was served" if _client_as_ever(base, clients[-1]) else "")
    return _served(base, clients, evidence)


def _served(base, clients, evidence):
    """What clients got of a server that goes on."""
    first, last = clients[0], clients[-1]
    if not _client_as_ever(base, last):
        if last["timed_out"]:
            return "hung", "it serves nobody any more: the next client waited in vain"
        if last["status"] not in base["client"]["statuses"]:
            return "hung", "it serves nobody any more: the next client ended with %s" % ended(last["status"])
        return "silent", "from then on clients get another answer, with %s as ever" % ended(last["status"])
    if _client_as_ever(base, first):
        if evidence["lost"] and not evidence["failures"] and evidence["kind"] in ("pipe", "file"):
            return "silent", "the client got what it gets in a good run, but bytes for %s were lost" % (
                WHAT.get(evidence["fd"]) or "a " + evidence["kind"])
        return "recovered", "the client got what it gets in a good run"
    if first["timed_out"]:
        return "hung", "the client that met the fault waited in vain; the next one was served"
    if first["status"] in base["client"]["statuses"]:
        return "silent", "the client got another answer, with %s as ever" % ended(first["status"])
    return "recovered", "the client that met the fault ended with %s, the next one was served" % ended(first["status"])
