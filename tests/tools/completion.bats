#!/usr/bin/env bats
# SPDX-License-Identifier: MIT
# Completion: what pipeguard answers, what bash makes of it, and all three shells as they are typed into.
# shellcheck disable=SC2016,SC2030,SC2031 # the inner shells expand; each test is a subshell

load ../helpers

setup_file() { install_launcher; }
teardown() { rm -f "${PAGE_MADE-}" "${PAGES_MADE[@]}"; }

# candidates WORD...: what pipeguard itself offers for the last word, and the line that says how.
candidates() { timeout "$LIMIT" "$PIPEGUARD" completion words "$@" 3>&- | cut -f1 | xargs; }

@test "options, verbs and words are completed from the tables, where they can stand" {
	while IFS='|' read -r words wanted; do
		eval "equal \"\$words\" \"\$wanted\" \"\$(candidates $words)\""
	done <<-'END'
		doct|programs 0 space doctor
		he|programs 0 space help
		--dr|words 0 space --dry-run
		check --dr|words 0 space
		--log=std|files 6 space --log=stderr --log=stdout
		-S su|words 0 space suppress
		-Ssu|words 2 space -Ssuppress
		--suppress su|words 0 space suppress
		--sigpipe so|words 0 space sockets
		-j -o un|files 0 space unix:
		-o unix:/ru|files 5 space
		-f x|files 0 space
		--only a,b|programs 2 space
		-r @fi|files 1 space
		check @fi|files 1 space
		check write:break @fi|files 1 space
		doctor --j|words 0 space --json
		list e|words 0 space errnos
		list errnos x|
		env --k|words 0 space --kubernetes
		env x|words 0 space
		report --h|words 0 space --html --help
		report a.log b|files 0 space
		sweep --fai|words 0 space --fail-on
		sweep --fail-on silent,cl|words 7 nospace silent,clean
		sweep --faults break,re|words 6 nospace break,reset break,reset+suppress break,refuse
		sweep --out d -- prog x|command 4 space
		run -j prog --x|command 2 space
		-- --x|programs 0 space
		completion z|words 0 space zsh
		help co|words 0 space completion
		ctl t ''|words 0 space rules add clear on off show fired
		ctl t cl|words 0 space clear
		ctl t rules write:hol|words 6 nospace write:hold
		ctl t add @x|files 1 space
		ctl t fired id --w|words 0 space --wait
		ctl t clear x|
		ctl ./pa|files 0 space
		run --control=./pa|files 10 space
		cut 42 po|words 0 nospace port=
		cut 42 port=1:re|words 7 nospace port=1:reset
		cut 42 port=1 kind=tcp:sid|words 9 nospace kind=tcp:side=
		cut 42 kind=un|words 5 nospace kind=unix
	END
}

@test "pages that have a name are completed, and the ids of the rules in them" {
	local name=test-completion-$$
	PAGE_MADE=$(launch run --control "$name" -r 'first=write:fd=9:break; second=write:fd=8:break' -o off env | sed -n 's/^PIPEGUARD_CONTROL=//p')
	[[ $PAGE_MADE == */pipeguard-*-$name ]]
	equal "the name" "words 0 space $name" "$(candidates ctl "${name%-*}-")"
	equal "for run" "words 10 space --control=$name" "$(candidates "--control=${name%-*}-")"
	PAGES_MADE=("$PAGE_MADE-"'$(id)' "$PAGE_MADE-others")
	touch "${PAGES_MADE[@]}"
	[[ $(id -u) != 0 ]] || chown 1234 "$PAGE_MADE-others"
	[[ $(id -u) = 0 ]] || rm "$PAGE_MADE-others"
	equal "what somebody put there" "words 0 space $name" "$(candidates ctl "${name%-*}-")"
	equal "ids" "words 0 space first second" "$(candidates ctl "$name" fired '')"
	equal "of no page" "words 0 space" "$(candidates ctl "$name.none" fired '')"
}

@test "rules are completed: the set, fields with what they need, and their words" {
	while IFS='|' read -r words wanted; do
		eval "equal \"\$words\" \"\$wanted\" \"\$(candidates $words)\""
	done <<-'END'
		-r sendm|words 0 nospace sendmsg sendmmsg
		-r x=sendm|words 2 nospace x=sendmsg x=sendmmsg
		-r '%out,!sendm'|words 6 nospace %out,!sendmsg %out,!sendmmsg
		-r write:whe|words 6 nospace write:when=
		-r write:hol|words 6 nospace write:hold
		-r 'write:kind=!pipe,tc'|words 17 nospace write:kind=!pipe,tcp write:kind=!pipe,tcp4 write:kind=!pipe,tcp6
		-r connect:seen=re|words 13 nospace connect:seen=reset connect:seen=refused
		-r write:scope=t|words 12 nospace write:scope=thread
		-r write:error=EPI|words 12 nospace write:error=EPIPE
		-r 'write:break;read:sta'|words 17 nospace write:break;read:stack= write:break;read:stall
		check a:log b:lo|words 2 nospace b:log
	END
	# Every field and every call is offered.
	equal "fields" "$(launch list fields | awk '{ print $1 }' | sort | xargs)" \
		"$(timeout "$LIMIT" "$PIPEGUARD" completion words -r write: 3>&- | sed '1d;s/^write://;s/=\{0,1\}\t.*//' | sort | xargs)"
	equal "calls and groups" "$({ launch list calls && launch list groups; } | awk '{ print $1 }' | sort | xargs)" \
		"$(timeout "$LIMIT" "$PIPEGUARD" completion words -r '' 3>&- | sed '1d;s/\t.*//' | sort | xargs)"
}

@test "options of sweep and report are those that they take" {
	requires /usr/bin/python3
	for verb in sweep report bundle replay; do
		equal "options of $verb" "$(/usr/bin/python3 "$ROOT/scripts/pipeguard-$verb" --help | grep -oE '^  (-.( [A-Z]+)?, )?--[a-z-]+' | grep -oE -- '--[a-z-]+' | sort)" \
			"$(timeout "$LIMIT" "$PIPEGUARD" completion words $verb -- 3>&- | sed '1d;s/\t.*//' | sort)"
	done
	faults=$(/usr/bin/python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import pgsites; print(*pgsites.FAULTS)' "$ROOT/scripts/lib")
	equal "the faults" "words 0 nospace $faults" "$(candidates sweep --faults '')"
	verdicts=$(/usr/bin/python3 -c 'import sys; sys.path.insert(0, sys.argv[1]); import pgsites; print(*(v for v in pgsites.VERDICTS if " " not in v))' "$ROOT/scripts/lib")
	equal "the verdicts" "words 0 nospace $verdicts" "$(candidates sweep --fail-on '')"
}

breaks=$' \t\n"\'@><=;|&(:' # where bash ends words

# complete_words WORD...: the replies to the last word, as bash would take the words apart.
complete_words() {
	bash -c 'COMP_WORDBREAKS=$1
		shift
		. "$1"
		shift
		COMP_WORDS=("$@") COMP_CWORD=$(($# - 1)) COMP_LINE=$* COMP_POINT=${#COMP_LINE}
		[[ $(complete -p pipeguard) == *"-F _pipeguard pipeguard" ]]
		_pipeguard "$1" "${!#}" "${@: -2:1}"
		printf "%s\n" "${COMPREPLY[@]}" | sort -u' bash "$breaks" \
		"$ROOT/scripts/completion.bash" "$PIPEGUARD" "$@" | xargs
}

@test "bash completes subcommands, options, words and programs" {
	mkdir "$BATS_TEST_TMPDIR/bin"
	install -m 755 /dev/null "$BATS_TEST_TMPDIR/bin/doc-of-mine"
	PATH=$BATS_TEST_TMPDIR/bin:$PATH
	while IFS='|' read -r words wanted; do
		eval "equal \"\$words\" \"\$wanted\" \"\$(complete_words $words)\""
	done <<-'END'
		doct|doctor
		-- --s|
		--sk|--skip
		-S ''|keep sockets suppress
		env --s|--seed --shell --skip --stack --suppress --systemd
		env --d|--docker
		-j --o|--only --outside
		list ''|actions calls errnos fields groups
		list e|errnos
		doc-of|doc-of-mine
		doctor doc-of|doc-of-mine
		-j -S keep doc-of|doc-of-mine
		-r write:break -- doc-of|doc-of-mine
		--only doc-of|doc-of-mine
		-o stde|stderr
	END
	cd "$BATS_TEST_TMPDIR"
	equal "files after the program" 'bin' "$(complete_words doc-of-mine b)"
	equal "a file of rules" 'bin' "$(complete_words -f b)"
	equal "a file of rules" '@bin' "$(complete_words check @ b)"
}

@test "bash completes rules: calls and groups, then fields, actions and their words" {
	while IFS='|' read -r words wanted; do
		eval "equal \"\$words\" \"\$wanted\" \"\$(complete_words $words)\""
	done <<-'END'
		-r sendm|sendmmsg sendmsg
		-r %o|%out
		-r write,sendm|write,sendmmsg write,sendmsg
		-r a = sendm|sendmmsg sendmsg
		-r write : whe|when=
		-r write : fd = 1 : re|refuse reset
		-r write : error = EPI|EPIPE
		-r connect : side = ''|client server
		-r "'write:break;sendm"|write:break;sendmmsg write:break;sendmsg
		check write : bre|break
	END
	# Where : and = do not end a word, the whole word is wanted.
	breaks=$' \t\n'
	equal "the word in one piece" 'write:fd=1:refuse write:fd=1:reset' "$(complete_words -r write:fd=1:re)"
}

# types SHELL SETUP COMMAND...: types lines into a shell in a terminal, and a tab; each becomes the line behind the
# bar. ROWS: so many of them.
types() {
	local shell=$1 setup=$2 line wanted
	cd "$BATS_TEST_TMPDIR" || return
	mkdir -p sub
	touch rules.pg
	install -m 755 /dev/null "$BATS_TEST_TMPDIR/sub/doc-of-mine"
	while IFS='|' read -r line wanted; do
		echo "typed into $shell: pipeguard $line"
		got=$(PATH=$BATS_FILE_TMPDIR/bin:$BATS_TEST_TMPDIR/sub:$PATH TERM=vt100 HOME=$BATS_TEST_TMPDIR timeout 30 /usr/bin/python3 "$ROOT/tests/fixtures/typed.py" 20 "$setup" "pipeguard $line" "${@:3}" 3>&-)
		equal "the line" "pipeguard $wanted" "$(xargs <<<"$got")"
	done < <(head -n "${ROWS:-99}" <<-'END'
		doct|doctor
		--dry|--dry-run
		-S supp|-S suppress
		-r write:fd=1:rese|-r write:fd=1:reset
		-r connect:side=cl|-r connect:side=client
		check @rul|check @rules.pg
		--file=rul|--file=rules.pg
		-j doc-of-m|-j doc-of-mine
		doctor doc-of-m|doctor doc-of-mine
		run cat rul|run cat rules.pg
		sweep --fau|sweep --faults
		sweep --fail-on silent,rec|sweep --fail-on silent,recovered
		report --modu|report --modules
		ctl t sho|ctl t show
		END
	)
}

@test "bash completes as it is typed into, by the script that completion prints" {
	requires /usr/bin/python3
	types bash 'eval "$(pipeguard completion bash)"' bash --norc --noprofile -i
}

@test "zsh completes as it is typed into, by the script that completion prints and by the one that is installed" {
	requires /usr/bin/python3 zsh
	types zsh 'autoload -Uz compinit; compinit -u -D; eval "$(pipeguard completion zsh)"' zsh -f -i
	mkdir "$BATS_TEST_TMPDIR/fpath"
	cp "$ROOT/scripts/completion.zsh" "$BATS_TEST_TMPDIR/fpath/_pipeguard"
	ROWS=3 types zsh "fpath=('$BATS_TEST_TMPDIR/fpath' \$fpath); autoload -Uz compinit; compinit -u -D" zsh -f -i
}

@test "fish completes as it is typed into, by the script that completion prints" {
	requires /usr/bin/python3 fish
	fish --no-config -c true 2>/dev/null || skip "this fish cannot leave out its configuration"
	types fish 'pipeguard completion fish | source' fish --no-config -i
}

@test "completion names the shells it knows, and prints what is installed" {
	for shell in bash zsh fish; do
		launch completion $shell | cmp - "$ROOT/scripts/completion.$shell"
	done
	run -125 launch completion fis
	equal "the line" "pipeguard: completion: unknown shell 'fis' (did you mean 'fish'?)" "$output"
	run -125 launch completion
	[ "${#lines[@]}" -eq 1 ]
}
