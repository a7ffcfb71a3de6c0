/* SPDX-License-Identifier: MIT */
#include "command/options.h"

#include "command/acts.h"
#include "command/takes.h"

#include <stddef.h>
#include <string.h>

enum { PROGRAMS = PG_VERB(RUN) | PG_VERB(ENV), LOGGED = PROGRAMS | PG_VERB(ATTACH) };
enum { RULES = LOGGED | PG_VERB(CHECK) };
enum { SWEEP = PG_VERB(SWEEP), REPORT = PG_VERB(REPORT), TABLED = SWEEP | REPORT };
enum { BUNDLE = PG_VERB(BUNDLE), REPLAY = PG_VERB(REPLAY), SCRIPTS = TABLED | BUNDLE | REPLAY };
enum { ALL = (1u << PG_V_COUNT) - 1, OWN = ALL & ~SCRIPTS };
enum { REPEATED, LOG, SEED, SIGPIPES, GLOBS, STACK, LIMIT, FORM, ENGINE, TIME, CONTROL };

/* clang-format off */
const struct pg_verb_row pg_verbs[PG_V_COUNT] = {
	[PG_V_RUN] = {"run", "[OPTION]... [--] PROGRAM [ARG]...", PG_K_COMMAND, false, false, NULL, pg_run,
		"the default; needed where PROGRAM is called like one of the others",
		"Runs PROGRAM under libpipeguard.so. Its output, status, signals and environment are its own."},
	[PG_V_CHECK] = {"check", "RULES... | -f FILE", PG_K_RULES, true, false, NULL, pg_check,
		"prints the rules in their normal form; status 2 if they are wrong",
		"Prints the rules in their normal form, one a line. @FILE stands for the rules in a file. Status 2 if "
		"they are wrong, and one line that says where."},
	[PG_V_LIST] = {"list", "calls|groups|fields|actions|errnos", PG_K_WORDS, false, false, "calls groups fields actions errnos",
		pg_list, "the words that rules are made of, with their meaning",
		"Prints the words that rules are made of, one a line, and what each means."},
	[PG_V_DOCTOR] = {"doctor", "[-j] PROGRAM|PID", PG_K_PROGRAM, false, false, NULL, pg_doctor,
		"will the library reach PROGRAM, and by which gates? Status 0 yes, 1 partly, 126 no, 127 not found",
		"Says whether the library reaches PROGRAM, or the process PID, and by which gates; the verdict first. It "
		"follows scripts to their interpreter, and runs nothing. Status 0 yes, 1 partly, 126 no, 127 not found."},
	[PG_V_ENV] = {"env", "[OPTION]... [--shell|--systemd|--docker|--kubernetes]", PG_K_NOTHING, false, false, NULL, pg_env,
		"prints the variables that run would set: for a shell to eval (the default), for a systemd unit, a "
		"Dockerfile or a Kubernetes pod",
		"Prints the variables that run would set: for a shell to eval (the default), for a systemd unit, a Dockerfile "
		"or a Kubernetes pod. It runs nothing: for the program env, write pipeguard run env ..."},
	[PG_V_ATTACH] = {"attach", "[OPTION]... PID...", PG_K_NOTHING, true, false, NULL, pg_attach,
		"logs the broken pipes of processes that run already, of any kind, until it is interrupted",
		"Looks at processes that run already, of any kind, with all their threads and the children to come, from "
		"outside: what does not break pays nothing. Until it is interrupted, the processes have ended, or the time is "
		"over; then they are left as they were. Status 126 if one cannot be traced, 127 if there is none."},
	[PG_V_CUT] = {"cut", "[--list] PID [SELECTOR=VALUE[:...]][:reset|fin|break]", PG_K_HELD, true, false, NULL, pg_cut,
		"breaks, now, what a running process holds: its connections, sockets and pipes",
		"Breaks, now, the connections, sockets and pipes of process PID that the selectors name (fd= kind= side= peer= port= lport= "
		"path=, as in rules; a bare PID is all its TCP connections): reset (the default), fin or break. Prints what it "
		"cut. Status 1 if nothing matched."},
	[PG_V_CTL] = {"ctl", "NAME rules RULES | add RULES | clear | on | off | show | fired ID [--wait TIME] | -", PG_K_PAGE, true, false, NULL, pg_ctl,
		"changes the rules of programs that run with --control NAME, and says what they did",
		"Changes the rules of all programs that run with --control NAME, from their next call on: rules (these from now on), "
		"add, clear, off (none acts), on. A rule that stays goes on counting. Wrong rules change nothing. show prints the "
		"rules and how often each fired, in all processes; fired prints it of one, with status 1 if it did not. -: each line of standard "
		"input says one of these."},
	[PG_V_REPORT] = {"report", "[OPTION]... LOG...", PG_K_FILE, true, true, NULL, pg_hand_over,
		"what logs say taken together (see report --help)", ""},
	[PG_V_SWEEP] = {"sweep", "[OPTION]... [--] COMMAND [ARG]...", PG_K_COMMAND, false, true, NULL, pg_hand_over,
		"breaks each place where COMMAND writes, one in each run, and says what it does about it (see sweep --help)", ""},
	[PG_V_BUNDLE] = {"bundle", "[OPTION]... -o CASE LOG... [-- COMMAND [ARG]...]", PG_K_FILE, true, true, NULL, pg_hand_over,
		"writes a break of a log, and what it takes to meet it again, as one file (see bundle --help)", ""},
	[PG_V_REPLAY] = {"replay", "[OPTION]... CASE [-- COMMAND [ARG]...]", PG_K_FILE, true, true, NULL, pg_hand_over,
		"meets the break of such a file again: the same, or what differs (see replay --help)", ""},
	[PG_V_COMPLETION] = {"completion", "bash|zsh|fish", PG_K_WORDS, false, false, "bash zsh fish", pg_completion,
		"prints what a shell needs to complete command lines of pipeguard",
		"Prints what a shell needs to complete command lines of pipeguard, for a start-up file: eval \"$(pipeguard "
		"completion bash)\". make install puts it where the shells look."},
	[PG_V_HELP] = {"help", "[VERB]", PG_K_WORDS, false, false, "run check list doctor env attach cut ctl report sweep bundle replay completion help version",
		pg_help, "this, or that of one verb",
		"Prints the help of all, or of one verb."},
	[PG_V_VERSION] = {"version", "", PG_K_NOTHING, false, false, NULL, pg_version,
		"prints the version", "Prints the version."},
};

const struct pg_option pg_options[] = {
	{'r', PG_K_RULE, "rule", NULL, "RULE", RULES, REPEATED, NULL, pg_take_rule,
		"a rule, or several with ';' between them; may be repeated"},
	{'f', PG_K_FILE, "file", NULL, "FILE", RULES, REPEATED, NULL, pg_take_file,
		"the rules are in FILE"},
	{'o', PG_K_LOG, "log", "output", "LOG", LOGGED, LOG, "stderr stdout off journal fd: unix:", pg_take_log,
		"where to: stderr (the default), stdout, off, journal, fd:N, unix:/path or a file; %p is the process id, %n the "
		"program's name"},
	{'j', PG_K_NOTHING, "json", NULL, NULL, LOGGED, REPEATED, NULL, pg_take_json,
		"JSON, one object a line"},
	{'j', PG_K_NOTHING, "json", NULL, NULL, PG_VERB(DOCTOR), REPEATED, NULL, pg_take_object,
		"JSON, one object"},
	{'s', PG_K_NOTHING, "seed", NULL, "SEED", LOGGED, SEED, NULL, pg_take_seed,
		"a number of 64 bits, for rules with prob="},
	{'S', PG_K_WORDS, "suppress", "sigpipe", "WORD", LOGGED, SIGPIPES, "keep suppress sockets", pg_take_sigpipe,
		"SIGPIPE that would kill: keep (the default), suppress, or sockets: suppress on sockets only; the write then "
		"fails with EPIPE"},
	{0, PG_K_NOTHING, "limit", NULL, "N", LOGGED, LIMIT, NULL, pg_take_limit,
		"signals that are suppressed on one descriptor before the next one kills after all (10000)"},
	{0, PG_K_PROGRAM, "only", NULL, "G", LOGGED, GLOBS, NULL, pg_take_only,
		"only programs whose name matches one of the globs G,G..."},
	{0, PG_K_PROGRAM, "skip", NULL, "G", LOGGED, GLOBS, NULL, pg_take_skip,
		"not in those"},
	{0, PG_K_NOTHING, "stack", NULL, "N", LOGGED, STACK, NULL, pg_take_stack,
		"frames of the stack that are logged, 0 to 32 (8)"},
	{0, PG_K_NOTHING, "time", NULL, NULL, LOGGED, REPEATED, NULL, pg_take_time,
		"the time of day in each line of text, UTC"},
	{'v', PG_K_NOTHING, "verbose", NULL, NULL, LOGGED, REPEATED, NULL, pg_take_verbose,
		"also loads, exits, resets, refusals, changes of SIGPIPE; -vv: every call"},
	{0, PG_K_NOTHING, "inside", NULL, NULL, PG_VERB(RUN), ENGINE, NULL, pg_take_engine,
		"by the library alone; refused where the loader does not let it in"},
	{0, PG_K_NOTHING, "outside", NULL, NULL, PG_VERB(RUN), ENGINE, NULL, pg_take_engine,
		"by ptrace alone, also where the library could be inside"},
	{0, PG_K_NOTHING, "both", NULL, NULL, PG_VERB(RUN), ENGINE, NULL, pg_take_engine,
		"the library in each process that lets it in, ptrace for the others: for mixed trees"},
	{0, PG_K_NOTHING, "for", NULL, "TIME", PG_VERB(ATTACH), TIME, NULL, pg_take_for,
		"leave after that time: 500ms, 10s, 5m"},
	{0, PG_K_NOTHING, "once", NULL, NULL, PG_VERB(ATTACH), REPEATED, NULL, pg_take_once,
		"leave after the first broken write; status 1 if there was none"},
	{0, PG_K_NOTHING, "all", NULL, NULL, PG_VERB(RUN) | PG_VERB(ATTACH), REPEATED, NULL, pg_take_all,
		"from outside, also writes that break and raise no signal: those that may are stopped at, as strace does"},
	{0, PG_K_NOTHING, "list", NULL, NULL, PG_VERB(CUT), REPEATED, NULL, pg_take_listing,
		"only print what could be cut"},
	{'j', PG_K_NOTHING, "json", NULL, NULL, PG_VERB(CUT), REPEATED, NULL, pg_take_object,
		"JSON, one object a line"},
	{0, PG_K_PAGE, "control", NULL, "NAME", PG_VERB(RUN) | PG_VERB(ATTACH) | PG_VERB(ENV), CONTROL, NULL, pg_take_control,
		"rules can be changed while it runs, by ctl NAME: a name, or the path of the page"},
	{0, PG_K_NOTHING, "require-fired", NULL, NULL, PG_VERB(RUN), REPEATED, NULL, pg_take_require_fired,
		"status 125, and a line, if a rule never fired"},
	{0, PG_K_FILE, "again", NULL, "LOG", PG_VERB(RUN), REPEATED, NULL, pg_take_again,
		"the rule of the last break in LOG, which breaks it again"},
	{0, PG_K_NOTHING, "wait", NULL, "TIME", PG_VERB(CTL), TIME, NULL, pg_take_for,
		"fired: as long as it has not"},
	{'n', PG_K_NOTHING, "dry-run", NULL, NULL, PG_VERB(RUN), REPEATED, NULL, pg_take_print,
		"print the command instead of running it"},
	{0, PG_K_NOTHING, "shell", NULL, NULL, PG_VERB(ENV), FORM, NULL, pg_take_form,
		"lines for a shell to eval (the default)"},
	{0, PG_K_NOTHING, "systemd", NULL, NULL, PG_VERB(ENV), FORM, NULL, pg_take_form,
		"lines for [Service] of a unit"},
	{0, PG_K_NOTHING, "docker", NULL, NULL, PG_VERB(ENV), FORM, NULL, pg_take_form,
		"lines for a Dockerfile"},
	{0, PG_K_NOTHING, "kubernetes", NULL, NULL, PG_VERB(ENV), FORM, NULL, pg_take_form,
		"entries for the env of a container"},
	{0, PG_K_FILE, "library", NULL, "FILE", PG_VERB(ENV), REPEATED, NULL, pg_take_library,
		"where the library will be there"},

	{0, PG_K_NOTHING, "json", NULL, NULL, REPORT, REPEATED, NULL, NULL, "one JSON object instead of text"},
	{0, PG_K_FILE, "html", NULL, "FILE", REPORT, REPEATED, NULL, NULL, "also a page of its own"},
	{0, PG_K_FILE, "junit", NULL, "FILE", TABLED, REPEATED, NULL, NULL, "also as JUnit's XML"},
	{0, PG_K_FILE, "sarif", NULL, "FILE", TABLED, REPEATED, NULL, NULL, "also as SARIF 2.1.0"},
	{0, PG_K_FILE, "prometheus", NULL, "FILE", REPORT, REPEATED, NULL, NULL, "also counts for Prometheus"},
	{0, PG_K_LIST, "fail-on", NULL, "LIST", REPORT, REPEATED,
		"any unhandled fatal caught ignored blocked suppressed none reset refused doomed lost", NULL, "status 1 if there is one of them"},
	{0, PG_K_NOTHING, "follow", NULL, NULL, REPORT, REPEATED, NULL, NULL, "go on as the logs grow"},
	{0, PG_K_NOTHING, "top", NULL, "N", REPORT, REPEATED, NULL, NULL, "places that are shown (20)"},
	{0, PG_K_FILE, "modules", NULL, "PATH", REPORT, REPEATED, NULL, NULL, "a program or library of the log, or a folder of them"},

	{0, PG_K_FILE, "out", NULL, "DIR", SWEEP, REPEATED, NULL, NULL, "keep the state and the results there"},
	{0, PG_K_NOTHING, "fresh", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "forget what is in DIR"},
	{0, PG_K_NOTHING, "jobs", NULL, "N", SWEEP, REPEATED, NULL, NULL, "runs at the same time"},
	{0, PG_K_LIST, "faults", NULL, "LIST", SWEEP, REPEATED,
		"break break+suppress reset reset+suppress refuse short error=EAGAIN", NULL, "what is done to a site"},
	{0, PG_K_NOTHING, "sites", NULL, "REGEX", SWEEP, REPEATED, NULL, NULL, "only sites whose line in --list matches"},
	{0, PG_K_NOTHING, "each", NULL, "N", SWEEP, REPEATED, NULL, NULL, "break the first N calls of each site"},
	{0, PG_K_NOTHING, "shard", NULL, "K/N", SWEEP, REPEATED, NULL, NULL, "only the K-th of N shares of the runs"},
	{0, PG_K_FILE, "merge", NULL, "DIR", SWEEP, REPEATED, NULL, NULL, "the results of shards, together"},
	{0, PG_K_NOTHING, "max-runs", NULL, "N", SWEEP, REPEATED, NULL, NULL, "no more runs than that"},
	{0, PG_K_NOTHING, "timeout", NULL, "TIME", SWEEP, REPEATED, NULL, NULL, "of a run, 30s say"},
	{0, PG_K_FILE, "stdin", NULL, "FILE", SWEEP, REPEATED, NULL, NULL, "what each run reads"},
	{0, PG_K_PROGRAM, "setup", NULL, "CMD", SWEEP, REPEATED, NULL, NULL, "a shell's command before each run"},
	{0, PG_K_NOTHING, "scratch", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "run in {dir}, whose files are part of the result"},
	{0, PG_K_FILE, "watch", NULL, "PATH", SWEEP, REPEATED, NULL, NULL, "a file or folder that is part of the result"},
	{0, PG_K_PROGRAM, "client", NULL, "CMD", SWEEP, REPEATED, NULL, NULL, "COMMAND is a server; what uses it"},
	{0, PG_K_PROGRAM, "ready", NULL, "PORT|CMD", SWEEP, REPEATED, NULL, NULL, "when the server is ready"},
	{0, PG_K_NOTHING, "pairs", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "also a second fault, where the first was survived"},
	{0, PG_K_NOTHING, "wake-ups", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "also the pipes by which programs wake themselves up"},
	{0, PG_K_NOTHING, "inside", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "as run has it"},
	{0, PG_K_NOTHING, "outside", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "as run has it"},
	{0, PG_K_NOTHING, "both", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "as run has it"},
	{0, PG_K_NOTHING, "list", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "only the baseline, and what it reaches"},
	{0, PG_K_NOTHING, "json", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "results as JSON lines"},
	{0, PG_K_FILE, "html", NULL, "FILE", SWEEP, REPEATED, NULL, NULL, "the page"},
	{0, PG_K_LIST, "fail-on", NULL, "LIST", SWEEP, REPEATED,
		"silent crashed hung spins killed clean recovered", NULL, "status 1 if there is such a verdict"},
	{0, PG_K_FILE, "accept", NULL, "FILE", SWEEP, REPEATED, NULL, NULL, "findings that are known"},
	{0, PG_K_FILE, "write-accept", NULL, "FILE", SWEEP, REPEATED, NULL, NULL, "write the findings to such a file"},
	{'q', PG_K_NOTHING, "quiet", NULL, NULL, SWEEP, REPEATED, NULL, NULL, "no progress"},

	{'o', PG_K_FILE, "output", NULL, "CASE", BUNDLE, REPEATED, NULL, NULL, "the file to write"},
	{'r', PG_K_RULE, "rule", NULL, "RULE", BUNDLE, REPEATED, NULL, NULL, "the rules that were in force"},
	{'s', PG_K_NOTHING, "seed", NULL, "SEED", BUNDLE, REPEATED, NULL, NULL, "the seed that goes with them"},
	{'S', PG_K_WORDS, "suppress", NULL, "WORD", BUNDLE, REPEATED, "keep suppress sockets", NULL, "as run has it"},
	{0, PG_K_NOTHING, "site", NULL, "HASH", BUNDLE, REPEATED, NULL, NULL, "the last break of that site"},
	{0, PG_K_FILE, "stdin", NULL, "FILE", BUNDLE, REPEATED, NULL, NULL, "what the command reads"},
	{0, PG_K_PROGRAM, "client", NULL, "CMD", BUNDLE, REPEATED, NULL, NULL, "what uses the command, a server"},
	{0, PG_K_NOTHING, "ready", NULL, "PORT|CMD", BUNDLE, REPEATED, NULL, NULL, "when the server is ready"},
	{0, PG_K_NOTHING, "env", NULL, "NAME", BUNDLE, REPEATED, NULL, NULL, "also this variable"},
	{0, PG_K_NOTHING, "all-env", NULL, NULL, BUNDLE, REPEATED, NULL, NULL, "all variables but secrets"},
	{0, PG_K_NOTHING, "secrets", NULL, NULL, BUNDLE, REPEATED, NULL, NULL, "leave the command's words as they are"},
	{0, PG_K_FILE, "modules", NULL, "PATH", BUNDLE, REPEATED, NULL, NULL, "as report has it"},
	{0, PG_K_NOTHING, "timeout", NULL, "TIME", REPLAY, REPEATED, NULL, NULL, "how long it may take"},
	{0, PG_K_NOTHING, "show", NULL, NULL, REPLAY, REPEATED, NULL, NULL, "only print what is in it"},

	{'h', PG_K_NOTHING, "help", NULL, NULL, ALL, REPEATED, NULL, pg_take_help, "this"},
	{'V', PG_K_NOTHING, "version", NULL, NULL, OWN, REPEATED, NULL, pg_take_version, "the version"},
	{0, PG_K_NOTHING, NULL, NULL, NULL, 0, 0, NULL, NULL, NULL},
};
/* clang-format on */

enum pg_verb pg_verb_of(const char *name)
{
	unsigned v = 0;

	while (v < PG_V_COUNT && strcmp(name, pg_verbs[v].name) != 0)
		v++;
	return (enum pg_verb)v;
}

const struct pg_option *pg_option_of_letter(enum pg_verb verb, char letter)
{
	for (const struct pg_option *o = pg_options; o->name; o++)
		if (o->letter == letter && o->verbs >> verb & 1)
			return o;
	return NULL;
}

static bool called(const char *is, const char *name, size_t n)
{
	return is && !strncmp(is, name, n) && !is[n];
}

const struct pg_option *pg_option_of_name(enum pg_verb verb, const char *name, size_t n)
{
	for (const struct pg_option *o = pg_options; o->name; o++)
		if (o->verbs >> verb & 1 && (called(o->name, name, n) || called(o->also, name, n)))
			return o;
	return NULL;
}
