#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# pipeguard env: the same variables for a shell, a systemd unit, a Dockerfile and a Kubernetes pod.
# shellcheck disable=SC2016,SC2030,SC2031,SC2154 # the inner shells expand; each test is a subshell; run sets stderr

load ../helpers

# A copy, which LD_PRELOAD can name wherever the project stands.
setup_file() {
	mkdir "${PIPEGUARD%/*}"
	cp "$BUILD/pipeguard" "$BUILD/libpipeguard.so" "${PIPEGUARD%/*}"
}

# Options whose values have all that some form must escape.
setup() {
	LIB=${PIPEGUARD%/*}/libpipeguard.so
	mkdir -p "$BATS_TEST_TMPDIR/a \$b 'c' \"d\""
	nasty=(
		-r "write:path=/it's/\"\$HOME\"/\$(x)/\$\$(y)/\\[z/%p%%/*:len=7-:when=999999:break"
		-r 'a=connect:peer=[::1]:port=5432:refuse'
		-o "$BATS_TEST_TMPDIR/a \$b 'c' \"d\"/%n \`log\` \\ #.log" -j -v -S sockets -s 42 --only "*,o'x"
	)
}

# From `env -0`: the variables that matter as NAME=VALUE lines, sorted, a newline as \001.
ours() { tr '\n\000' '\001\n' | grep -E '^(PIPEGUARD_|LD_PRELOAD)' | sort; }

# What run gives a program, but for the file of its tree.
wanted() { launch "${nasty[@]}" env -0 | ours | grep -v '^PIPEGUARD_ENDINGS='; }

# Reads Dockerfile or unit or YAML lines on stdin, prints the same.
parse() {
	/usr/bin/python3 -c '
import re, sys
form, text = sys.argv[1], sys.stdin.read()
found = {}
if form == "systemd":
    # systemd.exec(5), systemd.syntax(7): a quoted word with C escapes; % specifiers.
    for line in text.splitlines():
        word = re.fullmatch(r"Environment=\"((?:[^\"\\]|\\.)*)\"", line).group(1)
        word = re.sub(r"\\(.)", lambda m: {"n": "\n", "t": "\t"}.get(m.group(1), m.group(1)), word)
        assert not re.search(r"(?<!%)(?:%%)*%(?!%)", word), word
        name, _, value = word.replace("%%", "%").partition("=")
        found[name] = value
elif form == "docker":
    # Dockerfile reference, ENV: a quoted word; \ takes the meaning from " \ and $.
    for line in text.splitlines():
        name, value = re.fullmatch(r"ENV (\w+)=\"((?:[^\"\\$]|\\[\"\\$])*)\"", line).groups()
        found[name] = re.sub(r"\\(.)", r"\1", value)
elif form == "kubernetes":
    # Kubernetes: $$ is $, $(NAME) a reference, any other $ itself.
    import yaml
    def expand(value):
        assert not re.search(r"(?<!\$)(?:\$\$)*\$\(", value), value
        return value.replace("$$", "$")
    for entry in yaml.safe_load(text):
        assert set(entry) == {"name", "value"} and isinstance(entry["value"], str)
        found[entry["name"]] = expand(entry["value"])
for name in sorted(found):
    print(name + "=" + found[name].replace("\n", "\1"))
' "$1" | sort
}

@test "a shell that evaluates it has exactly what run gives, in any shell" {
	for shell in dash bash 'busybox sh'; do
		command -v "${shell%% *}" >/dev/null || continue
		# shellcheck disable=SC2086 # words
		got=$(timeout 20 $shell -c 'eval "$("$@")"; exec env -0' sh "$PIPEGUARD" env "${nasty[@]}" 3>&- | ours)
		equal "in $shell" "$(wanted)" "$got"
	done
	[ "$(wanted | wc -l)" -eq 8 ]
}

@test "an LD_PRELOAD and variables that are there are kept as run keeps them" {
	export LD_PRELOAD=$FIXTURES/plugin.so PIPEGUARD_STACK=3
	got=$(eval "$("$PIPEGUARD" env -S suppress)" && printf '%s %s %s' "$LD_PRELOAD" "$PIPEGUARD_STACK" "$PIPEGUARD_SIGPIPE")
	unset LD_PRELOAD PIPEGUARD_STACK
	equal "the variables" "$LIB:$FIXTURES/plugin.so 3 suppress" "$got"
}

@test "a rule with a newline stays one in a shell and in a unit, and is refused for a Dockerfile" {
	nasty=(-r $'# on two lines\nwrite:when=999999:break' -r send:when=999999:reset)
	rules=$(eval "$("$PIPEGUARD" env "${nasty[@]}")" && printf '%s' "$PIPEGUARD_RULES")
	equal "the rules" "$(launch "${nasty[@]}" sh -c 'printf "%s" "$PIPEGUARD_RULES"')" "$rules"
	equal "the rules in normal form" $'r1=write:when=999999:break\nr2=send:when=999999:reset' "$(launch check "$rules")"
	equal "the unit" "$(wanted)" "$(launch env --systemd "${nasty[@]}" | parse systemd)"
	run -125 --separate-stderr launch env --docker "${nasty[@]}"
	[[ $stderr == 'pipeguard: a Dockerfile has no word for a newline'* ]]
}

@test "what is for a unit, an image and a pod says the same" {
	requires /usr/bin/python3
	for form in systemd docker; do
		equal "for $form" "$(wanted)" "$(launch env --$form "${nasty[@]}" | parse $form)"
	done
	/usr/bin/python3 -c 'import yaml' || skip "no python3-yaml"
	equal "for kubernetes" "$(wanted)" "$(launch env --kubernetes "${nasty[@]}" | parse kubernetes)"
}

# Does it verify a unit that says nothing? Before systemd 248 it asks for a cgroup of its own, which a chroot has not.
verifies_units() {
	printf '[Service]\nExecStart=/bin/true\n' >"$BATS_TEST_TMPDIR/plain.service"
	timeout 30 systemd-analyze verify "$BATS_TEST_TMPDIR/plain.service" >"$BATS_TEST_TMPDIR/plain.out" 2>&1 3>&- ||
		[[ $(<"$BATS_TEST_TMPDIR/plain.out") != *'initialize manager'* ]]
}

@test "systemd accepts the unit and gets the same values" {
	requires systemd-analyze
	verifies_units || skip "systemd-analyze verifies nothing here"
	unit=$BATS_TEST_TMPDIR/nasty.service
	{ printf '[Service]\nExecStart=/bin/true\n' && launch env --systemd "${nasty[@]}"; } >"$unit"
	run -0 timeout 30 systemd-analyze verify "$unit" 3>&-
	equal "what it complains of" '' "$(grep -F nasty.service <<<"$output")"
	echo 'Environment="A=b' >>"$unit"
	run timeout 30 systemd-analyze verify "$unit" 3>&-
	[[ $output == *nasty.service* ]] # it does look
	sed -i '$d' "$unit"

	# A manager in test mode shows what it understood. It wants to be no root, and a folder of its own.
	[[ $EUID -eq 0 && -x /lib/systemd/systemd ]] || skip "needs root and systemd"
	mkdir -m 777 /tmp/pipeguard-$$
	mkdir -m 777 /tmp/pipeguard-$$/run
	install -m 644 "$unit" /tmp/pipeguard-$$
	got=$(cd / && timeout 30 env -i SYSTEMD_UNIT_PATH=/tmp/pipeguard-$$: XDG_RUNTIME_DIR=/tmp/pipeguard-$$/run HOME=/tmp/pipeguard-$$ \
		setpriv --reuid=65534 --regid=65534 --clear-groups /lib/systemd/systemd --test --user --unit=nasty.service 2>&1 3>&- |
		sed -n '/Unit nasty.service:/,/-> Unit/s/^[[:space:]]*Environment: \(PIPEGUARD_\|LD_PRELOAD\)/\1/p' | sort)
	rm -r /tmp/pipeguard-$$
	[ -n "$got" ] || skip "this systemd does not show it"
	equal "what systemd understood" "$(wanted)" "$got"
}

# The manual's commands `$ pipeguard env ...` and the literal blocks that they are in: N.command and N.text in $1.
manual() {
	awk -v dir="$1" '
		/^\.Bd -literal/ { file = "" ; next }
		/^\.Ed/ { file = ""; next }
		/^\$ pipeguard env/ { file = dir "/" ++n; print substr($0, 3) > (file ".command"); next }
		file { print > (file ".text") }
		END { print n }
	' "$ROOT/scripts/pipeguard.1"
}

@test "the manual's unit, image and pod are what env prints, and what their readers take" {
	mkdir "$BATS_TEST_TMPDIR/m"
	cd "$BATS_TEST_TMPDIR/m"
	count=$(manual .)
	[ "$count" -eq 3 ]
	for ((i = 1; i <= count; i++)); do
		PATH=$BATS_FILE_TMPDIR/bin:$PATH timeout 20 bash -c "$(cat $i.command)" 3>&- |
			sed "s|$LIB|/usr/local/lib/libpipeguard.so|" >$i.out
		[ -s $i.out ]
		# Its lines stand in the block, one after the other, whatever the indentation.
		equal "$(cat $i.command)" "$(cat $i.out)" \
			"$(sed 's/^ *//' $i.text | grep -n '' | grep -E ':(- )?(Environment=|ENV |name: [A-Z]|value:)' | sed 's/^[0-9]*://;s/^value/  value/')"
	done
	if command -v systemd-analyze >/dev/null && verifies_units; then
		sed 's|/usr/bin/myserver|/bin/true|' 1.text >myserver.service
		run -0 timeout 30 systemd-analyze verify ./myserver.service 3>&-
		equal "what systemd complains of" '' "$(grep -F myserver.service <<<"$output")"
	fi
	if /usr/bin/python3 -c 'import yaml' 2>/dev/null; then
		/usr/bin/python3 -c '
import sys, yaml
pod = yaml.safe_load(open("3.text"))
spec = pod["spec"]
assert pod["kind"] == "Pod" and spec["containers"][0]["env"] == yaml.safe_load(open("3.out"))
mounts = [c["volumeMounts"] for c in spec["initContainers"] + spec["containers"]]
assert mounts[0] == mounts[1] and mounts[0][0]["name"] == spec["volumes"][0]["name"]
assert spec["initContainers"][0]["command"][-1] == mounts[0][0]["mountPath"]'
	fi
}

@test "--library names where the library will be" {
	run -0 launch env --docker --library /opt/lib/libpipeguard.so
	equal "the line" 'ENV LD_PRELOAD="/opt/lib/libpipeguard.so"' "$output"
	for path in lib/x.so '/a b/x.so' /a:b/x.so; do
		run -125 launch env --library "$path"
		[ "${#lines[@]}" -eq 1 ]
	done
}

@test "wrong rules print no variables" {
	run -125 --separate-stderr launch env -r write:brek
	equal "stdout" '' "$output"
	[[ $stderr == "pipeguard: PIPEGUARD_RULES: rule 1, column 7: unknown action 'brek' (did you mean 'break'?)" ]]
}

@test "env is the subcommand; the program of that name is run by run" {
	run -125 launch env FOO=1 sh
	[[ $output == *'pipeguard run env FOO=1'* ]] && [ "${#lines[@]}" -eq 1 ]
	run -0 launch run -- env FOO=1 sh -c 'echo "$FOO"'
	equal "the output" 1 "$output"
}
