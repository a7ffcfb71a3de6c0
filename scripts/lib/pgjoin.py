# SPDX-License-Identifier: MIT
"""Both ends of a connection, from logs that were written apart: what is local to one of them is the peer of the other."""

import datetime

import pghtml
import pglog
from pglog import say

EVENTS = 50000      # that are kept
WINDOW = 120.0      # seconds between the two, whose clocks are taken as they are
STORIES = 100       # that are shown
OTHERS = 4          # events of the other end, in each
BROKE = ("epipe", "reset")
LOGGED = BROKE + ("doomed", "closed", "eof", "inject")
# What ends a connection comes before what only reports it.
WEIGHT = {"doomed": 0, "closed": 1, "inject": 2, "reset": 3, "epipe": 4, "eof": 5}


class End:
    """An event of one end."""

    __slots__ = ("log", "at", "event")

    def __init__(self, log, at, event):
        self.log, self.at, self.event = log, at, event

    def place(self, symbols=None):
        """Where in the program it was, or ''."""
        stack = self.event["stack"] or []
        return (symbols.place_of(stack[0]) if symbols else stack[0]) if stack else ""

    def who(self):
        return "%s[%s]" % (self.event["comm"] or "?", self.event["pid"])

    def what(self):
        e = self.event
        call, fd = e["call"] or "a write", "?" if e["fd"] is None else e["fd"]
        if e["ev"] in ("doomed", "closed"):
            text = "ended with %s open" % fd if call == "_exit" else "%s(%s)" % (call, fd)
            return text + (" with %s bytes unread" % pglog.number(e["unread"]) if e["unread"] else "")
        if e["ev"] == "inject":
            return "rule %s: %s on %s(%s)" % (e["rule"], e["action"] or "?", call, fd)
        return "%s(%s) = %s" % (call, fd, e["errno"] or ("EOF" if e["ev"] == "eof" else e["ret"]))


class Story:
    """END broke; OTHERS: what the other end did about then, what may have caused it first."""

    def __init__(self, end, others):
        self.end, self.others = end, others

    def ms(self, other):
        """Milliseconds from OTHER to the break; negative: it came after."""
        return (self.end.at - other.at) * 1000

    def when(self, other):
        ms = self.ms(other)
        return "%s %s" % (duration(abs(ms)), "before" if ms >= 0 else "after")


def duration(ms):
    for unit, size in (("us", 0.001), ("ms", 1.0), ("s", 1000.0)):
        if ms < size * 1000 or unit == "s":
            return "%.*f %s" % (0 if unit == "us" else 1, ms / size, unit)
    return ""


def seconds(t):
    """RFC 3339 as seconds; None where it is no time."""
    try:
        return datetime.datetime.strptime(t[:26].rstrip("Z"), "%Y-%m-%dT%H:%M:%S.%f").replace(
            tzinfo=datetime.timezone.utc).timestamp()
    except ValueError:
        return None


def ends_of(logs, timeless):
    """The events of connections by (local, peer), of logs that can be read once more and tell the time."""
    out, kept = {}, 0
    for log in logs:
        if log == "-":
            continue
        with pglog.open_log(log) as source:
            for event in pglog.Reader(source).dicts(text=True):
                if event["kind"] != "tcp" or event["ev"] not in LOGGED or not event["local"] or not event["peer"]:
                    continue
                at = seconds(event["t"]) if event["t"] else None
                if at is None and log not in timeless:
                    timeless.append(log)
                if at is None or kept >= EVENTS:
                    continue
                kept += 1
                out.setdefault((event["local"], event["peer"]), []).append(End(log, at, event))
    return out


def plain(address):
    """The same address, however the socket's family spells it."""
    return address.replace("[::ffff:", "").replace("]", "") if address.startswith("[::ffff:") else address


def join(logs):
    """The stories of LOGS that two of them have an end of, by time; and logs whose ends have none."""
    if len(set(logs)) < 2:
        return [], []
    ends, timeless = {}, []
    for (local, peer), events in ends_of(logs, timeless).items():
        ends.setdefault((plain(local), plain(peer)), []).extend(events)
    stories = []
    for (local, peer), events in ends.items():
        others = ends.get((peer, local), ())
        # The first write that broke; else the first that was told of a reset.
        for end in sorted((e for e in events if e.event["ev"] in BROKE), key=lambda e: (e.event["ev"] != "epipe", e.at)):
            near = [o for o in others if o.log != end.log and abs(o.at - end.at) <= WINDOW]
            if near:
                near.sort(key=lambda o: (o.at > end.at, WEIGHT[o.event["ev"]], abs(o.at - end.at)))
                stories.append(Story(end, near[:OTHERS]))
                break   # what comes after follows from it
    return told_once(sorted(stories, key=lambda s: s.end.at)), timeless


def told_once(stories):
    """Where both ends broke, the one that has the cause of the other."""
    out, seen = [], set()
    for story in sorted(stories, key=lambda s: WEIGHT[s.others[0].event["ev"]]):
        key = frozenset((plain(story.end.event["local"]), plain(story.end.event["peer"])))
        if key not in seen:
            seen.add(key)
            out.append(story)
    return sorted(out, key=lambda s: s.end.at)


# ---- how it is shown ----

ARROWS = {"client": "->", "server": "<-"}


def title(story):
    e = story.end.event
    return "tcp %s %s %s" % (e["local"], ARROWS.get(e["side"], "<>"), e["peer"])


def rows(story, symbols):
    """(when, log, who, what, where) of each event, that which broke first."""
    yield story.end.event["t"], story.end.log, story.end.who(), story.end.what(), story.end.place(symbols)
    for other in story.others:
        yield story.when(other), other.log, other.who(), other.what(), other.place(symbols)


def look_up(stories, symbols):
    symbols.look_up([f for s in stories for end in [s.end] + s.others for f in (end.event["stack"] or [])[:1]])


def print_text(stories, symbols, out):
    if not stories:
        return
    say("", out)
    say("Both ends", out)
    for story in stories[:STORIES]:
        say("", out)
        say("  " + title(story), out)
        for when, log, who, what, where in rows(story, symbols):
            say("    %s: %s %s%s, %s" % (log, who, what, ", at " + where if where else "", when), out)
    if len(stories) > STORIES:
        say("  … and %s more" % pglog.number(len(stories) - STORIES), out)


def as_dict(end, symbols):
    e = end.event
    return {"log": end.log, "t": e["t"], "pid": e["pid"], "program": e["comm"], "ev": e["ev"], "call": e["call"],
            "fd": e["fd"], "errno": e["errno"], "unread": e["unread"], "rule": e["rule"],
            "frame": (e["stack"] or [None])[0], "place": end.place(symbols) or None}


def as_json(stories, symbols):
    return [dict(as_dict(s.end, symbols), local=s.end.event["local"], peer=s.end.event["peer"],
                 side=s.end.event["side"],
                 other=[dict(as_dict(o, symbols), ms_before=round(s.ms(o), 3)) for o in s.others])
            for s in stories[:STORIES]]


def as_html(stories, symbols):
    if not stories:
        return ""
    esc, out = pghtml.esc, ["<h2>Both ends</h2>"]
    for story in stories[:STORIES]:
        out.append("<h3>%s</h3>" % esc(title(story)))
        out.append(pghtml.table(("When", "Log", "Who", "What", "Place"), [
            (esc(when), pghtml.code(log), esc(who), esc(what), pghtml.code(where) if where else "")
            for when, log, who, what, where in rows(story, symbols)]))
    return "".join(out)
