# SPDX-License-Identifier: MIT
"""
Is the log true? Compares the library's JSON lines with what the program knows (story.py).

Each broken write that the program saw is one epipe event, with the right call, descriptor, length
and signal; no event stands for what did not happen; what is said of objects agrees with what the
program did with them, or is null.
"""
import collections
import json
import os
import sys

from story import LIBC_NAMES, names_of

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "..", "scripts", "lib"))
import pglog  # noqa: E402

LINE_MAX = 4096
SIGNALS = ("fatal", "caught", "ignored", "blocked", "suppressed", "none")
FIRST_TOLD = 10
KEYS = [name for name, _, events in pglog.KEYS if {"all", "writes"} & set(events.split())]
UNTOLD = {"accept", "connect", "read", "recvmsg", "write", "sendmsg"}  # the program's own, too
KINDS = {"pipe": ("pipe",), "tcp": ("tcp", "tcp4", "tcp6"), "udp": ("udp", "udp4", "udp6")}


def read_log(data, complain):
    """The events of a log by process, in the order of the lines."""
    by_pid = collections.defaultdict(list)
    for number, line in enumerate(data.split(b"\n")[:-1]):
        if len(line) + 1 > LINE_MAX:
            complain(None, f"a line of {len(line)} bytes")
        try:
            event = json.loads(line)
            pid, event["number"] = event["pid"], number
        except (ValueError, KeyError, TypeError):
            complain(None, "no JSON object with a pid", repr(line[:300]))
            continue
        by_pid[pid].append(event)
    if not data.endswith(b"\n") and data:
        complain(None, "the last line has no end")
    return by_pid


class Judge:
    """One setting's log of one batch."""

    def __init__(self, stories, log, verbose):
        self.complaints = []  # seed, kind, detail
        self.verbose = verbose
        self.events = read_log(log, self.complain)
        self.told = 0
        self.expected = 0
        self.seeds = {}  # pid: seed
        for story in stories:
            self.judge(story)

    def complain(self, seed, text, detail=""):
        self.complaints.append((seed, text, detail))

    def seed_of(self, pid):
        return self.seeds.get(pid)

    def judge(self, story):
        by_pid = collections.defaultdict(list)
        for call in story.calls:
            by_pid[call.pid].append(call)
        for pid in set(by_pid) | set(story.ends):
            events = self.events.get(pid, [])
            self.seeds[pid] = story.seed
            Process(self, story, pid, by_pid[pid], events).judge()


class Process:
    """One process: its calls and its events, each in order."""

    def __init__(self, judge, story, pid, calls, events):
        self.top = judge
        self.story = story
        self.pid = pid
        self.calls = calls
        self.events = events
        self.exact = True  # how many broke is known, so the exit line's count is

    def complain(self, text, detail=""):
        self.top.complain(self.story.seed, text, detail)

    def of(self, kind):
        return [e for e in self.events if e.get("ev") == kind]

    def judge(self):
        self.match_broken()
        self.match_warnings()
        self.match_injected()
        if self.top.verbose:
            self.match_dispositions()
            self.match_killed()
            self.match_doomed()
            self.look_at_exit()

    # ---- broken writes ----

    def wanted(self):
        """The writes that broke: (call, how many events at least, at most)."""
        for c in self.calls:
            least, most = self.number_of(c)
            if most:
                yield c, least, most

    def number_of(self, c):
        if c.way == "o" or (c.way == "r" and not c.stdio):
            return 0, 0
        if c.several:
            return self.number_of_several(c)
        if c.confined and c.ended == "gone":
            return 0, 1  # killed for a system call of its handler's
        if c.inlined and not (c.ran or c.ended in ("killed", "jumped")):
            return 0, 0
        if c.broke():
            return 1, 1
        if c.midway and c.ended == "returned" and 0 < c.ret < c.len and c.pending[0]:
            return 0, 1  # one more signal would not be seen
        if c.midway and c.ended == "returned" and 0 < c.ret < c.len and c.disposition == "ignored":
            return (1 if c.name in ("write", "writev") and not c.inlined else 0), 1
        return 0, 0

    @staticmethod
    def number_of_several(c):
        """libc writes until all is written, and tries again what failed."""
        if c.raw_name in ("exit-flush", "fflush-all"):
            return (1, 8) if c.ended == "killed" else (0, 8)
        if c.ended == "killed":
            return 1, 6
        if c.ended == "jumped":
            return 1, 1
        if c.ended != "returned":
            return 0, 6
        if c.ran:
            return c.ran, c.ran
        if c.err != "EPIPE" and not c.pending[1]:
            return 0, (6 if c.raw_name in ("freopen", "fclose") else 0)
        failed = c.ret < 0 or c.raw_name == "fwrite"
        return (1 if failed and c.err == "EPIPE" else 0), 6

    def match_broken(self):
        events = self.of("epipe")
        if self.pid in self.story.executed:
            self.match_executed(events)
            return
        if not self.calls:
            return
        slots = [(c, n < least) for c, least, most in self.wanted() for n in range(most)]
        self.exact = all(required for _, required in slots)
        self.top.expected += sum(required for _, required in slots)
        told = self.align(slots, events)
        self.top.told += len(told)
        self.find_missing(slots, told)
        for i, j in told.items():
            more = i + 1 in told and slots[i + 1][0] is slots[i][0]
            self.compare(events[j], slots[i][0], not more)
        for j in set(range(len(events))) - set(told.values()):
            e = events[j]
            self.complain(f"epipe where nothing broke: {self.what_was(e)}",
                          f"{e.get('via')} {e.get('call')}({e.get('fd')}, {e.get('len')}) = "
                          f"{e.get('ret')} {e.get('errno')}, signal {e.get('signal')}")

    def align(self, slots, events):
        """Which slot is which event, in order, so that the fewest of both are left over."""
        rows, columns = len(slots), len(events)
        if not columns:
            return {}
        cost = [[0] * (columns + 1) for _ in range(rows + 1)]
        cost[rows] = [columns - j for j in range(columns + 1)]
        for i in reversed(range(rows)):
            c, required = slots[i]
            row, below = cost[i], cost[i + 1]
            row[columns] = below[columns] + required
            for j in reversed(range(columns)):
                row[j] = min(row[j + 1] + 1, below[j] + required)
                if below[j + 1] < row[j] and self.fits(events[j], c):
                    row[j] = below[j + 1]
        return self.way_through(cost, slots, events)

    def way_through(self, cost, slots, events):
        i = j = 0
        told = {}
        while i < len(slots) and j < len(events):
            here = cost[i][j]
            if here == cost[i + 1][j + 1] and self.fits(events[j], slots[i][0]):
                told[i] = j
                i, j = i + 1, j + 1
            elif here == cost[i][j + 1] + 1:
                j += 1
            else:
                i += 1
        return told

    def find_missing(self, slots, told):
        """After the tenth at one place some are only counted."""
        places = collections.Counter()
        for i, (c, required) in enumerate(slots):
            place = (c.object and c.object.name, c.name)
            places[place] += required or i in told
            if required and i not in told and places[place] <= FIRST_TOLD:
                self.complain(f"broken write not told: {self.end_of(c)}", str(c))

    def what_was(self, e):
        """The call that an event without a broken write is most like."""
        like = [c for c in self.calls if c.fd == e.get("fd") and c.way == "w"]
        like = [c for c in like if c.name == e.get("call")] or like
        short = [c for c in like if c.ended == "returned" and c.ret == e.get("ret")] or like
        return self.end_of(short[-1]) if short else "no such call"

    @staticmethod
    def end_of(c):
        kind = c.object.kind if c.object else "nothing"
        end = c.ended if c.ended != "returned" else \
            c.err if c.ret < 0 else "short" if c.ret < c.len else "whole"
        return f"{c.group}, {end} on {kind}, signal {'/'.join(sorted(c.signals()))}"

    @staticmethod
    def fits(e, c):
        if c.raw_name in ("fflush-all", "exit-flush"):
            return e.get("via") == "stdio"
        if c.stdio and e.get("via") == "call":
            return False
        if c.object and not c.confined and e.get("ino") != c.object.ino:
            return False
        if c.ended == "returned" and not c.several and (c.ret < 0) != (e.get("ret") == -1):
            return False
        return e.get("fd") == c.fd and (e.get("call") in names_of(c) or c.stdio or c.confined)

    def compare(self, e, c, is_last):
        self.compare_keys(e, c)
        if c.confined or c.raw_name == "fflush-all" or c.fd != e.get("fd"):
            return
        kind = c.object.kind if c.object else "nothing"
        midway = c.ended == "returned" and c.ret >= 0 and not c.several

        def check(key, allowed):
            if e.get(key) in allowed:
                return
            calls = f"{c.group} on " if key in ("call", "fd", "len", "signal", "errno") else ""
            right = "/".join(sorted({str(self.shown(key, a)) for a in allowed}))
            self.complain(f"{calls}{kind}{', midway' if midway else ''}: {key} is "
                          f"{self.shown(key, e.get(key))}, not {right}",
                          f"{c}: {key} is {e.get(key)}, not {allowed}")

        one = is_last and c.raw_name != "exit-flush"
        check("signal", sorted(c.signals()) if one else SIGNALS)
        check("tid", (c.tid,))
        check("injected", (False,))
        check("rule", (None,))
        self.compare_result(e, c, check)
        if c.object:
            self.compare_object(e, c, check)

    @staticmethod
    def shown(key, value):
        """Numbers that differ from run to run are not part of a kind of fault."""
        free = ("tid", "sent", "len", "ino", "peer_pid", "unread", "ret", "local", "peer", "age_ms")
        return "other" if key in free and value not in (None, 0) else value

    def compare_keys(self, e, c):
        for key in KEYS:
            if key not in e and not c.confined:
                self.complain(f"epipe has no key {key}")
        if c.confined and any(k not in e for k in ("pid", "comm", "t", "signal", "call", "fd")):
            self.complain("epipe of a confined program lacks pid, comm, t, signal, call or fd")

    @staticmethod
    def compare_result(e, c, check):
        whole = c.ended == "returned" and c.ret >= 0 and not c.stdio
        if c.formatted:
            return
        if not c.stdio:
            check("call", names_of(c))
            if c.len >= 0:
                check("len", (c.len, None) if c.inlined or c.formatted else
                      (c.len, c.first) if c.first is not None else (c.len,))
            if whole:
                check("ret", (c.ret,))
        if not whole and not c.stdio and c.ended == "returned":
            check("errno", ("EPIPE",))
            check("ret", (-1,))

    def compare_object(self, e, c, check):
        o = c.object
        check("ino", (o.ino,))
        base = o.kind.split("-")[0]
        if base in ("pipe", "tcp", "udp", "unix"):
            check("kind", KINDS.get(base, (base,)))
        if c.sent_known and o.sent_known and not c.stdio and o.kind != "udp":
            # TCP's own count shows what no call of libc's sent; elsewhere nothing does.
            least = 0 if o.kind == "tcp" else c.unseen
            if o.connection is None:  # of a pipe or a pair each process counts what it sent
                least += c.others
            check("sent", (None, *range(max(0, c.sent - least), c.sent + 1)))
        if c.unread >= 0:
            # What a FILE kept is written once more later, perhaps after it was read.
            check("unread", (None, c.unread, 0) if c.stdio else (None, c.unread))
        if base != "pipe":
            self.compare_connection(e, c, check)
        self.compare_history(e, c)

    def compare_connection(self, e, c, check):
        if c.connection:
            side, local, peer = c.connection
            must = c.object.kind == "tcp" and not c.passed
            check("side", (side,) if must else (side, None))
            check("local", (local, None))
            check("peer", (peer,) if must else (peer, None))
        elif c.object.pair:
            check("peer", (None,))
            check("peer_pid", (None,) + tuple(set(self.story.parents) - {self.pid}))
        elif c.disconnected or not c.tried:
            if c.object.kind not in ("udp", "unix-dgram") or not c.name.startswith("send"):
                check("peer", (None,))  # else it is whom the datagram is sent to
            check("age_ms", (None,))
            check("side", (None,))
        else:
            check("age_ms", (None,))

    def plain_name(self, where, call):
        """Twins are told under the name that programs write."""
        if call in LIBC_NAMES:
            self.complain(f"{where} names a twin", f"{call}")
        return LIBC_NAMES.get(call, call)

    def compare_history(self, e, c):
        known = {(what, call) for what, call, _ in c.warned}
        told = set()
        for h in e.get("history") or ():
            told.add(h.get("what"))
            call = self.plain_name("history", h.get("call"))
            if (h.get("what"), call) not in known and h.get("what") not in c.may_be_warned:
                self.complain(f"history of {c.object.kind} says {h.get('what')}, which was not",
                              f"{c}: {h}")
        for what, call, pid in c.warned:
            if pid == self.pid and what not in told and c.connection and not c.passed and \
                    pid not in self.story.vforked:
                told.add(what)
                self.complain(f"history of {c.object.kind} lacks {what}", f"{c}: by {call}")

    def match_executed(self, events):
        """A program that this one executed wrote five bytes to 9."""
        end, o = self.story.executed[self.pid]
        broke = end in ("killed by PIPE", "exit 32")
        if len(events) != broke:
            self.complain(f"an executed write ended with {end}: {len(events)} events")
        for e in events:
            if (e.get("signal") == "fatal") != (end == "killed by PIPE"):
                self.complain(f"an executed write: signal is {e.get('signal')}, it ended with {end}")
            # What this program sent, which has just begun.
            own = 0 if o and o.kind in ("pipe", "fifo") else None
            if o and e.get("sent") not in (None, own, o.sent) and o.sent_known:
                self.complain("an executed write: sent is not null, nor what was sent")

    # ---- warnings, dispositions, ends ----

    def match_warnings(self):
        for ev, err in (("reset", "ECONNRESET"), ("refused", "ECONNREFUSED")):
            known = collections.Counter(
                (name, c.fd) for c in self.calls for name in names_of(c)
                # tcp_reset(): of a connection whose peer had closed, EPIPE
                if c.err == err or (ev == "reset" and (c.err, c.way) == ("EPIPE", "r")) or c.stdio or (c.name == "getsockopt" and c.flags == 4))
            for e in self.of(ev):
                call = (e.get("call"), e.get("fd"))
                known[call] -= 1
                if self.calls and known[call] < 0:
                    self.complain(f"{ev} by {call[0]}, which was not", str(call))
                if ev == "refused" and e.get("age_ms") is not None and e.get("kind") != "udp":
                    self.complain(f"refused by {call[0]}: age_ms, but no connection")
        wrote = [c for c in self.calls if c.err == "ECONNRESET" and c.way == "w" and
                 not (c.inlined or c.stdio or c.confined)]
        if len(self.of("reset")) < len(wrote) <= FIRST_TOLD:
            self.complain(f"reset by {wrote[0].raw_name} is not told")
        ended = {(c.name, c.fd) for c in self.calls if c.way == "r" and
                 (c.stdio or (c.ret == 0 and c.len and not c.flags & 0x2000))}
        for e in self.of("eof"):
            if (e.get("call"), e.get("fd")) not in ended:
                self.complain(f"eof by {e.get('call')}, which was not")

    def match_injected(self):
        """Under a rule that only tells: of calls that were made."""
        made = {(name, c.fd) for c in self.calls for name in names_of(c)}
        for e in self.of("inject"):
            call = self.plain_name("inject", e.get("call"))
            if self.calls and (call, e.get("fd")) not in made and e.get("via") != "stdio" and \
                    call not in UNTOLD:
                self.complain(f"inject by {call}, which was not called")

    def match_dispositions(self):
        wanted = [to for pid, was, to in self.story.dispositions if pid == self.pid and was != to]
        got = [e.get("to") for e in self.of("disposition")]
        if self.pid not in self.story.executed and self.calls and wanted != got and \
                not any(c.confined for c in self.calls):
            self.complain("the changes of SIGPIPE's disposition are not those that were made")

    def match_killed(self):
        died = self.pid in self.story.kills and self.story.ends.get(self.pid) == "killed by PIPE" \
            and not any(c.ended == "killed" for c in self.calls)
        waited = any(c.ended == "returned" and c.pending[1] for c in self.calls)
        got = self.of("killed")
        if got and not died and not (waited and got[0].get("by_itself") is False):
            self.complain("killed, by a signal that nobody sent")
        if died and not got:
            self.complain("killed by a SIGPIPE that no write raised, and not told")

    def match_doomed(self):
        doomed = {o.ino for o in self.story.objects.values() if self.pid in o.doomed}
        for e in self.of("doomed"):
            if e.get("ino") not in doomed:
                self.complain("doomed: a close that was not the last, or left nothing unread")

    def look_at_exit(self):
        exits = self.of("exit")
        broken = self.of("epipe")
        if len(exits) > 1:
            self.complain("more than one exit line")
        if exits and broken and broken[-1]["number"] > exits[0]["number"]:
            self.complain("a broken write after the exit line")
        way = self.story.ways.get(self.pid)
        if not exits and way in (0, 1, 6) and self.pid not in self.story.confined and \
                str(self.story.ends.get(self.pid)).startswith("exit"):
            self.complain(f"no exit line, way {way}")
        loads = self.of("load")
        if loads and broken and broken[0]["number"] < loads[-1]["number"]:
            return  # by a child of vfork, which executed a program then: that one's exit line
        for e in exits:
            self.count(e, broken)

    def count(self, e, broken):
        wanted = sum(least for _, least, _ in self.wanted())
        if self.pid in self.story.executed or not self.calls:
            return
        if self.exact and e.get("events") != wanted:
            self.complain("the exit line's count is not the number of broken writes")
        if e.get("events", 0) < len(broken):
            self.complain("the exit line counts fewer broken writes than were told")
