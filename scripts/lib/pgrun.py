# SPDX-License-Identifier: MIT
"""One run of a program, watched and cleaned up after: nothing of it is left, whatever it forks. Python 3.7."""

import collections
import ctypes
import errno
import fcntl
import hashlib
import os
import re
import selectors
import shutil
import signal
import socket
import stat
import subprocess
import tempfile
import time

import pglog

PR_SET_PDEATHSIG, PR_SET_CHILD_SUBREAPER = 1, 36
KEEP = 1 << 16      # bytes of an output that are kept: half of its beginning, half of its end
TICK = 0.02
SMALL, FEW, PAUSE = 1 << 12, 8, 0.001   # so many reads that found no more than so much: then more is waited for, so long
LINGER = 0.5        # seconds that a background child may go on writing
DIGITS = re.compile(rb"0x[0-9a-fA-F]+|[0-9a-fA-F]{12,}|\d+(?:\.\d+)*")
BLANKS = re.compile(rb"[ \t]+")
PIECES = re.compile(rb"[^\r\n]{1,%d}" % KEEP)    # a longer line is cut at the same bytes, however it came


class Stopped(Exception):
    """The sweep is being stopped."""


STOPS = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def heed_stops():
    """From here on Stopped is raised by the first of STOPS, wherever this process is or waits."""
    for sig in STOPS:
        if sig != signal.SIGHUP or signal.getsignal(sig) != signal.SIG_IGN:     # nohup
            signal.signal(sig, _stop)


def _stop(*_):
    ignore_stops()  # nothing is to interrupt what cleans up
    raise Stopped()


def new_name(prefix):
    """The name of a folder that nobody has yet. Who is stopped knows it before it is there, and can remove it."""
    return os.path.join(tempfile.gettempdir(), prefix + os.urandom(8).hex())


LEFT = re.compile(r"pipeguard-(sweep|replay)\.[0-9a-f]{16}")
YOUNG = 60  # seconds: it may be about to be taken


def take(folder):
    """Makes FOLDER, of a new name. By a lock it is this process's and its forks', until all of them have ended. Those
    beside it whose processes were killed go."""
    os.mkdir(folder, 0o711)
    os.chmod(folder, 0o711)
    _locked(os.open(folder, os.O_RDONLY | os.O_DIRECTORY))
    try:
        beside = [e.path for e in os.scandir(os.path.dirname(folder)) if LEFT.fullmatch(e.name)]
    except OSError:
        return
    for path in beside:
        _remove_left(path)


def _locked(fd):
    return _try(fcntl.flock, fd, fcntl.LOCK_EX | fcntl.LOCK_NB)


def _remove_left(path):
    try:
        fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return
    try:
        st = os.fstat(fd)
        if st.st_uid == os.geteuid() and time.time() - st.st_mtime > YOUNG and _locked(fd):
            remove(path)
    finally:
        os.close(fd)


def ignore_stops():
    for sig in STOPS:
        signal.signal(sig, signal.SIG_IGN)


def masked(line):
    """LINE, or lines, without what differs from run to run: numbers, addresses, hashes, and how they are padded."""
    return BLANKS.sub(b" ", DIGITS.sub(b"N", line))


class Output:
    """What came through a pipe: its digest, its lines without numbers, and its ends. Memory is bounded."""

    def __init__(self):
        self.length = 0
        self.exact = hashlib.sha256()
        self.masked = hashlib.sha256()
        self.sorted = 0     # a sum of hashes: the lines in any order
        self.head, self.tail, self.rest = b"", b"", b""
        self.waiting, self.waits = [], 0    # as it was read, and how much

    def add(self, data):
        self.length += len(data)
        self.waiting.append(data)
        self.waits += len(data)
        if self.waits >= KEEP:
            self._take()

    def _take(self):
        """What waits: much at once, for a program may write line by line."""
        data, self.waiting, self.waits = b"".join(self.waiting), [], 0
        self.exact.update(data)
        room = KEEP // 2 - len(self.head)
        self.head += data[:max(0, room)]
        if len(data) > max(0, room):
            self.tail = (self.tail + data[max(0, room):])[-KEEP // 2:]
        text = self.rest + data
        pieces = PIECES.findall(text)
        self.rest = pieces.pop() if pieces and text[-1:] not in (b"\r", b"\n") else b""
        self._lines(pieces)

    def _lines(self, lines):
        if not lines:
            return
        text = masked(b"\n".join(lines))
        self.masked.update(text + b"\n")
        for line, n in collections.Counter(text.split(b"\n")).items():
            self.sorted += n * int.from_bytes(hashlib.blake2b(line, digest_size=8).digest(), "big")

    def result(self):
        self._take()
        if self.rest:
            self._lines([self.rest])
            self.rest = b""
        cut = b"" if self.length <= KEEP else b"\n...\n"
        return {"length": self.length, "exact": self.exact.hexdigest(), "masked": self.masked.hexdigest(),
                "sorted": self.sorted % (1 << 64), "text": (self.head + cut + self.tail).decode("utf-8", "replace")}


class Process:
    def __init__(self, popen, outputs):
        self.popen, self.pid, self.outputs = popen, popen.pid, outputs
        self.open = len(outputs)
        self.started, self.ended, self.status = time.monotonic(), None, None

    def how(self):
        """Status as a shell's would be read: a number, or minus the signal; None while it runs."""
        if self.status is None:
            return None
        return -os.WTERMSIG(self.status) if os.WIFSIGNALED(self.status) else os.WEXITSTATUS(self.status)


class Tree:
    """The descendants of this process, which is theirs alone (a fork made for it)."""

    def __init__(self):
        libc = ctypes.CDLL(None, use_errno=True)
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGTERM, 0, 0, 0)
        libc.prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
        # A terminal sends it to all: the sweep stops its runs. No SIG_IGN, which the programs would inherit.
        signal.signal(signal.SIGINT, lambda *_: None)
        self.selector = selectors.DefaultSelector()
        self.processes, self.orphans = {}, []
        self.small = 0      # reads one after another that found little

    def start(self, argv, env, cwd, stdin, shell=False):
        with open(stdin or os.devnull, "rb") as source:
            popen = self._popen(argv, env=env, cwd=cwd, stdin=source, stdout=subprocess.PIPE,
                                stderr=subprocess.PIPE, shell=shell, start_new_session=True)
        process = Process(popen, {"out": Output(), "err": Output()})
        for pipe, name in ((popen.stdout, "out"), (popen.stderr, "err")):
            os.set_blocking(pipe.fileno(), False)
            self.selector.register(pipe, selectors.EVENT_READ, (process, name))
        self.processes[process.pid] = process
        return process

    @staticmethod
    def _popen(argv, **how):
        """As a shell starts it, and execvp: what the kernel knows no interpreter for is the shell's."""
        try:
            return subprocess.Popen(argv, **how)
        except OSError as e:
            if e.errno != errno.ENOEXEC or how["shell"]:
                raise
        return subprocess.Popen(["/bin/sh", argv[0] if "/" in argv[0] else shutil.which(argv[0]) or argv[0]] + argv[1:], **how)

    def _read(self, pipe, process, name):
        try:
            data = os.read(pipe.fileno(), 1 << 16)
        except BlockingIOError:
            return
        if data:
            process.outputs[name].add(data)
            self.small = self.small + 1 if len(data) < SMALL else 0
            return
        self.selector.unregister(pipe)
        pipe.close()
        process.open -= 1

    def reap(self):
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if not pid:
                return
            process = self.processes.get(pid)
            if process:
                process.status, process.ended = status, time.monotonic()
            else:
                self.orphans.append(status)

    def pump(self, done, deadline):
        """Reads and reaps until DONE(); False if DEADLINE (monotonic) came first."""
        while True:
            found = self.selector.select(TICK if self.processes else 0)
            for key, _ in found:
                self._read(key.fileobj, *key.data)
            if found and self.small > FEW:
                time.sleep(PAUSE)   # each line by itself would cost more than all of them
            self.reap()
            if done():
                return True
            if time.monotonic() >= deadline:
                return False
            if not self.selector.get_map():
                time.sleep(TICK / 4)

    def finish(self, process, deadline):
        """Waits for the end of PROCESS and of its output."""
        def done():
            return process.ended is not None and (not process.open or time.monotonic() - process.ended > LINGER)
        return self.pump(done, deadline)

    def busy(self):
        """Is one of the descendants running, or do all of them wait?"""
        for pid in descendants():
            try:
                with open("/proc/%d/stat" % pid, "rb") as f:
                    if f.read().rpartition(b")")[2].split()[0] == b"R":
                        return True
            except (OSError, IndexError):
                pass
        return False


def descendants():
    """The processes below this one."""
    children = {}
    for name in os.listdir("/proc"):
        if name.isdigit():
            try:
                with open("/proc/%s/stat" % name, "rb") as f:
                    parent = int(f.read().rpartition(b")")[2].split()[1])
            except (OSError, IndexError, ValueError):
                continue
            children.setdefault(parent, []).append(int(name))
    found, todo = [], [os.getpid()]
    while todo:
        below = children.get(todo.pop(), [])
        found += below
        todo += below
    return found


def reap_all():
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass


def is_childless():
    """Has this process no child, nor any below: its grandchildren come to it as their parents end (Tree)?"""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
    except ChildProcessError:
        return True
    return False


def is_engine(pid):
    """Is it what looks at programs from outside? It ends by itself, when it has written what it knows."""
    try:
        with open("/proc/%d/comm" % pid) as f:
            return f.read() == "pipeguard\n"
    except (OSError, ValueError):
        return False


def kill_all(reap=reap_all, engine=False):
    """Ends every process below this one; with ENGINE, that of a program that is looked at from outside last, and only
    if it does not end by itself. Returns how many had to be."""
    killed, end = set(), time.monotonic() + 10
    patience = time.monotonic() + (3 if engine else 0)
    reap()
    while not is_childless() and time.monotonic() < end:
        alive = descendants()
        if time.monotonic() < patience:
            alive = [pid for pid in alive if not is_engine(pid)] or alive and [0]
        if not alive:
            break
        for pid in filter(None, alive):
            try:
                os.kill(pid, signal.SIGKILL)
                killed.add(pid)
            except OSError:
                pass
        reap()
        time.sleep(0.002)
    return len(killed)


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


def is_port(text):
    """Is TEXT, of --ready, a port, and not a command?"""
    return bool(re.fullmatch("[0-9]{1,9}", text))


def listens(port):
    """Does somebody listen on PORT? Asked without a connection, which a server would notice."""
    wanted = ":%04X" % port
    for name in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            with open(name) as f:
                if any(w[1].endswith(wanted) and w[3] == "0A" for w in (line.split() for line in f) if len(w) > 3):
                    return True
        except OSError:
            pass
    return False


def digest(path):
    try:
        mode = os.lstat(path).st_mode
        if stat.S_ISLNK(mode):
            return "-> " + os.readlink(path)
        if not stat.S_ISREG(mode):
            return "mode %o" % stat.S_IFMT(mode)
        h = hashlib.sha256()
        with pglog.open_plain(path, links=False) as f:
            for block in iter(lambda: f.read(1 << 20), b""):
                h.update(block)
        return h.hexdigest()
    except OSError as e:
        return e.strerror


def files_below(folders):
    """A digest of each file below FOLDERS, by its name there."""
    found = {}
    for top in folders:
        if not os.path.isdir(top):
            found[os.path.basename(top)] = digest(top)
            continue
        for path in walk(top):
            found[os.path.relpath(path, top).encode("utf-8", "surrogateescape").decode(
                "utf-8", "backslashreplace")] = digest(path)
            if len(found) > 20000:
                return found
    return found


def walk(top):
    """What is below TOP and no folder, in the same order each time. No recursion: a program may make folders as deep as
    it likes; what is beyond the longest path that the kernel takes is left out."""
    todo = [top]
    while todo:
        here = todo.pop()
        entries = entries_of(here)
        todo += [os.path.join(here, name) for name, folder in entries if folder]
        yield from (os.path.join(here, name) for name, folder in entries if not folder)


def entries_of(folder):
    """(name, is it a folder itself?) of what is in FOLDER, sorted; nothing where it cannot be read."""
    try:
        with os.scandir(folder) as found:
            return sorted((e.name, e.is_dir(follow_symlinks=False)) for e in found)
    except OSError:
        return []


def remove(top):
    """Removes TOP, a folder of ours, and all below it, as far as that can be. Folders in it are moved up into TOP before
    they are emptied, so that no path is long; what was closed is opened. What is mounted there cannot be moved, and stays."""
    todo, count = [top], 0
    while todo:
        here = todo.pop()
        _try(os.chmod, here, 0o700)
        for name, folder in entries_of(here):
            path, count = os.path.join(here, name), count + 1
            moved = os.path.join(top, ".gone%d" % count)
            if not folder:
                _try(os.unlink, path)
            elif _try(os.chmod, path, 0o700) and _try(os.rename, path, moved):
                todo.append(moved)
            elif os.path.exists(moved) and not os.path.ismount(path):   # the program has such a name itself
                todo.append(path)
        _try(os.rmdir, here)
    _try(os.rmdir, top)


def _try(call, *args):
    """Whether CALL could be made."""
    try:
        call(*args)
    except OSError:
        return False
    return True


def filled(text, places):
    for name, value in places.items():
        text = text.replace("{%s}" % name, value)
    return text


class Run:
    """SPEC: argv, engine, rules, more (what else is set for the program alone), awaits (no call before the fault is
    logged), late (a rule from when the server is ready), stdin, setup, scratch, watch, timeout, client, ready, clients
    (how often), tree (of an earlier run in this process), folder (of its own, made and removed here)."""

    def __init__(self, spec):
        self.spec = spec
        self.folder = spec["folder"]
        self.logs = os.path.join(self.folder, "logs")
        self.scratch = os.path.join(self.folder, "work")
        self.places = {"dir": self.scratch}
        if spec.get("client"):
            self.places["port"] = str(free_port())
        self.tree = spec.get("tree") or Tree()

    def environment(self):
        env = {k: v for k, v in os.environb.items()
               if not k.startswith(b"PIPEGUARD_") and k not in (b"LD_PRELOAD", b"SWEEP_DIR", b"SWEEP_PORT")}
        env[b"SWEEP_DIR"] = os.fsencode(self.scratch)
        if "port" in self.places:
            env[b"SWEEP_PORT"] = self.places["port"].encode()
        return env

    def go(self):
        """The result, a dict; with 'failed' if there was nothing to run."""
        os.mkdir(self.folder, 0o711)
        os.chmod(self.folder, 0o711)
        for folder in (self.logs, self.scratch):
            os.mkdir(folder)
            os.chmod(folder, 0o1777)
        try:
            result = self._go()
            result["orphans"] = [-os.WTERMSIG(s) if os.WIFSIGNALED(s) else os.WEXITSTATUS(s)
                                 for s in self.tree.orphans]
        except OSError as e:
            result = {"failed": "%s: %s" % (e.filename or self.spec["argv"][0], e.strerror)}
        finally:
            left = kill_all(self.tree.reap, self.spec["engine"].outside)
        if "failed" not in result and not os.path.isdir(self.logs):
            result["failed"] = "its folder for logs, %s, was removed in the run" % self.logs
        result["left"] = left
        result["places"] = self.places
        return result

    def clean(self):
        remove(self.folder)

    def _go(self):
        spec, tree = self.spec, self.tree
        env = self.environment()
        cwd = self.scratch if spec["scratch"] else None
        if spec["setup"]:
            setup = tree.start(filled(spec["setup"], self.places), env, cwd or None, None, shell=True)
            if not tree.finish(setup, time.monotonic() + 60) or setup.how():
                return {"failed": "--setup: status %s: %s" % (
                    setup.how(), setup.outputs["err"].result()["text"].strip())}
        self.page = os.path.join(self.folder, "page") if spec.get("late") else None
        endings = None if self.page else spec["engine"].endings(os.path.join(self.folder, "endings"), spec.get("awaits"))
        for name, value in dict(spec["engine"].variables(spec["rules"], self.page, endings), **spec["more"]).items():
            env[os.fsencode(name)] = os.fsencode(value)
        env[b"PIPEGUARD_LOG"] = os.fsencode(self.logs.replace("%", "%%")) + b"/%p.log"
        taken = self._taken_port()
        if taken:
            return {"failed": "somebody listens on port %s before the server is started (--ready)" % taken}
        argv = spec["engine"].words([filled(a, self.places) for a in spec["argv"]])
        main = tree.start(argv, env, cwd, spec["stdin"])
        if spec.get("client"):
            return self._serve(main)
        ended = tree.finish(main, main.started + spec["timeout"])
        return self._result(main, not ended)

    def _result(self, main, timed_out):
        busy = timed_out and self.tree.busy()
        result = {"status": main.how(), "timed_out": timed_out, "busy": busy,
                  "seconds": (main.ended or time.monotonic()) - main.started}
        watched = ([self.scratch] if self.spec["scratch"] else []) + self.spec["watch"]
        result["files"] = files_below(watched) if watched else {}
        for name, output in main.outputs.items():
            result[name] = output.result()
        return result

    # ---- servers ----

    def _serve(self, main):
        spec, tree = self.spec, self.tree
        ready = self._ready(main)
        clients = []
        if not ready and main.ended is None:
            return {"failed": "the server was not ready (--ready) within %g s" % spec["patience"]}
        ready_at = time.monotonic()
        wrong = ready and self.page and spec["engine"].arm(self.page, spec["late"])
        if wrong:
            return {"failed": wrong}
        while ready and main.ended is None and len(clients) < spec["clients"]:
            clients.append(self._client(main))
            if self._enough(clients):
                break
        tree.pump(lambda: True, 0)
        alive = main.ended is None
        stopped = alive and self._stop(main)
        result = self._result(main, False)
        result.update(ready=ready, ready_at=ready_at, alive=alive, stopped=stopped, clients=clients)
        return result

    def _taken_port(self):
        """The port by which a server is to show that it is ready, where there is one already; None."""
        how = filled(self.spec["ready"] or "{port}", self.places) if self.spec.get("client") else ""
        return how if is_port(how) and listens(int(how)) else None

    def _enough(self, clients):
        """With a known good answer, one of it is enough; the first is what met the fault."""
        good = self.spec.get("good")
        return bool(good) and clients[-1]["status"] == good["status"] and clients[-1]["out"]["exact"] == good["exact"]

    def _ready(self, main):
        end = time.monotonic() + self.spec["patience"]
        how = self.spec["ready"] or "{port}"
        how = filled(how, self.places)
        if is_port(how):
            return self.tree.pump(lambda: listens(int(how)) or main.ended is not None, end) and main.ended is None
        while main.ended is None and time.monotonic() < end:
            probe = self.tree.start(how, self.environment(), None, None, shell=True)
            if self.tree.finish(probe, end) and probe.how() == 0:
                return main.ended is None
            self.tree.pump(lambda: False, time.monotonic() + TICK)
        return False

    def _client(self, main):
        client = self.tree.start(filled(self.spec["client"], self.places), self.environment(),
                                 self.scratch if self.spec["scratch"] else None, None, shell=True)
        ended = self.tree.finish(client, client.started + self.spec["timeout"])
        if not ended:
            busy = self.tree.busy()
            try:
                os.killpg(client.pid, signal.SIGKILL)
            except OSError:
                pass
            self.tree.finish(client, time.monotonic() + 2)
        else:
            busy = False
        self.tree.pump(lambda: main.ended is not None, time.monotonic() + TICK)
        return {"status": client.how(), "timed_out": not ended, "busy": busy,
                "seconds": (client.ended or time.monotonic()) - client.started,
                "out": client.outputs["out"].result(), "err": client.outputs["err"].result()["text"][-2000:]}

    def _stop(self, main):
        for sig in (signal.SIGTERM, signal.SIGINT):
            try:
                os.kill(main.pid, sig)
            except OSError:
                break
            if self.tree.finish(main, time.monotonic() + 3):
                return True
        return False
