# SPDX-License-Identifier: MIT
"""
What the program knows: its facts, read back as calls, objects and processes.

A fact is a line of diff's output that begins with '!'. This module knows nothing of the library
or its log; judge.py compares the two.
"""
from dataclasses import dataclass, field

STREAMS = {"pipe", "unix-stream", "tcp"}
LIBC_NAMES = {
    "__write": "write", "__send": "send", "__dprintf_chk": "dprintf", "__vdprintf_chk": "vdprintf",
    "__connect": "connect", "__close": "close", "__pipe": "pipe", "__dup2": "dup2",
    "__read": "read", "__read_chk": "read", "__recv_chk": "recv", "__recvfrom_chk": "recvfrom",
    "syscall-write": "write", "syscall-writev": "writev", "syscall-sendto": "sendto",
    "syscall-pwritev2": "pwritev2", "syscall-sendmsg": "sendmsg", "syscall-sendmmsg": "sendmmsg",
    "syscall-sendfile": "sendfile", "syscall-splice": "splice", "syscall-recvmsg": "recvmsg",
    "inline-write": "write", "inline-writev": "writev", "inline-sendto": "sendto",
    "inline-sendmsg": "sendmsg", "syscall-read": "read", "syscall-recvfrom": "recvfrom",
}
STDIO = {"fputs", "fprintf", "fwrite", "putc", "fputws", "fflush", "fflush-all", "fclose",
         "freopen", "fseek", "setvbuf",
         "fread", "fgets", "exit-flush"}
COPIES = {"sendmmsg", "sendfile", "splice", "tee", "vmsplice", "copy_file_range"}
SENDS = {"send", "sendto", "sendmsg", "sendmmsg"}
MSG_PEEK, MSG_NOSIGNAL, MSG_ERRQUEUE, RWF_NOSIGNAL = 0x2, 0x4000, 0x2000, 0x100


@dataclass
class Object:
    """One pipe, socket or file, whatever numbers it has."""
    name: str
    kind: str
    born_in: int = 0
    sent: int = 0
    sent_known: bool = True
    unseen: int = 0  # of SENT, what was written without libc
    by: dict = field(default_factory=dict)  # of SENT, what each process wrote
    warned: list = field(default_factory=list)  # (what, call, pid)
    may_be_warned: set = field(default_factory=set)  # what
    connection: tuple = None  # side, local, peer
    disconnected: bool = False
    tried: bool = False
    pair: bool = False
    doomed: list = field(default_factory=list)  # pids that closed the last number with unread bytes
    not_doomed: list = field(default_factory=list)

    @property
    def ino(self):
        return int(self.name.split(":")[1])


@dataclass
class Call:
    """One call of the program's, and what came of it."""
    seed: int
    pid: int
    tid: int
    way: str
    raw_name: str
    fd: int
    len: int
    flags: int
    object: Object
    ret: int = None
    err: str = None
    ran: int = 0
    blocked: bool = False
    pending: tuple = (False, False)
    disposition: str = None
    unread: int = -1
    ended: str = None  # returned, killed, jumped, gone
    midway: bool = False
    first: int = None
    passed: bool = False  # its descriptor came from another process
    confined: bool = False
    # of the object, when the call began
    sent: int = 0
    sent_known: bool = True
    unseen: int = 0
    others: int = 0
    connection: tuple = None
    warned: list = None
    may_be_warned: set = None
    disconnected: bool = False
    tried: bool = False

    @property
    def name(self):
        if self.raw_name in STDIO:
            return "read" if self.way == "r" else "write"
        return LIBC_NAMES.get(self.raw_name, self.raw_name)

    @property
    def stdio(self):
        return self.raw_name in STDIO

    @property
    def inlined(self):
        return self.raw_name.startswith("inline-")

    @property
    def raw(self):
        return self.raw_name.startswith("syscall-")

    @property
    def group(self):
        """What kind of call it is, for kinds of complaints."""
        for group in ("stdio", "inlined", "raw", "formatted"):
            if getattr(self, group):
                return group
        return self.name if self.name in COPIES else "call"

    @property
    def formatted(self):
        return "dprintf" in self.raw_name

    @property
    def several(self):
        """May it be several writes?"""
        return self.stdio or (self.formatted and self.len > 1000)

    def raises(self):
        """Would the kernel signal an EPIPE of this call?"""
        if self.name in SENDS and self.flags & MSG_NOSIGNAL:
            return False
        if self.name.startswith("pwritev") and self.flags & RWF_NOSIGNAL:
            return False
        return self.object is not None and self.object.kind in STREAMS

    def signalled(self):
        return self.ran or self.ended == "killed" or self.ended == "jumped" or \
            (self.pending[1] and not self.pending[0])

    def broke(self):
        """Is it known that this write broke, once?"""
        if self.ended in ("killed", "jumped"):
            return True
        if self.ended != "returned":
            return False
        return (self.ret == -1 and self.err == "EPIPE") or bool(self.signalled())

    def signals(self):
        """What the log may say became of the signal."""
        if self.ended == "killed":
            return {"fatal"}
        if self.ran or self.ended == "jumped":
            return {"caught"}
        if self.blocked:
            if self.pending[0]:
                return {"blocked", "none"} if self.raises() else {"none", "blocked"}
            return {"blocked"} if self.pending[1] else {"none"}
        if self.disposition == "ignored" and self.raises():
            return {"ignored"}
        return {"none"}

    def __str__(self):
        end = f"{self.ret} {self.err}" if self.ended == "returned" else self.ended
        return f"{self.raw_name}({self.fd}, {self.len}) = {end}"


def names_of(c):
    """How the log may name it. A system call has one name for what libc has two for."""
    if (c.raw or c.inlined) and c.name == "sendto":
        return ("sendto", "send")
    if c.raw and c.name.startswith("pwritev"):
        return ("pwritev2", "pwritev64v2")
    return (c.name,)


class Story:
    """What happened in the sequence of one seed."""

    def __init__(self, seed, facts):
        self.seed = seed
        self.calls = []
        self.objects = {}
        self.open = {}  # tid: calls that have not ended
        self.ends = {}  # pid: how it ended
        self.ways = {}  # pid: the way by which it left
        self.parents = {}
        self.dispositions = []  # pid, from, to
        self.kills = []
        self.executed = {}  # pid: how it ended, object
        self.pid = 0  # that spoke last
        self.is_midway = self.is_passed = False
        self.first = None  # bytes of the first of several messages
        self.vforked = set()  # pids
        self.confines_next = False
        self.confined = set()  # pids
        for line in facts:
            word, _, rest = line.partition(" ")
            reader = self.READERS.get(word)
            if reader:
                reader(self, rest.split(" "))

    def object_of(self, words):
        if words[0] == "-":
            return None
        found = self.objects.get(words[0])
        if not found or found.kind != words[1]:
            found = self.objects[words[0]] = Object(words[0], words[1], self.pid)
        return found

    def begins(self, w):
        self.pid = pid = int(w[0])
        tid = int(w[1])
        o = self.object_of(w[7:])
        c = Call(self.seed, pid, tid, w[2], w[3], int(w[4]), int(w[5]), int(w[6], 16), o)
        c.midway, c.passed = self.is_midway, self.is_passed
        self.is_midway = self.is_passed = False
        c.first, self.first = self.first, None
        c.confined = pid in self.confined
        if o:
            c.sent, c.sent_known, c.unseen = o.sent, o.sent_known, o.unseen
            c.others = o.sent - o.by.get(pid, 0)
            c.connection, c.disconnected, c.tried = o.connection, o.disconnected, o.tried
            c.warned, c.may_be_warned = list(o.warned), set(o.may_be_warned)
            if c.raw_name == "exit-flush":  # stdio tries twice: the first one may be told of it
                c.may_be_warned.add("reset")
        self.calls.append(c)
        self.open.setdefault((pid, tid), []).append(c)

    def ends_call(self, w):
        stack = self.open.get((int(w[0]), int(w[1])))
        if not stack:
            return
        c = stack.pop()
        c.ended = "returned"
        c.ret, c.err, c.ran, c.blocked = int(w[2]), w[3], int(w[4]), w[5] == "1"
        c.pending = (w[6] == "1", w[7] == "1")
        c.disposition, c.unread = w[8], int(w[9])
        self.learn(c)

    def learn(self, c):
        """What the object went through by this call."""
        o = c.object
        if o is None:
            return
        if c.way == "w":
            if c.stdio or (c.formatted and c.ret < 0) or (c.ran and c.stdio):
                o.sent_known = False
            elif c.ret > 0 and c.raw_name not in ("sendmmsg", "syscall-sendmmsg"):
                o.sent += c.ret
                o.by[c.pid] = o.by.get(c.pid, 0) + c.ret
                o.unseen += c.ret if c.inlined else 0
        self.learn_warnings(c, o)

    def learn_warnings(self, c, o):
        if c.inlined or (c.raw and c.way == "r"):
            o.may_be_warned |= {"eof", "reset", "refused"}
        elif c.err in ("ECONNRESET", "ECONNREFUSED"):
            what = "reset" if c.err == "ECONNRESET" else "refused"
            o.warned += [(what, name, c.pid) for name in names_of(c)]
        elif c.way == "r" and c.stdio:
            o.may_be_warned.add("eof")
        elif c.way == "r" and c.ret == 0 and c.len > 0 and o.kind in STREAMS and \
                not c.flags & MSG_ERRQUEUE:
            o.warned.append(("eof", c.name, c.pid))
        elif c.name == "recvmmsg" and o.kind in STREAMS:
            o.may_be_warned.add("eof")
        elif c.name == "shutdown" and c.ret == 0 and c.flags in (1, 2):
            o.warned.append(("shutdown", "shutdown", c.pid))
        elif c.ret == -1 and c.err in ("ETIMEDOUT", "EHOSTUNREACH", "ENETUNREACH", "ENETRESET",
                                       "ECONNABORTED", "EPIPE"):
            o.may_be_warned.add(c.err)

    def value(self, w):
        """getsockopt(SO_ERROR) gave this."""
        c = self.calls[-1]
        if c.object and c.ret == 0 and c.flags == 4 and w[0] in ("104", "111", "32"):
            what = "refused" if w[0] == "111" else "reset"
            c.object.warned.append((what, "getsockopt", c.pid))

    def bytes_sent(self, w):
        c = self.calls[-1]
        if c.object and c.ended == "returned" and c.ret > 0:
            c.object.sent += int(w[0])
            c.object.by[c.pid] = c.object.by.get(c.pid, 0) + int(w[0])

    def jumps(self, w):
        stack = self.open.get((int(w[0]), int(w[1])))
        if stack:
            stack.pop().ended = "jumped"

    def dies(self, w):
        pid = int(w[0])
        self.ends[pid] = " ".join(w[1:])
        for (p, _), stack in self.open.items():
            if p != pid:
                continue
            for c in stack:
                c.ended = "gone"
                if c.object:
                    c.object.sent_known = False
            if stack and self.ends[pid] == "killed by PIPE":
                stack[-1].ended = "killed"
            stack.clear()

    def connects(self, w):
        o = self.object_of(w)
        if o:
            none = lambda s: None if s == "-" else s
            o.connection = (w[2], none(w[3]), none(w[4]))
            o.disconnected = False
            o.may_be_warned |= {what for what, _, _ in o.warned}  # of what it was before
            o.warned = []

    def mark(name):
        def set_it(self, w):
            o = self.object_of(w)
            if o:
                setattr(o, name, True)
                if name == "disconnected":
                    o.connection = None
        return set_it

    def closes(self, w):
        o = self.object_of(w[3:])
        if o:
            alone = int(w[2]) == 1 and (o.born_in == int(w[0]) or int(w[0]) not in self.parents)
            (o.doomed if alone else o.not_doomed).append(int(w[0]))

    def sets(self, w):
        self.dispositions.append((int(w[0]), state_name(w[2]), state_name(w[3])))

    def executes(self, w):
        end = " ".join(w[1:-2]) if w[-1] != "-" else " ".join(w[1:-1])
        o = self.object_of(w[-2:]) if w[-1] != "-" else None
        self.executed[int(w[0])] = (end, o)
        if o and end == "exit 0":
            o.sent += 5

    def is_born(self, w):
        self.pid = int(w[0])
        self.parents[self.pid] = int(w[1])
        if self.confines_next or int(w[1]) in self.confined:
            self.confined.add(self.pid)
        self.confines_next = False

    def leaves(self, w):
        self.ways[int(w[0])] = int(w[1])

    def kills_itself(self, w):
        self.kills.append(int(w[0]))

    def comes_midway(self, _):
        self.is_midway = True

    def has_first(self, w):
        self.first = int(w[0])

    def is_vforked(self, w):
        self.vforked.add(int(w[0]))

    def comes_passed(self, _):
        self.is_passed = True

    def confines(self, _):
        self.confines_next = True

    READERS = {
        ">": begins, "<": ends_call, "jump": jumps, "dead": dies, "conn": connects,
        "pair": mark("pair"), "try": mark("tried"), "disconnected": mark("disconnected"),
        "closing": closes, "disposition": sets, "executed": executes, "born": is_born,
        "leaves": leaves, "kill": kills_itself, "midway": comes_midway, "passed": comes_passed,
        "first": has_first, "vforked": is_vforked, "confined": confines,
        "value": value, "bytes": bytes_sent,
    }


def state_name(handler):
    return handler if handler in ("default", "ignored") else "caught"
