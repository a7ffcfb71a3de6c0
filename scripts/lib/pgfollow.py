# SPDX-License-Identifier: MIT
"""Logs that grow: what is new in them, and a view of all of it that stays up to date. Python 3.7, nothing else."""

import errno
import glob
import io
import os
import select
import shutil
import signal
import sys
import time

import pglog

TICK = 0.25         # seconds between two looks
BEFORE = 1 << 22    # bytes that are read at once


class Files:
    """Those that were read, whatever they are called by now: who reads them, and how far those were read that nobody does."""

    MOST, HEAD = 4096, 256

    def __init__(self):
        self.readers, self.left = {}, {}

    def leave(self, key, file, at):
        """Of the file KEY, which a reader had open as FILE, what is before AT was read."""
        self.readers.pop(key, None)
        while len(self.left) >= self.MOST:
            del self.left[next(iter(self.left))]
        self.left[key] = (at, os.pread(file.fileno(), min(at, self.HEAD), 0))

    def begin(self, key, file, size):
        """Where to go on in a file that is opened: another one may have got the number of one that is gone."""
        at, head = self.left.pop(key, (0, b""))
        return at if at <= size and head == os.pread(file.fileno(), len(head), 0) else 0


class Tail:
    """One log, from its beginning on; one that was cut off or replaced begins anew, one that was read by another name
    goes on."""

    def __init__(self, path, files, needed=False):
        """NEEDED: it was asked for by this name, so what cannot be a log is refused, unless it becomes so later."""
        self.path, self.files, self.needed = path, files, needed
        self.file, self.key, self.rest, self.quiet, self.trouble = None, None, b"", 0, None

    def _close(self):
        if self.file:
            self.files.leave(self.key, self.file, self.file.tell() - len(self.rest))
            self.file.close()
        self.file, self.rest = None, b""

    def _open(self):
        try:
            st = os.stat(self.path)
        except OSError:
            return      # it will come
        key = (st.st_dev, st.st_ino)
        if self.file and key == self.key and st.st_size >= self.file.tell():
            return
        if self.files.readers.get(key, self) is not self:
            return      # it was renamed, and who has it has not noticed yet
        self._close()
        try:
            self.file = pglog.open_plain(self.path)
        except OSError as e:
            self._complain(e)
            return
        st = os.fstat(self.file.fileno())   # it may be another one by now
        self.key = (st.st_dev, st.st_ino)
        self.files.readers[self.key] = self
        self.file.seek(self.files.begin(self.key, self.file, st.st_size))
        self.trouble, self.needed = None, False

    def _complain(self, e):
        """Once, and the others are read on."""
        if self.needed:
            raise e
        if self.trouble != str(e):
            pglog.say("pipeguard report: %s: %s" % (self.path, e.strerror), sys.stderr)
        self.trouble = str(e)

    def more(self):
        """Whole lines that are new; b"" if there are none now. What may still go on in a next line waits a moment."""
        data = self.file.read(BEFORE) if self.file else b""
        if not data:
            self._open()
            data = self.file.read(BEFORE) if self.file else b""
        self.quiet = 0 if data else self.quiet + 1
        text = self.rest + data
        end = text.rfind(b"\n") + 1
        last = text.rfind(b"\npipeguard[", 0, end) + 1
        if self.quiet < 2 and text.startswith(b"pipeguard[", last):
            end = last      # an event in text: its other lines may be on the way
        self.rest = text[end:]
        return text[:end]


class Stream:
    """Standard input, or what else ends."""

    def __init__(self, file):
        self.file, self.rest, self.ended = file, b"", False

    def more(self):
        if self.ended or not select.select([self.file], [], [], 0)[0]:
            return b""
        data = self.file.read1(BEFORE)
        self.ended = not data
        text = self.rest + data
        end = len(text) if self.ended else text.rfind(b"\n") + 1
        self.rest = text[end:]
        return text[:end]


class Sources:
    """What the names stand for; a pattern may match more as time goes by."""

    def __init__(self, names):
        self.names, self.known, self.files = names, {}, Files()

    def all(self):
        for name in self.names:
            if name == "-":
                self.known.setdefault("-", Stream(sys.stdin.buffer))
                continue
            matches = glob.has_magic(name)
            for path in sorted(glob.glob(name)) if matches else [name]:
                if path not in self.known:
                    self.known[path] = Tail(path, self.files, not matches)
        return self.known.items()

    def ended(self):
        """Nothing more can come: there is nothing but streams, and they have ended."""
        return all(isinstance(s, Stream) and s.ended for s in self.known.values()) and bool(self.known)


def take_new(sources, report):
    """Adds what is new to REPORT; True: there was something."""
    changed = False
    for name, source in sources.all():
        data = source.more()
        while data:
            changed = True
            if name not in report.logs:
                report.logs.append(name)
            report.take(pglog.Reader(io.BufferedReader(io.BytesIO(data))))
            data = source.more()
    return changed


class Screen:
    """The report, redrawn on a terminal."""

    def __init__(self, report, show):
        self.report, self.show = report, show

    def draw(self):
        size = shutil.get_terminal_size()
        out = io.StringIO()
        self.show(out, max(1, (size.lines - 6) // 5))
        rows = [row[:size.columns - 1] for row in out.getvalue().split("\n")][:size.lines - 1]
        sys.stdout.write("\033[H" + "".join(row + "\033[K\n" for row in rows) + "\033[J")
        sys.stdout.flush()

    def begin(self):
        sys.stdout.write("\033[2J")

    def end(self):
        self.draw()


class Lines:
    """The report, once, at the end; before that a line whenever there was something new."""

    def __init__(self, report, show, line):
        self.report, self.show, self.line = report, show, line

    def draw(self):
        if self.line:
            self.line(self.report)
        else:
            pglog.say("%s  %s" % (time.strftime("%H:%M:%S"), ", ".join(
                "%s %s" % (name.decode("ascii", "replace"), pglog.number(n)) for name, n in
                sorted(self.report.events.items(), key=lambda kv: -kv[1])) or "nothing yet"))
        sys.stdout.flush()

    def begin(self):
        pass

    def end(self):
        if not self.line:
            self.show(sys.stdout, sys.maxsize)


class Reader:
    """Of standard output."""

    def __init__(self):
        self.poll = select.poll()
        self.poll.register(sys.stdout.fileno(), 0)

    def wait(self):
        """A moment; a BrokenPipeError where it has gone, though there may be nothing to say for long."""
        if self.poll.poll(TICK * 1000):
            raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))


def follow(names, report, show, tick, line):
    """Reads the logs NAMES into REPORT until SIGINT or SIGTERM, or their end. SHOW(out, places) writes the report, TICK()
    is called whenever there was something new, LINE(report) stands for the view, where that is to be lines."""
    stopped = []
    for sig in (signal.SIGINT, signal.SIGTERM):
        signal.signal(sig, lambda *_: stopped.append(True))
    sources = Sources(names)
    view = Screen(report, show) if sys.stdout.isatty() and not line else Lines(report, show, line)
    reader = Reader()
    view.begin()
    first = True
    while not stopped:
        if take_new(sources, report) or first:
            view.draw()
            tick()
        first = False
        if sources.ended():
            break
        reader.wait()
    view.end()
