#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# The pages of sweep and report, as a browser lays them out: wide and narrow, light and dark.

load ../helpers

PYTHON=/usr/bin/python3

setup() {
	native_only
	requires chromium
	cd "$BATS_TEST_TMPDIR" || return
	export TMPDIR=$BATS_TEST_TMPDIR HOME=$BATS_TEST_TMPDIR
}

# measured PAGE WIDTH [light|dark] [#ID]: what a browser with a window so wide says of it, as JSON.
measured() {
	local scheme=1
	[ "${3:-light}" = light ] || scheme=0
	cat >measure.html <<-END
		<!doctype html><body><iframe id=f src="file://$BATS_TEST_TMPDIR/$1${4:-}" style="width:$2px;height:3000px;border:0"></iframe><pre id=out></pre>
	END
	cat >>measure.html <<-'END'
		<script>
		addEventListener("load", function () {
		  var f = document.getElementById("f"), d = f.contentDocument, w = f.contentWindow;
		  function wide(e) { return Math.round(e.getBoundingClientRect().width); }
		  var cells = Array.from(d.querySelectorAll("td")).filter(function (e) { return wide(e) > 0; });
		  document.getElementById("out").textContent = "MEASURED" + JSON.stringify({
		    page: d.documentElement.scrollWidth, window: w.innerWidth,
		    cell: Math.min.apply(null, cells.map(wide)), cells: cells.length,
		    text: Math.min.apply(null, Array.from(d.querySelectorAll("p,td,summary,code,text,span")).filter(function (e) {
		      return e.textContent.trim(); }).map(function (e) { return parseFloat(w.getComputedStyle(e).fontSize); })),
		    tall: Math.max.apply(null, Array.from(d.querySelectorAll("tr")).map(function (e) {
		      return Math.round(e.getBoundingClientRect().height); })),
		    bars: d.querySelectorAll("svg rect").length,
		    open: Array.from(d.querySelectorAll("details[open]")).map(function (e) { return e.id; }),
		    back: w.getComputedStyle(d.body).backgroundColor, fore: w.getComputedStyle(d.body).color}) + "END";
		});
		</script>
	END
	timeout 50 chromium --headless=new --no-sandbox --disable-gpu --allow-file-access-from-files --user-data-dir="$BATS_TEST_TMPDIR/browser" \
		--blink-settings=preferredColorScheme=$scheme --window-size=1400,3200 --virtual-time-budget=5000 \
		--dump-dom "file://$BATS_TEST_TMPDIR/measure.html" 2>/dev/null 3>&- | tr -d '\n' | sed -n 's/.*>MEASURED\(.*\)END<.*/\1/p' | sed 's/&quot;/"/g' >measured.json
	jq -e . measured.json >/dev/null || skip "no page can be looked at here"
	cat measured.json
}

# says FILTER: is it true of what was measured?
says() {
	jq -e "$1" measured.json >/dev/null || {
		jq . measured.json
		echo "not so: $1"
		return 1
	}
}

# looks PAGE: nothing is cut off or squeezed, at either width, and both schemes can be read.
looks() {
	for width in 1280 420; do
		for scheme in light dark; do
			measured "$1" $width $scheme >/dev/null
			echo "$1, $width, $scheme"
			says ".window == $width and .page <= $width"
			says '.cell >= 60 and .cells > 3 and .text >= 11'
			[ $width -eq 1280 ] || says '.cell >= 300 and .tall < 500'
		done
	done
	# Of the two schemes one is light on dark.
	measured "$1" 1280 dark >/dev/null
	says '[.back, .fore | capture("rgb\\((?<r>[0-9]+)").r | tonumber] | .[0] < 60 and .[1] > 200'
	measured "$1" 1280 light >/dev/null
	says '[.back, .fore | capture("rgb\\((?<r>[0-9]+)").r | tonumber] | .[0] > 200 and .[1] < 60'
}

@test "sweep's page: wide and narrow, light and dark; a link opens what it leads to" {
	timeout 50 "$PYTHON" "$ROOT/scripts/pipeguard-sweep" --library "$LIB" -q --html page.html -- bash -c 'seq 3000 | sort | tail -n 2' >/dev/null 3>&-
	looks page.html
	measured page.html 1280 light '#r2' >/dev/null
	says '.open == ["r2"]'
	grep -qE '<p class=.dim about.>20[0-9-]+ [0-9:]+ UTC · [^<]+ · Linux [^<]+ · pipeguard [0-9.]+ · /[^<]*bash, build-id [0-9a-f]+</p>' page.html
}

@test "report's page: the same; events that come evenly are bars of one height" {
	guarded "$FIXTURES/call" -one 0 0 ign
	# Two a second, for a time that no number of columns divides.
	"$PYTHON" - "$LOG" >even.log <<-'END'
		import json, sys
		event = next(json.loads(line) for line in open(sys.argv[1]) if '"ev":"epipe"' in line)
		for i in range(1250):
		    event["t"] = "2026-11-25T10:%02d:%02d.%06dZ" % (i // 120, i // 2 % 60, i % 2 * 500000)
		    event.update(ino=i + 1, pid=i + 1, comm="program-%d" % (i % 30), site="%016x" % (i % 30))
		    print(json.dumps(event, separators=(",", ":")))
	END
	timeout "$LIMIT" "$PYTHON" "$ROOT/scripts/pipeguard-report" --html page.html even.log >/dev/null 3>&-
	heights=$(grep -o '<rect[^>]*>' page.html | sed 's/.*height=\([0-9.]*\).*/\1/' | sed '$d' | sort -u) # the last one may be a part
	equal "heights" 120.0 "$heights"
	looks page.html
	says '.bars > 60 and .bars <= 120'
	grep -qE '<p class=.dim about.>20[0-9-]+ [0-9:]+ UTC · [^<]+ · Linux ' page.html
}
