# SPDX-License-Identifier: MIT
"""What a sweep found, as text, JSON lines and a page. Python 3.7, nothing else."""

import fnmatch
import itertools
import os
import re

import pgci
import pghtml
import pglog
import pgsites
from pglog import say

# Frames between a program and the kernel: of libc, and of Go's own packages.
LIBC = re.compile(r"(libc\.|libc-|ld-linux|ld-musl|\?)|\S* (runtime|syscall|internal|os|net|fmt|bufio|io|log|crypto|"
                  r"encoding|compress|text|html|vendor)[./]")
PAIRS = "pairs"     # the column of runs with two faults


def one_line(command):
    """A shell's COMMAND of one line or more, in one."""
    return command if command.isprintable() else "sh -c " + pglog.quoted([command])


class Accepted:
    """Known findings, by LINES as --write-accept writes them: * and ? stand for what they do in a shell."""

    def __init__(self, lines):
        self.lines = set(lines)
        self.globs = [re.compile(fnmatch.translate(line)).match for line in lines if re.search(r"[*?[]", line)]
        self.known = {}

    def __contains__(self, key):
        if key not in self.known:
            self.known[key] = key in self.lines or any(match(key) for match in self.globs)
        return self.known[key]


def is_known(sweep, accepted, site, run):
    return run["verdict"] in pgsites.BAD and sweep.finding_key(site, run) in accepted


# ---- words ----

def worst(runs):
    """The run of one cell that matters most."""
    return min(runs, key=lambda r: pgsites.VERDICTS.index(r["verdict"]))


def times(n):
    return {1: "once", 2: "twice"}.get(n) or "%s times" % pglog.number(n)


def counted(n, what):
    return "%s %s%s" % (pglog.number(n), what, "" if n == 1 else "s")


def good_run(base):
    """'status 0, 0.12 s'."""
    if base["client"]:      # a server is stopped: how it ends is the sweep's doing
        return "the client's %s, %.2f s" % (" or ".join(map(pgsites.ended, base["client"]["statuses"])), base["seconds"])
    return "%s, %.2f s" % (" or ".join(map(pgsites.ended, base["statuses"])), base["seconds"])


def fault_of(run):
    """'break', 'break of call 2', 'break, then reset'."""
    fault = run["fault"] + (" of call %d" % run["when"] if run["when"] > 1 else "")
    return fault + (", then %s" % run["then"]["fault"] if run["then"] else "")


def second_of(sweep, run):
    """Where the second fault of RUN was made."""
    site = dict(run["then"]["site"])
    sweep.name_site(site)
    return "%s, in %s" % (site["title"], site["place"])


def left_out(sweep):
    """What is said of sites that were left out; None."""
    n = sweep.left_out()
    return n and "%s left out, where a program wakes itself up (--wake-ups)" % counted(n, "site")


def count_verdicts(results):
    counts = {}
    for run in (run for _, runs in results for of in runs.values() for run in of):
        counts[run["verdict"]] = counts.get(run["verdict"], 0) + 1
    return counts


def sums(counts):
    return ", ".join("%s %d" % (v, counts[v]) for v in pgsites.VERDICTS if v in counts) or "no runs"


# ---- text and JSON ----

def print_text(sweep, accepted, out):
    results = sweep.results()
    say("%s: %s, %s" % (pglog.quoted(sweep.command()), counted(len(results), "site"),
                        good_run(sweep.state.plan["baseline"])), out)
    columns = sweep.columns(results)
    for site, runs in results:
        say("", out)
        say(site["title"], out)
        stable = "" if site["stable"] else ", not in every run"
        say("  in %s, %s%s" % (site["place"], times(site["count"]), stable), out)
        for who in site.get("left") or []:
            say("  breaks without a fault, too: its reader %s" % who, out)
        for fault in columns:
            if sweep.refusal(site, fault):
                say("  %-15s not possible: %s" % (fault, sweep.refusal(site, fault)), out)
            for run in runs.get(fault, []):
                print_run(sweep, site, run, accepted, out)
    say("", out)
    if left_out(sweep):
        say(left_out(sweep), out)
    say(sums(count_verdicts(results)), out)


def print_run(sweep, site, run, accepted, out):
    known = is_known(sweep, accepted, site, run)
    say("  %-15s %-11s %s%s" % (fault_of(run), run["verdict"], run["why"], " (known)" if known else ""), out)
    retold = (run.get("evidence") or {}).get("retold")
    if run["verdict"] in pgsites.BAD:
        if run["then"]:
            say("  %27s the second: %s" % ("", second_of(sweep, run)), out)
        if retold and sweep.symbols.place_of(retold) not in map(sweep.symbols.place_of, site["stack"][:1]):
            say("  %27s it wrote on in %s" % ("", sweep.place_of([retold])), out)
        say("  %27s again: %s" % ("", sweep.repro(site, run)), out)


def stack_of(sweep, stack):
    return [{"frame": f, "place": sweep.symbols.place_of(f), "line": sweep.symbols.line_of(f)} for f in stack]


def json_lines(sweep, accepted):
    base = sweep.state.plan["baseline"]
    results = sweep.results()
    yield dict({"v": 1, "type": "baseline", "command": sweep.command(), "statuses": base["statuses"],
                "seconds": base["seconds"], "output_bytes": base["out"]["length"], "compared": base["out_level"],
                "sites": len(results), "left_out": sweep.left_out()}, **(sweep.state.plan["about"] or {}))
    for site, runs in results:
        yield {"type": "site", "site": site["hash"], "program": site["program"], "call": site["call"],
               "via": site["via"], "kind": site["kind"], "fds": site["fds"], "count": site["count"],
               "stable": site["stable"], "own": site["own"], "place": site["place"],
               "left": site.get("left") or [],
               "impossible": {f: why for f in sweep.args.faults for why in [sweep.refusal(site, f)] if why},
               "stack": stack_of(sweep, site["stack"])}
        for run in (run for fault in sweep.args.faults + [PAIRS] for run in runs.get(fault, [])):
            yield json_run(sweep, accepted, site, run)


def json_run(sweep, accepted, site, run):
    key, then = sweep.finding_key(site, run), run["then"]
    if then:
        second = dict(then["site"])
        sweep.name_site(second)
        then = {"site": second["hash"], "call": second["call"], "kind": second["kind"], "place": second["place"],
                "fault": then["fault"], "when": then["when"], "stack": stack_of(sweep, second["stack"])}
    return {"type": "run", "site": site["hash"], "program": site["program"], "call": site["call"],
            "kind": site["kind"], "place": site["place"], "fault": run["fault"], "when": run["when"], "then": then,
            "verdict": run["verdict"], "why": run["why"], "status": run.get("status"),
            "seconds": run.get("seconds"), "stderr": run.get("stderr"), "evidence": run.get("evidence"),
            "rule": run["rule"], "again": sweep.repro(site, run), "key": key,
            "accepted": run["verdict"] in pgsites.BAD and key in accepted}


# ---- for CI ----

def meanings(sweep):
    """What the rules of findings mean: those verdicts that may be a reason to fail."""
    server = bool(sweep.state.plan["baseline"]["client"])
    return {v: pgsites.MEANINGS[v][server] for v in pgsites.VERDICTS if v != "not reached"}


def findings(sweep, accepted):
    """Each run, as pgci has it. What --fail-on names fails; unless it is there, what is no clean end does."""
    return [finding(sweep, accepted, site, run) for site, runs in sweep.results() for fault in sweep.columns([(site, runs)])
            for run in runs.get(fault, [])]


def finding(sweep, accepted, site, run):
    key, verdict = sweep.finding_key(site, run), run["verdict"]
    fails = verdict in (sweep.args.fail_on or pgsites.BAD)
    known = fails and key in accepted
    stack = (run.get("evidence") or {}).get("stack") if not run["then"] else run["then"]["site"]["stack"]
    frames = [f for f in stack or site["stack"] if not LIBC.match(f)] or stack or site["stack"]
    text = ["%s in %s" % (site["title"], site["place"]), "again: " + sweep.repro(site, run)]
    return pgci.Finding(
        verdict, "%s: %s in %s" % (fault_of(run), site["title"], site["place"]), run["why"], group=site["program"] or "?",
        stack=[(sweep.symbols.place_of(f), sweep.symbols.line_of(f)) for f in frames], key=key,
        text="\n".join(text + ["at " + sweep.symbols.place_of(f) for f in frames] + (run.get("stderr") or "").split("\n")),
        level="error" if verdict in pgsites.VERDICTS[:4] else "warning", seconds=run.get("seconds"),
        failed=fails and not known, known=known, skipped=verdict == "not reached")


# ---- the page ----

def css(word):
    return word if word != "not reached" else "none"


def verdict_mark(word):
    return "<span class='v %s'>%s</span>" % (css(word), word)


def html_clients(clients):
    """What the clients of one run got; the same one after another is shown once."""
    out, shown = [], []
    for client in clients or []:
        text = "%s%s" % (pgsites.ended(client["status"]), ", waited in vain" if client["timed_out"] else "")
        if shown and shown[-1][:2] == [text, client["err"].strip()]:
            shown[-1][2] += 1
        else:
            shown.append([text, client["err"].strip(), 1])
    for text, err, n in shown:
        out.append("<p>client%s: %s %s</p>" % (" × %d" % n if n > 1 else "", pghtml.esc(text),
                                               pghtml.code(err) if err else ""))
    return "".join(out)


def html_run(sweep, site, run, number, known):
    esc = pghtml.esc
    stack = [sweep.symbols.place_of(f) for f in site["stack"] if run["then"]] or [
        sweep.symbols.place_of(f) for f in (run.get("evidence") or {}).get("stack") or site["stack"]]
    body = ["<details id=r%d><summary>%s <b>%s</b>%s <span class=dim>%s</span></summary>" % (
        number, verdict_mark(run["verdict"]), esc("%s in %s" % (fault_of(run), site["place"])),
        " (known)" if known else "", esc(run["why"]))]
    body.append("<p class=dim>%s</p><h3>Who wrote</h3>%s" % (esc(site["title"]), pghtml.pre(stack)))
    if run["then"]:
        body.append("<h3>The second fault</h3><p>%s</p>%s" % (esc(second_of(sweep, run)), pghtml.pre(
            [sweep.symbols.place_of(f) for f in run["then"]["site"]["stack"]])))
    retold = (run.get("evidence") or {}).get("retold")
    if retold:
        body.append("<h3>It wrote on in</h3>" + pghtml.pre([sweep.place_of([retold])]))
    if run.get("stderr"):
        body.append("<h3>Its standard error</h3>" + pghtml.pre(run["stderr"].strip("\n").split("\n")))
    body.append(html_clients(run.get("clients")))
    return "".join(body) + "<h3>Again</h3>" + pghtml.pre([sweep.repro(site, run)]) + "</details>"


def html_cell(sweep, site, runs, numbers, fault):
    if fault in runs:
        run = worst(runs[fault])
        more = " <span class=dim>×%d</span>" % len(runs[fault]) if len(runs[fault]) > 1 else ""
        return "<a class='v %s' href='#r%d' title='%s'>%s</a>%s" % (
            css(run["verdict"]), numbers[run["id"]], pghtml.esc(run["why"]), pghtml.esc(run["verdict"]), more)
    if sweep.refusal(site, fault):
        return "<span class=dim title='%s'>not possible</span>" % pghtml.esc(sweep.refusal(site, fault))
    if fault.endswith("+suppress") and pgsites.applies(site, fault[:-len("+suppress")]):
        return "<span class=dim title='SIGPIPE is ignored or caught here: the same without suppression'>as without</span>"
    return "<span class=dim>–</span>"


def html_matrix(sweep, results, numbers):
    columns, rows = sweep.columns(results), []
    for site, runs in sorted(results, key=lambda r: rank(r[1])):
        rows.append(["<b>%s</b><br>%s<br><span class=dim>%s, site %s%s</span>" % (
            pghtml.esc(site["title"]), pghtml.code(site["place"]), times(site["count"]), site["hash"],
            "" if site["stable"] else ", not in every run")] + [
                html_cell(sweep, site, runs, numbers, f) for f in columns])
    return "<h2>Sites and faults</h2><p class=dim>The worst first.</p>" + pghtml.folded_table(["Site"] + columns, rows, "sites")


def rank(runs):
    """How bad is the worst of a site's RUNS, by fault? 0: worst."""
    return min((pgsites.VERDICTS.index(r["verdict"]) for of in runs.values() for r in of), default=len(pgsites.VERDICTS))


def html_runs(sweep, accepted, runs, numbers):
    """RUNS, (site, run) by verdict: where there are many of one, they are folded."""
    out = []
    for verdict, of in itertools.groupby(runs, key=lambda sr: sr[1]["verdict"]):
        text = [html_run(sweep, site, run, numbers[run["id"]], is_known(sweep, accepted, site, run)) for site, run in of]
        many = len(text) > pghtml.MANY
        out += [pghtml.fold("%s %s" % (verdict_mark(verdict), counted(len(text), "run")), "\n".join(text))] if many else text
    return out


def page(sweep, accepted):
    esc = pghtml.esc
    results = sweep.results()
    base, counts = sweep.state.plan["baseline"], count_verdicts(results)
    command = pglog.quoted(sweep.command())
    runs = [(site, run) for site, of in results for runs in of.values() for run in runs]
    runs.sort(key=lambda sr: pgsites.VERDICTS.index(sr[1]["verdict"]))
    numbers = {run["id"]: i for i, (_, run) in enumerate(runs)}
    body = ["<h1>%s</h1><p class=dim>Each place where it writes, broken once. A good run: %s, %s of output.</p>" % (
        pghtml.code(command), esc(good_run(base)), counted(base["out"]["length"], "byte"))]
    body.append(pghtml.about(sweep.state.plan["about"]))
    body.append(pghtml.tiles([(len(results), "sites"), (len(runs), "runs")] + [
        (str(counts[v]), verdict_mark(v)) for v in pgsites.VERDICTS if v in counts]))
    body.append(pghtml.sieve(len(results)))
    body.append(html_matrix(sweep, results, numbers))
    if left_out(sweep):
        body.append("<p class=dim>%s</p>" % esc(left_out(sweep)))
    body.append("<h2>Each run</h2><p class=dim>The worst first.</p>")
    body += html_runs(sweep, accepted, runs, numbers)
    body.append(legend(bool(base["client"])))
    return pghtml.page("Sweep of " + command, "\n".join(body))


def legend(server):
    """What the verdicts mean, of a program or of a SERVER."""
    return "<h2>Words</h2>" + pghtml.table(("Verdict", "Meaning"), [
        (verdict_mark(v), pghtml.esc(pgsites.MEANINGS[v][server])) for v in pgsites.VERDICTS])
