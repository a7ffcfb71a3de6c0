# SPDX-License-Identifier: MIT
"""libpipeguard's logs: reading them, JSON or text, and naming source lines; how text leaves. Python 3.7, nothing else.

What is read here was written by programs under test and by whoever talked to them: what is not exactly the library's
is foreign, and counted. Names are text as Python has it of bytes (surrogateescape); what leaves goes through escaped()
or json_text()."""

import bisect
import errno
import gzip
import json
import math
import os
import re
import resource
import shlex
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import zlib

WRITES = ("epipe", "reset", "refused", "eof", "doomed", "closed", "call", "inject")

# The keys of a line, in their order: name, type, events.
# keys.def: this table is written by scripts/dev/keys
KEYS = (
    ("v", "count", "all"),
    ("t", "time", "all"),
    ("mono", "seconds", "all"),
    ("pid", "count", "all"),
    ("tid", "count", "all"),
    ("comm", "name", "all"),
    ("ev", "word", "all"),
    ("events", "count", "exit"),
    ("early", "count", "exit"),
    ("uncounted", "count", "exit"),
    ("rules", "counts", "exit"),
    ("sites", "sites", "exit"),
    ("program", "name", "load"),
    ("gates", "name", "load"),
    ("ppid", "count", "load"),
    ("sigpipe", "word", "load"),
    ("inherited_ignored", "bool", "load"),
    ("from", "word", "disposition"),
    ("to", "word", "disposition"),
    ("by", "frame", "disposition"),
    ("module", "name", "module"),
    ("path", "name", "module unreached"),
    ("build_id", "word", "module"),
    ("child", "count", "unreached"),
    ("barrier", "word", "unreached"),
    ("instead", "name", "unreached"),
    ("sender", "number", "killed"),
    ("by_itself", "bool", "killed"),
    ("via", "word", "writes"),
    ("call", "word", "writes killed"),
    ("fd", "number", "writes killed"),
    ("kind", "word", "writes"),
    ("side", "word", "writes"),
    ("local", "name", "writes"),
    ("peer", "name", "writes"),
    ("ino", "count", "writes"),
    ("len", "count", "writes"),
    ("ret", "number", "writes"),
    ("errno", "word", "writes"),
    ("signal", "word", "writes"),
    ("sent", "count", "writes"),
    ("age_ms", "count", "writes"),
    ("idle_ms", "count", "writes"),
    ("unread", "count", "writes"),
    ("peer_pid", "count", "writes"),
    ("history", "history", "writes"),
    ("ended", "ended", "epipe reset inject"),
    ("disposition", "disposition", "writes"),
    ("repeated", "count", "writes"),
    ("injected", "bool", "writes"),
    ("rule", "rule", "writes"),
    ("action", "name", "inject"),
    ("held", "name", "inject"),
    ("seed", "seed", "inject"),
    ("failed", "word", "inject"),
    ("again", "again", "writes"),
    ("source", "name", "sourced"),
    ("stack", "frames", "writes disposition"),
    ("site", "hash", "writes"),
    ("nonblock", "bool", "call"),
    ("own", "bool", "call"),
    ("engine", "word", "all"),
    ("confined", "bool", "confined"),
    ("dropped", "count", "all"),
    ("limited", "count", "limited"),
)
# keys.def ends

# The fields of a write that reports use, in this order, as bytes or None.
FIELDS = ("t", "pid", "comm", "ev", "via", "call", "fd", "kind", "side", "peer", "ino", "len", "ret", "errno",
          "signal", "history", "repeated", "injected", "rule", "again", "stack", "site", "dropped", "limited")

LINE_MAX = 1 << 16      # bytes; the library's own lines have 4096 at most
CHUNK = 1 << 18         # bytes that are read at once


# ---- how text leaves ----

def escaped(text):
    """TEXT as one line that can do nothing, as a log has names: what does not print (control bytes, ends of lines, C1,
    what turns the direction of writing) is \\xNN or \\uNNNN, a byte that is no UTF-8 \\xNN."""
    return text if text.isprintable() else "".join(c if c.isprintable() else _escape(ord(c)) for c in text)


def _escape(code):
    if 0xdc80 <= code <= 0xdcff:    # surrogateescape
        code -= 0xdc00
    return "\\x%02x" % code if code < 0x100 else "\\u%04x" % code if code < 0x10000 else "\\U%08x" % code


def quoted(words):
    """WORDS for a shell; for bash, where one has what cannot be printed."""
    return " ".join(shlex.quote(w) if w.isprintable() else "$'%s'" % "".join(
        chr(b) if 32 <= b < 127 and b not in b"'\\" else "\\x%02x" % b for b in os.fsencode(w)) for w in words)


def say(text="", file=None):
    """One line for people: the only way out for text."""
    (file or sys.stdout).write(escaped(text) + "\n")


def json_text(value, **how):
    """VALUE as JSON in printable ASCII; bytes that are no UTF-8 as escaped() has them."""
    return json.dumps(_without_surrogates(value), **how).replace("\x7f", "\\u007f")


_SURROGATES = re.compile("[\ud800-\udfff]")


def _without_surrogates(value):
    if isinstance(value, str):
        return _SURROGATES.sub(lambda m: _escape(ord(m.group())), value)
    if isinstance(value, dict):
        return {_without_surrogates(k): _without_surrogates(v) for k, v in value.items()}
    return [_without_surrogates(v) for v in value] if isinstance(value, (list, tuple)) else value


def run(name, main):
    """Ends with the status of MAIN, what it cannot read or write in one line. Standard output takes any character,
    whatever the locale."""
    _settle()
    try:
        status = main()
        sys.stdout.flush()
        sys.exit(status)
    except KeyboardInterrupt:
        status = 130
    except OSError as e:
        status = 141 if isinstance(e, BrokenPipeError) else 125
        if status == 125:
            what = [name, str(e.strerror or e)]
            what[1:1] = [os.fsdecode(e.filename)] if e.filename else []
            _complain(": ".join(what))
    except Exception as e:      # a fault of ours
        status = 125
        _complain("%s: a fault of its own: %s" % (name, where_raised(e)))
    null = os.open(os.devnull, os.O_WRONLY)     # what is left of the output has nowhere to go
    os.dup2(null, 1)
    os.dup2(null, 2)
    sys.exit(status)


def _settle():
    """What a parent may have left unusual is as ever: the standard descriptors are open, children can be waited for."""
    fd = os.open(os.devnull, os.O_RDWR)
    while fd < 3:
        os.set_inheritable(fd, True)
        fd = os.open(os.devnull, os.O_RDWR)
    os.close(fd)
    sys.stdout, sys.stderr = sys.stdout or open(os.devnull, "w"), sys.stderr or open(os.devnull, "w")
    sys.stdout.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if signal.getsignal(signal.SIGINT) == signal.SIG_DFL:   # that of the time before: see the scripts
        signal.signal(signal.SIGINT, signal.default_int_handler)


def _complain(text):
    """TEXT for standard error, if that takes it."""
    try:
        say(text, sys.stderr)
        sys.stderr.flush()
    except OSError:
        pass


def where_raised(e):
    """The exception E in a few words, with the line that raised it."""
    where = e.__traceback__
    while where.tb_next:
        where = where.tb_next
    return "%s: %s (%s:%d)" % (type(e).__name__, e, os.path.basename(where.tb_frame.f_code.co_filename), where.tb_lineno)


# ---- what comes in ----

COUNT = range(1 << 63)
NUMBER = range(-(1 << 63), 1 << 64)


def fits(value, shape):
    """Has VALUE this SHAPE: one of a tuple; a list of one shape; a dict with a shape for each of some names or, {str:
    shape}, for any name; a whole number in a range; a number that is not negative (float); all of a pattern; text of
    any bytes (str); bool, dict, None?"""
    if type(shape) is _PATTERN:
        return isinstance(value, str) and bool(shape.fullmatch(value))
    if isinstance(shape, tuple):
        return any(fits(value, s) for s in shape)
    if isinstance(shape, list):
        return isinstance(value, list) and all(fits(v, shape[0]) for v in value)
    if isinstance(shape, dict):
        return isinstance(value, dict) and (all(fits(v, shape[str]) for v in value.values()) if str in shape else
                                            all(name in value and fits(value[name], s) for name, s in shape.items()))
    if isinstance(shape, range):
        return type(value) is int and value in shape
    if shape is float:
        return type(value) in (int, float) and 0 <= value < 1 << 63
    if shape is None or shape in (bool, dict):
        return value is None if shape is None else isinstance(value, shape)
    return isinstance(value, str) and bool(_BYTES.fullmatch(value))


_PATTERN = type(re.compile(""))
_BYTES = re.compile("[^\ud800-\udc7f\udd00-\udfff]*")


def _pattern(text):
    return re.compile(text, re.A | re.S)


# In a log each character of a name is a byte.
TIME, WORD = _pattern(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{1,9}Z"), _pattern(r"\w{1,64}")
NAME, FRAME = _pattern("[\x01-\xff]{0,4096}"), _pattern("[ -~]{1,1024}")
RULE, AGAIN, HASH = _pattern("[!-~]{1,64}"), _pattern(r"[\w%:=.,+?*-]{1,1024}"), _pattern("[0-9a-f]{1,16}")
_WARNING = {"what": (WORD, None), "call": (WORD, None), "caller": (FRAME, None)}
_SITE = {"call": (WORD, None), "caller": (FRAME, None), "count": COUNT}
_ENDING = {"pid": COUNT, "comm": NAME, "how": WORD, "status": (COUNT, None), "signal": (WORD, None), "caller": (FRAME, None)}
_TYPES = {"count": COUNT, "number": NUMBER, "seconds": float, "time": TIME, "word": WORD, "name": NAME, "bool": bool,
          "frame": FRAME, "frames": [FRAME], "rule": RULE, "again": AGAIN, "hash": HASH, "history": [_WARNING],
          "counts": {str: COUNT}, "sites": [_SITE], "ended": _ENDING}
_READ = set(FIELDS) | {"mono", "tid", "action", "nonblock", "own", "engine", "program", "sigpipe", "to", "events", "rules", "sites", "local", "unread", "ended", "module",
                     "path", "build_id"}
_EVENT = {name: _TYPES[kind] for name, kind, _ in KEYS if name in _READ}
_NAMES = [name for name, shape in _EVENT.items() if shape is NAME]


def name_of(spelled):
    """A name as text, of one in which each character is a byte."""
    return spelled.encode("latin-1").decode("utf-8", "surrogateescape")


def known(event):
    """EVENT, a dict, with all the names of _EVENT, and names as text; None where it is not the library's."""
    if not isinstance(event, dict):
        return None
    out = {name: event.get(name) for name in _EVENT}
    if not out["ev"] or not all(value is None or fits(value, _EVENT[name]) for name, value in out.items()):
        return None
    for name in _NAMES:
        if out[name]:
            out[name] = name_of(out[name])
    out["history"] = [{name: warning.get(name) for name in _WARNING} for warning in out["history"] or []]
    return out


def who_left(ended):
    """Who let go of the other end, in words, as a log's key ended says."""
    status = "" if ended["status"] is None else " with status %s" % ended["status"]
    what = {"exit": "exited" + status, "killed": "was killed by %s" % (ended["signal"] or "a signal"),
            "gone": "has gone without a word", "shutdown": "shut it down"}.get(ended["how"], "closed it")
    where = " in %s" % ended["caller"] if ended["caller"] and ended["how"] in ("close", "shutdown") else ""
    return "%s %s%s" % (name_of(ended["comm"]), what, where)


def json_value(text):
    """What TEXT, bytes, says in JSON; a ValueError where it is none, or more than a program could read."""
    try:
        return _DECODER.decode(text.decode("utf-8"))
    except RecursionError:
        raise ValueError("too deep")


def _finite(text):
    if not math.isfinite(float(text)):
        raise ValueError(text)
    return float(text)


_DECODER = json.JSONDecoder(parse_constant=_finite, parse_float=_finite)


def json_event(line):
    """The event of a line in JSON; None where it is not one of the library's."""
    try:
        return known(json_value(line))
    except ValueError:
        return None


def _bytes(value):
    if value is None:
        return None
    if isinstance(value, bool):
        return b"true" if value else b"false"
    if isinstance(value, list):
        return json.dumps(value, separators=(",", ":"))[1:-1].encode()
    return str(value).encode("utf-8", "surrogateescape")


def fields_of(event):
    """The tuple of FIELDS of a known event."""
    return tuple(_bytes(event[name]) for name in FIELDS)


# One line of a write as the library lays it out, by KEYS. What it does not match (names with escapes, the lines of other
# events, later versions) goes the slow way, through json.
_TEXT, _N = rb"[ !#-\[\]-~]", rb"\d{1,18}"
_FAST_VALUES = {    # () is what a field takes
    "count": rb"(?:(" + _N + rb")|null)", "number": rb"(?:(-?" + _N + rb")|null)", "seconds": rb"(\d{1,18}\.\d{6})",
    "time": rb'"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z)"', "word": rb'(?:"(\w{1,64})"|null)',
    "name": rb'(?:"(' + _TEXT + rb'*)"|null)', "bool": rb"(true|false)", "seed": rb"(\d{1,20}|null)",
    "rule": rb'(?:"([!#-\[\]-~]+)"|null)', "again": rb'(?:"([\w%:=.,+?*-]+)"|null)', "hash": rb'"([0-9a-f]{1,16})"',
    "frames": rb'\[((?:"' + _TEXT + rb'+"(?:,(?="))?)*)\]', "disposition": rb"(null|\{[^}\\]*\})",
    "ended": rb"(null|\{[^}\\]*\})", "history": rb'\[((?:\{"what":"\w+","call":"\w+","ago_ms":' + _N + rb',"errno":(?:"\w+"|null),"sent_since":(?:' + _N +
               rb'|null),"caller":"' + _TEXT + rb'+"\}(?:,(?=\{))?)*)\]'}


def _fast():
    """The pattern of such a line; its groups are FIELDS."""
    line = rb""
    for name, kind, events in KEYS:
        if not {"all", "writes", "inject", "call", "limited", "sourced"} & set(events.split()):
            continue
        value = _FAST_VALUES[kind] if name != "ev" else rb'"(' + "|".join(WRITES).encode() + rb')"'
        if name not in FIELDS:
            value = re.sub(rb"(?<!\\)\((?!\?)", b"(?:", value)
        key = (b"," if line else b"") + rb'"%s":%s' % (name.encode(), value)
        # Earlier versions had no site and no engine.
        line += key if events in ("all", "writes") and name not in ("site", "engine") or "killed" in events or \
            "disposition" in events else b"(?:%s)?" % key
    return re.compile(rb"\{" + line + rb"\}\s*")


_FAST = _fast()


# ---- files ----

_KINDS = ((stat.S_ISFIFO, "it is a FIFO"), (stat.S_ISSOCK, "it is a socket"), (stat.S_ISDIR, "it is a folder"),
          (stat.S_ISCHR, "it is a device"), (stat.S_ISBLK, "it is a device"))


def open_plain(path, pipe=False, links=True):
    """PATH for reading, if that is sure not to wait: a regular file or /dev/null; with PIPE also a shell's <(command),
    which has a writer. An OSError says what else it is."""
    st = os.stat(path) if links else os.lstat(path)
    if stat.S_ISFIFO(st.st_mode) and pipe and re.fullmatch(r"/proc/\d+/fd/pipe:\[\d+\]", os.path.realpath(path)):
        return open(path, "rb")
    _refuse(path, st)
    fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | (0 if links else os.O_NOFOLLOW))
    try:
        _refuse(path, os.fstat(fd))     # it may be another one by now
        return open(fd, "rb")
    except OSError:
        os.close(fd)
        raise


def _refuse(path, st):
    if stat.S_ISREG(st.st_mode) or stat.S_ISCHR(st.st_mode) and st.st_rdev == os.makedev(1, 3):
        return
    raise OSError(errno.EINVAL, next((what for is_it, what in _KINDS if is_it(st.st_mode)), "it is no file"), path)


def open_log(path):
    """PATH ('-': standard input) as a binary file; gzip is recognised by its first bytes."""
    if path == "-" and sys.stdin is None:
        raise OSError(errno.EBADF, "it is closed", path)
    raw = sys.stdin.buffer if path == "-" else open_plain(path, pipe=True)
    return gzip.open(raw) if raw.peek(2)[:2] == b"\x1f\x8b" else raw


def distinct(paths):
    """(PATHS without those that are a file which is there already, by a link or twice; pairs of these and what they are)."""
    known, out, twice = {}, [], []
    for path in paths:
        try:
            st = os.stat(path)
        except OSError:
            st = None       # it is said when it is read
        key = (st.st_dev, st.st_ino) if st and stat.S_ISREG(st.st_mode) and path != "-" else len(out)
        if key in known:
            twice.append((path, known[key]))
        else:
            known[key] = path
            out.append(path)
    return out, twice


class Reader:
    """The events of the binary file SOURCE. After that: LINES read, FOREIGN ones among them, how many events were the
    library's OWN, and whether it is DAMAGED: compressed, and not to be read to its end."""

    def __init__(self, source):
        self.source = source
        self.lines = self.foreign = self.own = 0
        self.damaged = False

    def _chunks(self):
        while not self.damaged:
            try:
                data = self.source.read1(CHUNK)
            except (OSError, EOFError, zlib.error) as e:
                if getattr(e, "errno", None):
                    raise
                self.damaged, data = True, b""
            if not data:
                return
            yield data

    def _lines(self):
        """The lines without their ends; for what is no line of a log, being too long, a byte that is foreign."""
        rest = b""
        for data in self._chunks():
            lines = (rest + data).split(b"\n")
            rest = lines.pop()
            if len(rest) > LINE_MAX:
                rest = b"\0"
            for line in lines:
                yield line if len(line) <= LINE_MAX else b"\0"
        if rest:
            yield rest

    def __iter__(self):
        """Tuples of FIELDS of what befell a write, and other events as dicts."""
        fast, block, lines, own = _FAST.fullmatch, [], 0, 0
        for line in self._lines():
            lines += 1
            m = fast(line)
            if m:
                own += 1
                yield m.groups()
                continue
            if block and line.startswith(b"        ") and len(block) < 64:
                block.append(line)
                continue
            if block:
                yield from self._known(_text_event(block), block)
                block = []
            if line.startswith(b"pipeguard["):
                block = [line]
            elif line.startswith(b"{"):
                yield from self._known(json_event(line), block)
            else:
                self.foreign += bool(line.strip())
        if block:
            yield from self._known(_text_event(block), block)
        self.lines += lines
        self.own += own
        self.foreign += self.damaged

    def _known(self, event, block):
        if not event:
            self.foreign += len(block) or 1
            return
        self.own += 1
        yield fields_of(event) if event["ev"] in WRITES else event

    def dicts(self, text=False):
        """All events of a log in JSON, as dicts; if TEXT, of one in text as well."""
        block = []
        for line in self._lines():
            if block and line.startswith(b"        ") and len(block) < 64:
                block.append(line)
                continue
            if block:
                yield from filter(None, [_text_event(block)])
            block = [line] if text and line.startswith(b"pipeguard[") else []
            if line.startswith(b"{"):
                yield from filter(None, [json_event(line)])
        if block:
            yield from filter(None, [_text_event(block)])


class Folded:
    """What a Reader would have of SOURCE, a regular file, but with what is the same in many lines taken together by
    COMMAND, the program pipeguard, which is faster. ADD, of a Report, takes the sums. TICK(part) is told how far it is."""

    def __init__(self, source, command, report, tick):
        self.source, self.report, self.tick = source, report, tick
        self.lines = self.foreign = self.own = 0
        self.damaged = False
        os.lseek(source.fileno(), 0, os.SEEK_SET)
        self.size = os.fstat(source.fileno()).st_size
        environment = {k: v for k, v in os.environ.items() if not k.startswith(("LD_PRELOAD", "PIPEGUARD_"))}
        self.child = subprocess.Popen([command, "--fold"], stdin=source, stdout=subprocess.PIPE,
                                      stderr=subprocess.DEVNULL, env=environment)
        self.works = self.child.stdout.readline() == b"\1F\t1\n"
        if not self.works:      # it is of another version
            self._end()
            os.lseek(source.fileno(), 0, os.SEEK_SET)

    def _end(self):
        self.child.stdout.close()
        return self.child.wait()

    def __iter__(self):
        reader = Reader(_Unfolded(self))
        yield from reader
        if self._end():
            raise OSError(errno.EIO, "it could not be read to its end")
        self.lines += reader.lines
        self.foreign += reader.foreign
        self.own += reader.own


class _Unfolded:
    """As a file, what was not folded. The sums between go to the report in their order: what was read before is known
    to it by then."""

    def __init__(self, folded):
        self.folded, self.rest, self.pieces = folded, b"", []

    def read1(self, size):
        while True:
            while self.pieces:
                piece = self.pieces.pop()
                if piece[:1] != b"\1":
                    return piece
                self._take(piece)
            data = self.folded.child.stdout.read1(size)
            if not data and not self.rest:
                return b""
            self._cut(data)

    def _cut(self, data):
        folded = self.folded
        if folded.tick and folded.size:
            folded.tick(os.lseek(folded.source.fileno(), 0, os.SEEK_CUR) / folded.size)
        text = self.rest + data
        end = text.rfind(b"\n") + 1 if data else len(text)
        self.rest = text[end:end + LINE_MAX + 1]    # more of a line is too much, whatever it is
        self.pieces = _RUNS.findall(text[:end])[::-1]

    def _take(self, sums):
        report = self.folded.report
        for line in sums.split(b"\n")[:-1]:
            word, *fields = line[1:].split(b"\t")
            fields = [None if f == b"\\N" else f for f in fields]
            if word == b"K":
                report.add_sum(*map(int, fields[:2]), *fields[2:4], *(f == b"1" for f in fields[4:6]), *fields[6:])
            elif word == b"T":
                report.timeline.add(fields[0], fields[1], int(fields[2]))
            elif word == b"E":
                report.events[fields[0]] += int(fields[1])
            elif word == b"L":
                self.folded.lines += int(fields[0])
                self.folded.own += int(fields[0])


_RUNS = re.compile(rb"(?:\x01.*\n)+|(?:(?!\x01).*\n)+|.+")     # of lines with sums, of others


# ---- text ----

_HEAD = _pattern(r"pipeguard\[(\d{1,18}):(?:\d{1,18}|\?) (.*?)\] (?:(\d{4}-\d\d-\d\dT[\d:.]{15}Z) )?(.*)")
_CALL = _pattern(r"(\w+|a write)\((\d{1,18}|\?)(?:, (\d{1,18}))?\) = (\w+)(, then the reader left)?"
                 r"(?:, (no signal|SIGPIPE \w+))?  (\S.*)")
_RULED = _pattern(r"rule (\S+): (\S+) on (stdio's )?(\w+)\((\d{1,18})(?:, (\d{1,18}))?\)(.*)")
_SOCKET = _pattern(r"(tcp|udp|unix)(?: (.+?))? (<>|->|<-) (.+?)(?: \(pid \d+\))?(?: \(INJECTED by .*"
                   r"|, (?:accepted|connected|idle|repeated|\d+ bytes) .*)?")
_TIMES = r"(once|twice|\d{1,18} times)"
_TAIL = _pattern(r"(?:, repeated " + _TIMES + r")?(?: \(INJECTED by (\S+)\))?$")
_WARNED = _pattern(r"(\w+)\(\) (returned (\w+)|closed this side) .* before, in ([^,]*)")
_PLACE = _pattern(r"(\S+)\+0x[0-9a-f]+ \((.+)\)")
_LOST = _pattern(r"(\d{1,18}) lines? before this one (?:was|were) (lost|left out)")
_CONFINED = "of a program that confined itself"
_ENDED = _pattern(r"exit: (\d{1,18}) broken writes?")
_LEFT = _pattern(r"(?:(close|shutdown)\((\d{1,18})\)|ends with (\d{1,18}) open)( with unread bytes)?: ")
_UNREAD = _pattern(r", (\d{1,18}) bytes? waits? unread")
_FIRED = _pattern(r"rule (\S+) fired " + _TIMES)
_BROKE = _pattern(_TIMES + r" (\w+|a write)\((?:-?\d+|\?)\)(?: at (.*))?")
_ESCAPE = _pattern(r"\\x([0-9a-f]{2})")
_SIGNALS = {"no signal": "none", "SIGPIPE kills": "fatal"}
_WARNINGS = {"EOF": "eof", "ECONNRESET": "reset", "EPIPE": "reset", "ECONNREFUSED": "refused", None: "shutdown"}


def _times(words):
    return {"once": 1, "twice": 2}.get(words) or int(words.split()[0])


def unescaped(name):
    """NAME as it was before a log in text escaped it, each byte a character."""
    return _ESCAPE.sub(lambda m: chr(int(m.group(1), 16)), name)


def _frame(place):
    """'symbol+0x41 (module+0x1c01)' as JSON has it: 'module+0x1c01 symbol'."""
    m = _PLACE.fullmatch(place.strip())
    return "%s %s" % m.group(2, 1) if m else place.strip()


def _object(event, rest):
    m = _SOCKET.fullmatch(rest)
    if m:
        event["kind"], local, arrow, peer = m.groups()
        event["local"], event["peer"] = unescaped(local) if local else None, unescaped(peer)
        event["side"] = {"->": "client", "<-": "server"}.get(arrow)
    else:
        event["kind"] = None if rest.startswith(("unknown object", _CONFINED)) else re.split("[ ,]", rest)[0] or None
    repeated, event["rule"] = _TAIL.search(rest).groups()
    event.update(repeated=_times(repeated or "once"), injected=bool(event["rule"]))


def _text_call(event, m):
    call, fd, length, ret, _, signal, rest = m.groups()
    failed = not ret.isdigit()
    event.update(call=None if call == "a write" else call, fd=None if fd == "?" else int(fd),
                 len=int(length) if length else None, ret=-1 if failed else int(ret[:18]))
    event["errno"] = ret if failed else None
    if signal or rest.startswith(_CONFINED):
        event["ev"] = "epipe"
        event["signal"] = _SIGNALS.get(signal, signal.split()[-1]) if signal else None
    else:
        event["ev"] = {"ECONNRESET": "reset", "ECONNREFUSED": "refused", "EPIPE": "reset"}.get(ret, "call")
        if ret == "0" and call.lstrip("_").startswith("re"):
            event["ev"] = "eof"
    _object(event, rest)


def _text_event(block):
    """The event of a header line and its continuation lines; None if it is not one."""
    lines = [line.decode("latin-1").strip("\r") for line in block]
    head = _HEAD.fullmatch(lines[0])
    if not head:
        return None
    pid, comm, when, body = head.groups()
    event = {"t": when, "pid": int(pid), "comm": unescaped(comm), "history": [], "stack": [], "dropped": 0,
             "sites": [], "rules": {}}
    call, rule, ended, left = _CALL.fullmatch(body), _RULED.fullmatch(body), _ENDED.match(body), _LEFT.match(body)
    if call:
        _text_call(event, call)
    elif rule:
        event.update(ev="inject", call=rule.group(4), fd=int(rule.group(5)), via="stdio" if rule.group(3) else "call")
        _object(event, rule.group(7).split("  ", 1)[-1])
        event.update(rule=rule.group(1), injected=True)
    elif left:
        call, fd, open_fd, unread = left.groups()
        event.update(ev="doomed" if unread else "closed", call=call or "_exit", fd=int(fd or open_fd))
        waits = _UNREAD.search(body)
        event["unread"] = int(waits.group(1)) if waits else None
        _object(event, body.split("  ", 1)[-1] if "  " in body else "")
    elif ended:
        event.update(ev="exit", events=int(ended.group(1)))
    elif body.startswith("SIGPIPE "):
        event["ev"] = "disposition" if body.startswith("SIGPIPE set ") else "killed"
    elif body.startswith("pid ") and ": not seen from here" in body:
        event["ev"] = "unreached"
    elif body.startswith("load: "):
        event.update(ev="load", program=unescaped(body[6:].rpartition(", gates ")[0]))
    else:
        return None
    for line in lines[1:]:
        _text_more(event, line.strip())
    return known(event)


def _text_more(event, line):
    warned, lost, fired, broke = (p.match(line) for p in (_WARNED, _LOST, _FIRED, _BROKE))
    if line.startswith("at "):
        event["stack"] = [_frame(place) for place in line[3:].split(" < ")]
    elif line.startswith("again: "):
        event["again"] = line[7:]
        event["via"] = "stdio" if line.startswith("again: %stdio:") else "call"
    elif warned:
        event["history"].append({"what": _WARNINGS.get(warned.group(3), "reset"), "call": warned.group(1),
                                 "caller": _frame(warned.group(4))})
    elif event["ev"] == "exit" and fired:
        event["rules"][fired.group(1)] = _times(fired.group(2))
    elif event["ev"] == "exit" and broke:
        call = broke.group(2)
        event["sites"].append({"call": None if call == "a write" else call, "count": _times(broke.group(1)),
                               "caller": _frame(broke.group(3)) if broke.group(3) else None})
    elif lost:
        event["dropped" if lost.group(2) == "lost" else "limited"] = int(lost.group(1))


# ---- places in a program ----

_FRAME = re.compile(r"(.*?)\+(0x[0-9a-f]{1,16})(?: (.*))?")


def frame_parts(frame):
    """(module+0xoffset, module, 0xoffset, symbol) of a FRAME; what is not there is ''."""
    m = _FRAME.fullmatch(frame)
    if not m:
        return frame, "", "", ""
    return "%s+%s" % m.group(1, 2), m.group(1), m.group(2), m.group(3) or ""


# ---- code that a program made as it ran ----

PERF_MAP, PERF_NAME = 1 << 28, 300     # bytes that are read of such a map, and shown of a name
_MADE = re.compile(rb"(?:0x)?([0-9a-fA-F]{1,16}) (?:0x)?([0-9a-fA-F]{1,16}) ([^\n]+)")


def made_names(pid, frames, places=()):
    """{frame: name} of those FRAMES of process PID that are in no module, by its perf-PID.map, as node and the JVM write it:
    one of PLACES or in /tmp, there of this user or of root."""
    wanted = sorted((int(frame_parts(f)[2], 16), f) for f in set(frames) if frame_parts(f)[1] == "?")
    addresses, out = [address for address, _ in wanted], {}
    for start, size, name in _map_of("perf-%d.map" % pid, places) if wanted else ():
        i = bisect.bisect_left(addresses, start)
        while i < len(addresses) and addresses[i] < start + size:
            out[wanted[i][1]] = name    # the last one: code that has gone makes room for other code
            i += 1
    return out


def _map_of(name, places):
    """(start, size, name) of its lines."""
    paths = [os.path.join(p, name) if os.path.isdir(p) else p for p in places]
    for path in [p for p in paths if os.path.basename(p) == name] + [os.path.join("/tmp", name)]:
        try:
            fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY)
        except OSError:
            continue
        with open(fd, "rb") as f:
            st = os.fstat(fd)
            if not stat.S_ISREG(st.st_mode) or st.st_uid not in (0, os.geteuid()):
                continue
            left = PERF_MAP
            for line in iter(lambda: f.readline(LINE_MAX) if left > 0 else b"", b""):
                left -= len(line)
                m = _MADE.match(line)
                if m:
                    yield int(m.group(1), 16), int(m.group(2), 16), m.group(3)[:PERF_NAME].decode("utf-8", "surrogateescape")
        return


def above_start(frames):
    """FRAMES without libc's start of main, as text logs have them."""
    parts = [frame_parts(f) for f in frames]
    end = next((i for i, p in enumerate(parts) if p[3].startswith("__libc_start_main")), len(frames))
    while end < len(frames) and end > 1 and re.match(r"libc[.-]", parts[end - 1][1]):
        end -= 1
    return frames[:max(1, end)]


def glob(name):
    """NAME as a word of a rule: what a rule would have to protect is any one byte."""
    word = re.sub(rb"[^A-Za-z0-9._+-]", b"?", name.encode("utf-8", "surrogateescape")).decode("ascii")
    return word if len(word) <= 64 else word[:64] + "*"


# ---- source lines ----

class Symbols:
    """Source lines of frames ('module+0xoffset symbol') through addr2line or eu-addr2line."""

    def __init__(self, places=(), known=None):
        """PLACES: files and folders to look in first. KNOWN: (path, build-id) of modules, as the log has them."""
        self.known = known or {}
        self.tool = shutil.which("addr2line") or shutil.which("eu-addr2line")
        self.places = list(places)
        self.names = {}         # of modules, as people know them
        self.paths = {}
        self.lines = {}
        self.plain = {}         # of mangled names
        self.libraries = None

    def _known_libraries(self):
        if self.libraries is None:
            self.libraries = {}
            tool = shutil.which("ldconfig", path=os.environ.get("PATH", "") + ":/sbin:/usr/sbin")
            try:
                text = os.fsdecode(subprocess.run([tool, "-p"], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                                                  timeout=10).stdout) if tool else ""
            except (OSError, subprocess.SubprocessError):
                text = ""
            import pgelf    # for this alone
            ours = pgelf.machine(sys.executable)
            lines = [line.strip().partition(" => ")[::2] for line in text.split("\n") if " => " in line]
            # Of one name there may be a library for each machine that this one can be.
            for name, path in sorted(lines, key=lambda line: pgelf.machine(line[1]) != ours):
                self.libraries.setdefault(os.path.basename(path), path)
                self.libraries.setdefault(name.split(" ")[0], path)
        return self.libraries

    def path_of(self, module):
        """The file that MODULE, a base name, most likely is; None if there is none."""
        if "/" in module or "\0" in module:
            return None
        if module not in self.paths:
            self.paths[module] = self._given(module) or (
                self._told(*self.known[module]) if module in self.known else self._known_libraries().get(module) or
                shutil.which(module, path=os.environ.get("PATH", "") + ":/usr/sbin:/sbin"))
        return self.paths[module]

    def _given(self, module):
        for place in self.places:
            if os.path.isdir(place):
                place = os.path.join(place, module)
            if module in (os.path.basename(os.path.realpath(place)), os.path.basename(place)) and os.path.isfile(place):
                return place
        return None

    def _told(self, path, build_id):
        """PATH, if the very build that ran lies there; else what debuginfod has of it, where that is configured."""
        import pgelf    # for this alone
        if path and os.path.isfile(path) and build_id in (None, pgelf.build_id(path)):
            return path
        tool = shutil.which("debuginfod-find") if build_id and os.environ.get("DEBUGINFOD_URLS") else None
        try:
            said = subprocess.run([tool, "debuginfo", build_id], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
                                  stderr=subprocess.DEVNULL, timeout=90).stdout if tool else b""
        except (OSError, subprocess.SubprocessError):
            return None
        found = os.fsdecode(said.strip())
        return found if found and os.path.isfile(found) else None

    def look_up(self, frames):
        """Finds the lines of many FRAMES at once: one process for each module."""
        wanted = {}
        for frame in frames:
            where, module, offset, _ = frame_parts(frame)
            if module and where not in self.lines:
                self.lines[where] = None
                wanted.setdefault(module, []).append(offset)
        self._demangle(frames)
        for module, offsets in wanted.items():
            path = self.path_of(name_of(unescaped(module))) if self.tool and module != "?" else None
            if path:
                self._ask(module, path, offsets)

    def _demangle(self, frames):
        """Names of C++ and Rust, of which there is no more than the log has."""
        mangled = sorted({s for s in (frame_parts(f)[3] for f in frames) if s.startswith(("_Z", "_R"))} - set(self.plain))
        tool = shutil.which("c++filt") if mangled else None
        try:
            out = _filtered(tool, "\n".join(mangled).encode() + b"\n") if tool else b""
        except (OSError, subprocess.SubprocessError):
            return
        self.plain.update((m, _as_written(m, p)) for m, p in zip(mangled, os.fsdecode(out).split("\n")[:-1]) if len(p) < 4096)

    def _ask(self, module, path, offsets):
        environment = {k: v for k, v in os.environ.items() if k not in ("DEBUGINFOD_URLS", "LD_PRELOAD")}
        try:
            done = subprocess.run([self.tool, "-C", "-f", "-e", path], input="\n".join(offsets).encode() + b"\n",
                                  stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, env=environment, timeout=60)
        except (OSError, subprocess.SubprocessError):
            self.tool = None    # it would do no better with the next one
            return
        out = os.fsdecode(done.stdout).split("\n")
        for i, offset in enumerate(offsets):
            function, line = (out[2 * i:2 * i + 2] + ["??", "??:0"])[:2]
            line = line.split(" (")[0]
            # Without a line the function is the nearest name before it, which may be another one's.
            if not line.startswith("??") and not line.endswith((":0", ":?")):
                self.lines[module + "+" + offset] = (function, line)

    def line_of(self, frame):
        """'file.c:12', or None."""
        found = self.lines.get(frame_parts(frame)[0])
        return found[1] if found else None

    def named(self, where):
        """'module+0x1c01' with the name by which the module is known."""
        module, plus, offset = where.rpartition("+")
        return self.names.get(module, module) + plus + offset

    def place_of(self, frame):
        """How a person names FRAME: 'function (file.c:12)', 'symbol (module+0x1c01)' or 'module+0x1c01'."""
        where, _, _, mangled = frame_parts(frame)
        found = self.lines.get(where)
        symbol = self.plain.get(mangled, mangled)
        where = self.named(where)
        if found:
            function = _as_written(mangled, found[0]) if found[0] != "??" else symbol or where
            return "%s (%s)" % (function, short_path(found[1]))
        return "%s (%s)" % (symbol, where) if symbol else where


def _filtered(tool, names):
    """What TOOL makes of NAMES, as far as that takes no more than a log may: one of 200 letters can stand for gigabytes."""
    def bound():
        for what, most in ((resource.RLIMIT_AS, 256 << 20), (resource.RLIMIT_FSIZE, 16 << 20), (resource.RLIMIT_CPU, 3)):
            resource.setrlimit(what, (most, most))
    with tempfile.TemporaryFile() as out:
        subprocess.run([tool], input=names, stdout=out, stderr=subprocess.DEVNULL, timeout=60, preexec_fn=bound)
        out.seek(0)
        return out.read()


def _as_written(mangled, plain):
    """PLAIN, a name that MANGLED stands for, without what Rust's compiler adds: the numbers by which it tells crates and
    builds apart, the types of constants."""
    if mangled.startswith("_R"):
        plain = re.sub(r"(?<=\w)\[[0-9a-f]+\]", "", plain)
        return re.sub(r"(?<=[\w']): ([iu](8|16|32|64|128|size)|bool|char)(?=[],>])", "", plain)
    return re.sub("::h[0-9a-f]{16}$", "", plain) if re.search("17h[0-9a-f]{16}E", mangled) else plain


def short_path(line):
    """The last two parts of a source path."""
    return "/".join(line.split("/")[-2:])


def number(n):
    return "{:,}".format(n)
