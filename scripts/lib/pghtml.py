# SPDX-License-Identifier: MIT
"""One self-contained HTML page: no network, readable in light and dark. Python 3.7, nothing else."""

import html

import pglog

STYLE = """
:root{color-scheme:light dark;--bg:#fff;--fg:#1c2128;--dim:#59636e;--line:#d6dbe1;--soft:#f4f6f8;--mark:#0a62c4;
--silent:#b3122b;--silent-bg:#fbd7dc;--crashed:#8f1d8a;--crashed-bg:#f5d9f3;--hung:#96480a;--hung-bg:#fde3cc;
--spins:#8a5a00;--spins-bg:#fbeab8;--killed:#7a4b12;--killed-bg:#f1e3d0;--clean:#0d6b38;--clean-bg:#d5f0df;
--recovered:#0b5d86;--recovered-bg:#d3ebf8;--none:#59636e;--none-bg:#eceff2}
@media (prefers-color-scheme:dark){:root{--bg:#14181d;--fg:#e4e8ec;--dim:#9aa5b1;--line:#323a43;--soft:#1c2229;
--mark:#6cb1ff;--silent:#ffa3ae;--silent-bg:#611a25;--crashed:#f2a9ee;--crashed-bg:#541d51;--hung:#ffc08a;
--hung-bg:#5c3109;--spins:#f6d574;--spins-bg:#4f3d05;--killed:#e3c49a;--killed-bg:#46341d;--clean:#8fe0b0;
--clean-bg:#123f25;--recovered:#92d3f5;--recovered-bg:#0f3a51;--none:#9aa5b1;--none-bg:#262d35}}
*{box-sizing:border-box}
body{margin:0;background:var(--bg);color:var(--fg);font:15px/1.5 system-ui,-apple-system,"Segoe UI",Roboto,
"DejaVu Sans",sans-serif}
main{max-width:1200px;margin:0 auto;padding:24px 20px 60px}
h1{font-size:24px;line-height:1.3;margin:0 0 4px;overflow-wrap:anywhere}h1 code{font-size:20px}h2{font-size:18px;margin:36px 0 10px}
h3{font-size:15px;margin:0 0 6px}
p{margin:6px 0}.dim{color:var(--dim)}code,pre,.mono{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,
"DejaVu Sans Mono",monospace;font-size:13px}
pre{background:var(--soft);border:1px solid var(--line);border-radius:6px;padding:8px 10px;margin:6px 0;
white-space:pre-wrap;overflow-wrap:anywhere;max-height:22em;overflow-y:auto}
.wide{overflow-x:auto}table{border-collapse:collapse;width:100%}
th,td{text-align:left;vertical-align:top;padding:7px 10px;border-bottom:1px solid var(--line)}
th{font-weight:600;color:var(--dim);font-size:13px;white-space:nowrap}td.n,th.n{text-align:right;
font-variant-numeric:tabular-nums;white-space:nowrap}
td:first-child:not(.n){min-width:200px}td.n,th.n{width:1%;min-width:76px}a{color:var(--mark)}td code{overflow-wrap:anywhere}
.tiles{display:flex;flex-wrap:wrap;gap:10px;margin:16px 0}.tile{border:1px solid var(--line);border-radius:8px;
padding:8px 14px;min-width:96px}.tile b{display:block;font-size:22px;line-height:1.3}
.v{display:inline-block;border-radius:5px;padding:1px 8px;font-size:13px;font-weight:600;white-space:nowrap}
a.v{text-decoration:none}a.v:hover,a.v:focus{outline:2px solid currentColor}
""" + "".join(".%s{color:var(--%s);background:var(--%s-bg)}\n" % (v, v, v) for v in
              ("silent", "crashed", "hung", "spins", "killed", "clean", "recovered", "none")) + """
details{border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:0 14px}
details[open]{padding-bottom:10px}summary{cursor:pointer;padding:8px 0;overflow-wrap:anywhere}
details:target{outline:2px solid var(--mark)}
details.fold{border:0;padding:0}.fold>details{content-visibility:auto;contain-intrinsic-size:auto 42px}[hidden]{display:none!important}
.bar{height:8px;border-radius:4px;background:var(--mark);min-width:2px}
svg.time{display:block;width:100%;height:120px;border-bottom:1px solid var(--line)}.small{font-size:13px}
.ends{display:flex;justify-content:space-between;gap:12px}
svg .epipe{fill:var(--silent)}svg .reset{fill:var(--hung)}svg .inject{fill:var(--mark)}svg .other{fill:var(--dim)}
.key{display:inline-block;width:10px;height:10px;border-radius:2px;margin:0 5px 0 14px}
.key.epipe{background:var(--silent)}.key.reset{background:var(--hung)}.key.inject{background:var(--mark)}
.key.other{background:var(--dim)}
@media (max-width:640px){main{padding:16px 12px 40px}h1{font-size:20px}h1 code{font-size:16px}thead{display:none}
table,tbody,tr,td{display:block;width:100%}tr{border:1px solid var(--line);border-radius:8px;margin:8px 0;padding:4px 0}
td,td.n{border:0;width:auto;padding:3px 10px;text-align:left;white-space:normal;overflow-wrap:anywhere;min-width:0}
td:first-child:not(.n){min-width:0}td::before{content:attr(data-h) ": ";color:var(--dim);font-size:13px}
.tile{padding:6px 10px;min-width:80px}.tile b{font-size:18px}.key{margin-left:0}.key+.key{margin-left:10px}}
input[type=search]{width:100%;max-width:420px;padding:8px 10px;font:inherit;color:inherit;background:var(--soft);
border:1px solid var(--line);border-radius:6px}
@media print{details{break-inside:avoid}pre{max-height:none}}
"""

# Only what holds a word is shown, a moment after the last key; folds with something of it are open. What each row
# says is taken once.
FILTER = """
var rows,folds,later;
function sift(q){clearTimeout(later);later=setTimeout(sifted,150,q.toLowerCase())}
function sifted(q){folds=folds||document.querySelectorAll("details.fold");
rows=rows||Array.from(document.querySelectorAll("tbody tr,details:not(.fold)"),function(e){
return{e:e,text:e.textContent.toLowerCase(),fold:e.parentElement.closest("details.fold")}});
folds.forEach(function(f){f.shown=0});
rows.forEach(function(r){var out=r.text.indexOf(q)<0;if(r.e.hidden!=out)r.e.hidden=out;if(r.fold&&!out)r.fold.shown++});
folds.forEach(function(f){f.hidden=!f.shown;f.open=q!=""})}
"""

OPEN_TARGET = """
function show(){var d=document.getElementById(location.hash.slice(1));if(d&&d.tagName=="DETAILS"){
for(var e=d;e;e=e.parentElement)if(e.tagName=="DETAILS")e.open=true;
d.scrollIntoView({block:"nearest"})}}
addEventListener("hashchange",show);show();
"""


def esc(text):
    """TEXT for HTML, in one line: what does not print is shown, as in text."""
    return html.escape(pglog.escaped(str(text)), quote=True)


def code(text):
    return "<code>%s</code>" % esc(text)


def pre(lines):
    return "<pre>%s</pre>" % "\n".join(esc(line) for line in lines)


def table(heads, rows):
    """HEADS: names, one that starts with '#' is of numbers. ROWS: lists of HTML."""
    out = ["<div class=wide><table><thead><tr>"]
    out += ["<th%s>%s</th>" % (" class=n" if h.startswith("#") else "", esc(h.lstrip("#"))) for h in heads]
    out.append("</tr></thead><tbody>")
    for row in rows:
        out.append("<tr>" + "".join("<td%s data-h='%s'>%s</td>" % (" class=n" if h.startswith("#") else "", esc(h.lstrip("#")), cell)
                                    for h, cell in zip(heads, row)) + "</tr>")
    out.append("</tbody></table></div>")
    return "\n".join(out)


def folded_table(heads, rows, what):
    """A table of the first of ROWS, and of the others, which are WHAT, in a fold."""
    out = table(heads, rows[:MANY])
    if len(rows) > MANY:
        out += fold("%s more %s" % (pglog.number(len(rows) - MANY), what), table(heads, rows[MANY:]))
    return out


def about(facts):
    """When and where: FACTS as pgsites.about() has them, or None."""
    if not facts:
        return ""
    words = [facts.get("date"), facts.get("host"), facts.get("kernel"), facts.get("pipeguard")]
    if facts.get("program"):
        words.append(facts["program"] + (", build-id " + facts["build_id"] if facts.get("build_id") else ""))
    return "<p class='dim about'>%s</p>" % " · ".join(esc(w) for w in words if w)


MANY = 100      # of one kind: the rest is folded


def fold(summary, body):
    """BODY, HTML, behind SUMMARY, HTML as well."""
    return "<details class=fold><summary>%s</summary>%s</details>" % (summary, body)


def sieve(rows):
    """A field to search in, where there are many ROWS."""
    return "<p><input type=search aria-label=search placeholder=search oninput=sift(this.value)></p>" if rows > 30 else ""


def tiles(pairs):
    """PAIRS of a number and what it counts, HTML both."""
    return "<div class=tiles>%s</div>" % "".join("<div class=tile><b>%s</b>%s</div>" % p for p in pairs)


def page(title, body):
    return ("<!doctype html>\n<html lang=en><head><meta charset=utf-8>"
            "<meta name=viewport content=\"width=device-width,initial-scale=1\">"
            "<title>%s</title><style>%s</style></head><body><main>\n%s\n</main><script>%s</script></body></html>\n"
            % (esc(title), STYLE, body, FILTER + OPEN_TARGET))
