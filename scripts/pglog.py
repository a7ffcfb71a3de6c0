# SPDX-License-Identifier: MIT
"""libpipeguard's logs: reading them, JSON or text, and naming source lines. Python 3.7, nothing else."""

import gzip
import json
import os
import re
import shutil
import subprocess
import sys

WRITES = ("epipe", "reset", "refused", "eof", "doomed", "call", "inject")

# The fields of an event that reports use, in this order, as bytes or None.
FIELDS = ("t", "pid", "comm", "ev", "via", "call", "fd", "kind", "side", "peer", "ino", "len", "ret", "errno",
          "signal", "history", "repeated", "injected", "rule", "again", "stack", "site", "dropped")

# One line as the library lays it out. What it does not match (names with escapes, the lines of other events, later
# versions) goes the slow way, through json.
_WORD = rb'(?:"([^"\\]*)"|null)'
_FAST = re.compile(
    rb'\{"v":1,"t":"([^"\\]*)","mono":[\d.]+,"pid":(\d+),"tid":\d+,"comm":"([^"\\]*)",'
    rb'"ev":"(epipe|reset|refused|eof|doomed|call|inject)","via":' + _WORD + rb',"call":' + _WORD +
    rb',"fd":(-?\d+|null),"kind":' + _WORD + rb',"side":' + _WORD + rb',"local":(?:"[^"\\]*"|null),"peer":' +
    _WORD + rb',"ino":(\d+|null),"len":(\d+|null),"ret":(-?\d+),"errno":' + _WORD + rb',"signal":' + _WORD +
    rb',"sent":(?:\d+|null),"age_ms":(?:\d+|null),"idle_ms":(?:\d+|null),"unread":(?:\d+|null),'
    rb'"peer_pid":(?:\d+|null),"history":\[([^\]\\]*)\],"disposition":(?:null|\{[^}\\]*\}),'
    rb'"repeated":(\d+),"injected":(true|false),"rule":' + _WORD +
    rb'(?:,"action":"[^"\\]*","held":(?:"[^"\\]*"|null),"seed":(?:\d+|null))?'
    rb',"again":' + _WORD + rb',"stack":\[([^\]\\]*)\](?:,"site":"([0-9a-f]*)")?'
    rb'(?:,"nonblock":(?:true|false))?,"dropped":(\d+)\}\s*$')


def _bytes(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, (list, dict)):
        return json.dumps(value, separators=(",", ":"))[1:-1].encode()
    return str(value).encode("utf-8", "surrogateescape")


def fields_of(event):
    """The tuple of FIELDS of an event that is a dict."""
    return tuple(_bytes(event.get(name)) for name in FIELDS)


def open_log(path):
    """The lines of PATH ('-': standard input) as a binary file; gzip is recognised by its first bytes."""
    raw = sys.stdin.buffer if path == "-" else open(path, "rb")
    head = raw.peek(2)[:2] if hasattr(raw, "peek") else b""
    return gzip.open(raw) if head == b"\x1f\x8b" else raw


# ---- text ----

_HEAD = re.compile(r"pipeguard\[(\d+):(\d+) (.*?)\] (.*)", re.S)
_CALL = re.compile(r"(\w+|a write)\((\d+|\?)(?:, (\d+))?\) = (\w+)(, then the reader left)?"
                   r"(?:, (no signal|SIGPIPE \w+))?(?:  (.*))?$")
_RULE = re.compile(r"rule (\S+): (\S+) on (stdio's )?(\w+)\((\d+)(?:, (\d+))?\)(.*)")
_SOCKET = re.compile(r"(tcp|udp|unix) (\S+) (<>|->|<-) ([^ ,]+)")
_WARNED = re.compile(r"(\w+)\(\) (returned (\w+)|closed this side) .* before, in ([^,]*)")
_PLACE = re.compile(r"(?:(\S+)\+0x[0-9a-f]+ \((\S+)\)|(\S+))")
_SIGNALS = {"no signal": "none", "SIGPIPE kills": "fatal"}
_WARNINGS = {"EOF": "eof", "ECONNRESET": "reset", "EPIPE": "reset", "ECONNREFUSED": "refused", None: "shutdown"}


def _frame(place):
    """'symbol+0x41 (module+0x1c01)' as JSON has it: 'module+0x1c01 symbol'."""
    m = _PLACE.match(place.strip())
    if not m:
        return place.strip()
    return m.group(3) or m.group(2) + " " + m.group(1)


def _object(event, rest):
    m = _SOCKET.search(rest or "")
    if m:
        event["kind"], event["local"], arrow, event["peer"] = m.groups()
        event["side"] = {"->": "client", "<-": "server"}.get(arrow)
    elif rest:
        event["kind"] = rest.split(",")[0].split()[0]
    m = re.search(r", repeated (\d+) times", rest or "")
    event["repeated"] = int(m.group(1)) if m else 1
    m = re.search(r"\(INJECTED by (\S+)\)", rest or "")
    event["injected"] = bool(m)
    event["rule"] = m.group(1) if m else None


def _text_call(event, m):
    call, fd, length, ret, left, signal, rest = m.groups()
    failed = not ret.isdigit()
    event.update(call=None if call == "a write" else call, fd=None if fd == "?" else int(fd),
                 len=int(length) if length else None, ret=-1 if failed else int(ret), errno=ret if failed else None)
    if signal:
        event["ev"] = "epipe"
        event["signal"] = _SIGNALS.get(signal, signal.split()[-1])
    else:
        event["ev"] = {"ECONNRESET": "reset", "ECONNREFUSED": "refused", "EPIPE": "reset"}.get(ret, "call")
        if ret == "0" and call.lstrip("_").startswith(("re", "recv")):
            event["ev"] = "eof"
    _object(event, rest)


def _text_event(lines):
    """The event of a header line and its continuation lines; None if it is not one."""
    head = _HEAD.match(lines[0])
    if not head:
        return None
    body = head.group(4)
    event = {"pid": int(head.group(1)), "comm": head.group(3), "history": [], "stack": [], "dropped": 0}
    call, rule = _CALL.match(body), _RULE.match(body)
    if call:
        _text_call(event, call)
    elif rule:
        event.update(ev="inject", call=rule.group(4), fd=int(rule.group(5)), via="stdio" if rule.group(3) else "call")
        _object(event, rule.group(7).split("  ", 1)[-1])
        event.update(rule=rule.group(1), injected=True)
    elif body.startswith("close("):
        event["ev"] = "doomed"
        _object(event, body.split("  ", 1)[-1] if "  " in body else "")
    else:
        event["ev"] = {"load": "load", "exit": "exit"}.get(body.split(":")[0], "other")
    for line in lines[1:]:
        _text_more(event, line.strip())
    return event


def _text_more(event, line):
    warned = _WARNED.match(line)
    if line.startswith("at "):
        event["stack"] = [_frame(place) for place in line[3:].split(" < ")]
    elif line.startswith("again: "):
        event["again"] = line[7:]
    elif warned:
        event["history"].append({"what": _WARNINGS.get(warned.group(3), "reset"), "call": warned.group(1),
                                 "caller": _frame(warned.group(4))})
    else:
        lost = re.match(r"(\d+) lines before this one were lost", line)
        event["dropped"] = int(lost.group(1)) if lost else event["dropped"]


class Reader:
    """Iterates over the events of a log as tuples of FIELDS. After that: LINES read, FOREIGN ones among them."""

    def __init__(self, source):
        self.source = source
        self.lines = self.foreign = 0

    def _slow(self, line):
        try:
            event = json.loads(line.decode("utf-8", "replace"))
        except ValueError:
            return None
        return event if isinstance(event, dict) and "ev" in event else None

    def __iter__(self):
        fast, block, lines = _FAST.match, [], 0
        for line in self.source:
            lines += 1
            m = fast(line)
            if m:
                yield m.groups()
                continue
            if block and line.startswith(b"        ") and len(block) < 64:
                block.append(line.decode("utf-8", "replace"))
                continue
            if block:
                yield from self._flush(block)
                block = []
            if line.startswith(b"pipeguard["):
                block = [line.decode("utf-8", "replace").rstrip("\n")]
                continue
            event = self._slow(line) if line.startswith(b"{") else None
            if event is None:
                self.foreign += bool(line.strip())
            else:
                yield fields_of(event)
        if block:
            yield from self._flush(block)
        self.lines += lines

    def _flush(self, block):
        event = _text_event(block)
        if event:
            yield fields_of(event)
        else:
            self.foreign += 1


def read_events(path):
    """The events of a JSON log as dicts; a line that was cut is left out. For logs that fit into memory."""
    events = []
    try:
        with open_log(path) as source:
            for line in source:
                try:
                    events.append(json.loads(line.decode("utf-8", "replace")))
                except ValueError:
                    pass
    except OSError:
        pass
    return [e for e in events if isinstance(e, dict) and "ev" in e]


# ---- source lines ----

class Symbols:
    """Source lines of frames ('module+0xoffset symbol') through addr2line or eu-addr2line."""

    def __init__(self, places=()):
        self.tool = shutil.which("addr2line") or shutil.which("eu-addr2line")
        self.places = list(places)
        self.paths = {}
        self.lines = {}
        self.libraries = None

    def _known_libraries(self):
        if self.libraries is None:
            self.libraries = {}
            tool = shutil.which("ldconfig", path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
            try:
                text = subprocess.run([tool, "-p"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                      timeout=10).stdout.decode() if tool else ""
            except (OSError, subprocess.SubprocessError):
                text = ""
            for line in text.splitlines():
                name, arrow, path = line.strip().partition(" => ")
                if arrow:
                    self.libraries.setdefault(os.path.basename(path), path)
                    self.libraries.setdefault(name.split()[0], path)
        return self.libraries

    def path_of(self, module):
        """The file that MODULE, a base name, most likely is; None if there is none."""
        if module not in self.paths:
            found = None
            for place in self.places:
                if os.path.isdir(place):
                    place = os.path.join(place, module)
                if os.path.basename(os.path.realpath(place)) == module or os.path.basename(place) == module:
                    found = found or (place if os.path.isfile(place) else None)
            self.paths[module] = (found or self._known_libraries().get(module) or
                                  shutil.which(module, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
        return self.paths[module]

    def look_up(self, frames):
        """Finds the lines of many FRAMES at once: one process for each module."""
        wanted = {}
        for frame in frames:
            where = frame.split(" ")[0]
            module, plus, offset = where.rpartition("+")
            if plus and where not in self.lines:
                self.lines[where] = None
                wanted.setdefault(module, []).append(offset)
        for module, offsets in wanted.items():
            path = self.path_of(module) if self.tool and module != "?" else None
            if path:
                self._ask(module, path, offsets)

    def _ask(self, module, path, offsets):
        environment = {k: v for k, v in os.environ.items() if k not in ("DEBUGINFOD_URLS", "LD_PRELOAD")}
        try:
            done = subprocess.run([self.tool, "-C", "-f", "-e", path], input="\n".join(offsets).encode() + b"\n",
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, timeout=60)
        except (OSError, subprocess.SubprocessError):
            return
        out = done.stdout.decode("utf-8", "replace").splitlines()
        for i, offset in enumerate(offsets):
            function, line = (out[2 * i:2 * i + 2] + ["??", "??:0"])[:2]
            line = line.split(" (")[0]
            if not line.startswith("??") and not line.endswith((":0", ":?")):
                self.lines[module + "+" + offset] = (function, line)

    def line_of(self, frame):
        """'file.c:12', or None."""
        found = self.lines.get(frame.split(" ")[0])
        return found[1] if found else None

    def place_of(self, frame):
        """How a person names FRAME: 'function (file.c:12)', 'symbol (module+0x1c01)' or 'module+0x1c01'."""
        where, _, symbol = frame.partition(" ")
        found = self.lines.get(where)
        if found:
            return "%s (%s)" % (found[0] if found[0] != "??" else symbol or where, short_path(found[1]))
        return "%s (%s)" % (symbol, where) if symbol else where


def short_path(line):
    """The last two parts of a source path."""
    return "/".join(line.split("/")[-2:])


def number(n):
    return "{:,}".format(n)
