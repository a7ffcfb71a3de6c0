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


class Tail:
    """One log, from its beginning on; one that was cut off or replaced begins anew."""

    def __init__(self, path):
        self.path, self.file, self.rest, self.quiet = path, None, b"", 0

    def _open(self):
        try:
            st = os.stat(self.path)
        except OSError:
            return      # it will come
        if self.file:
            mine = os.fstat(self.file.fileno())
            if (mine.st_dev, mine.st_ino) == (st.st_dev, st.st_ino) and mine.st_size >= self.file.tell():
                return
            self.file.close()
            self.rest = b""
        self.file = pglog.open_plain(self.path)

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
        self.names, self.known = names, {}

    def all(self):
        for name in self.names:
            if name == "-":
                self.known.setdefault("-", Stream(sys.stdin.buffer))
                continue
            for path in sorted(glob.glob(name)) or ([name] if not glob.has_magic(name) else []):
                self.known.setdefault(path, Tail(path))
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
