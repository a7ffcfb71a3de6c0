/* SPDX-License-Identifier: MIT */
#include "rules/config.h"

#include "base/sys.h"
#include "base/text.h"
#include "rules/page.h"
#include "rules/rule_read.h"
#include "who/module.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>
#include <sys/stat.h>

enum { EXIT_WRONG_INPUT = 125 };

struct pg_config pg_config = {.stack = 8, .limit = 10000, .log_kind = PG_LOG_FD, .log_fd = 2};

/* "keep, suppress or sockets" */
static void put_words(struct pg_text *t, const char *const *words)
{
	for (unsigned i = 0; words[i]; i++) {
		pg_put(t, !i ? "" : words[i + 1] ? ", " : " or ");
		pg_put(t, words[i]);
	}
}

/* Ends the process with "pipeguard: NAME: column C: WHAT 'WORD' (did you mean 'NEAR'?)"; column 0
 * and null words are left out. Without NEAR it could be one of WORDS, which a null pointer ends. */
static void __attribute__((noreturn))
refuse_for(const char *name, size_t column, const char *what, const char *word, const char *near,
	   const char *const *words)
{
	char buf[512];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	pg_put(&t, "pipeguard: ");
	pg_put_name(&t, name, 60);
	pg_put(&t, ": ");
	if (column) {
		pg_put(&t, "column ");
		pg_put_u64(&t, column);
		pg_put(&t, ": ");
	}
	pg_put(&t, what);
	if (word) {
		pg_put(&t, " '");
		pg_put_name(&t, word, 100);
		pg_put(&t, "'");
	}
	if (near) {
		pg_put(&t, " (did you mean '");
		pg_put(&t, near);
		pg_put(&t, "'?)");
	} else if (words) {
		pg_put(&t, " (");
		put_words(&t, words);
		pg_put(&t, ")");
	}
	t.cap++;
	pg_put_char(&t, '\n');
	pg_sys3(SYS_write, 2, buf, t.len);
	for (;;)
		pg_sys1(SYS_exit_group, EXIT_WRONG_INPUT);
}

static void __attribute__((noreturn))
refuse(const char *name, size_t column, const char *what, const char *word, const char *near)
{
	refuse_for(name, column, what, word, near, NULL);
}

/* Of WORDS, which a null pointer ends. */
static const char *nearest(const char *word, const char *const *words)
{
	struct pg_nearest n = pg_nearest_to(word);

	for (; *words; words++)
		pg_nearest_try(&n, *words);
	return n.best;
}

/* VALUE should be one of WORDS. */
static void __attribute__((noreturn))
refuse_word(const char *name, const char *what, const char *value, const char *const *words)
{
	refuse_for(name, 1, what, value, nearest(value, words), words);
}

static void read_format(const char *name, const char *value)
{
	static const char *const words[] = {"text", "json", NULL};

	if (pg_same(value, "json"))
		pg_config.json = true;
	else if (!pg_same(value, "text"))
		refuse_word(name, "unknown format", value, words);
}

/* A number from 0 to MAX; the error's column is that of the first character that does not fit. */
static unsigned read_number(const char *name, const char *value, unsigned max, const char *what)
{
	uint64_t n;
	size_t column = 0;

	if (pg_number(value, max, &n))
		return (unsigned)n;
	while (value[column] >= '0' && value[column] <= '9')
		column++;
	refuse(name, value[column] ? column + 1 : 1, what, value, NULL);
}

static void read_verbose(const char *name, const char *value)
{
	pg_config.verbose = (int)read_number(name, value, 2, "not a number from 0 to 2:");
}

static void read_time(const char *name, const char *value)
{
	pg_config.time = read_number(name, value, 1, "not 0 or 1:");
}

static void read_stack(const char *name, const char *value)
{
	pg_config.stack = read_number(name, value, 32, "not a number from 0 to 32:");
}

static void read_sigpipe(const char *name, const char *value)
{
	static const char *const words[] = {"keep", "suppress", "sockets", NULL};

	for (int i = 0; words[i]; i++) {
		if (pg_same(value, words[i])) {
			pg_config.suppress = (enum pg_suppress)i;
			return;
		}
	}
	refuse_word(name, "unknown word", value, words);
}

static void read_limit(const char *name, const char *value)
{
	uint64_t n;

	if (pg_read_count(value, &n) && n <= PG_LIMIT_MOST)
		pg_config.limit = (unsigned)n;
	else
		read_number(name, value, PG_LIMIT_MOST, "not a number up to 1000000000:");
}

static void read_seed(const char *name, const char *value)
{
	if (!pg_number(value, UINT64_MAX, &pg_config.seed))
		refuse(name, 1, "not a number of 64 bits:", value, NULL);
}

enum { FILE_ROOM = PG_RULE_TEXT + 1 };

/* The file behind "@path", in FILE_ROOM bytes that were mapped for it. */
static char *read_file(const char *name, const char *path)
{
	char *text = pg_map(FILE_ROOM);
	int fd = pg_open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
	struct pg_stat st;
	size_t n = 0;
	long got = 1;

	if (!text || fd < 0 || pg_fstat(fd, &st))
		refuse(name, 2, "cannot be read:", path, NULL);
	if (!S_ISREG(st.mode)) /* which its reader might wait for, or that a child would find empty
				*/
		refuse(name, 2, "is not a regular file:", path, NULL);
	while (n < FILE_ROOM - 1 && (got = pg_sys3(SYS_read, fd, text + n, FILE_ROOM - 1 - n)) > 0)
		n += (size_t)got;
	pg_sys1(SYS_close, fd);
	if (got < 0)
		refuse(name, 2, "cannot be read:", path, NULL);
	if (pg_len(text) < n)
		refuse(name, 2, "holds a NUL byte:", path, NULL);
	return text;
}

static void read_rules(const char *name, const char *value)
{
	struct pg_rule_error error;
	char buf[400];
	struct pg_text t = {buf, 0, sizeof buf - 1};
	char *file = *value == '@' ? read_file(name, value + 1) : NULL;
	bool right = pg_rules_parse(&pg_rules, file ? file : value, &error);

	if (file)
		pg_sys2(SYS_munmap, file, FILE_ROOM);
	pg_config.rules = right;
	if (right)
		return;
	pg_rule_put_error(&t, &error);
	buf[t.len] = 0;
	refuse(name, 0, buf, NULL, NULL);
}

/* Whoever changes the folder must find the same one. */
static void read_control(const char *name, const char *value)
{
	if (*value != '/')
		refuse(name, 1, "not an absolute path:", value, NULL);
	pg_config.control = value;
}

static void read_endings(const char *name, const char *value)
{
	if (*value != '/' && !pg_same(value, "off"))
		refuse(name, 1, "not an absolute path, and not off:", value, NULL);
	pg_config.endings = value;
}

static void check_pattern(const char *name, const char *value)
{
	for (size_t i = 0; value[i]; i++) {
		if (value[i] != '%')
			continue;
		i++;
		if (value[i] != 'p' && value[i] != 'n' && value[i] != '%')
			refuse(name, i, "unknown % word (%p is the pid, %n the program, %% a %) in",
			       value, NULL);
	}
}

/* The path at column COLUMN of VALUE, made absolute: it must still lead there after a chdir. */
static void set_log_path(const char *name, const char *value, size_t column)
{
	const char *path = value + column - 1;
	size_t used = 0;
	long n = 0;

	if (!*path)
		refuse(name, column, "a path is missing", NULL, NULL);
	check_pattern(name, value);
	if (*path != '/') {
		n = pg_sys2(SYS_getcwd, pg_config.log_path, sizeof pg_config.log_path - 2);
		if (n > 1)
			used = (size_t)n - 1;
		pg_config.log_path[used++] = '/';
	}
	if (used + pg_len(path) >= sizeof pg_config.log_path)
		refuse(name, column, "the path is longer than 511 bytes", NULL, NULL);
	pg_copy(pg_config.log_path + used, sizeof pg_config.log_path - used, path);
}

/* "N" of fd:N and /dev/fd/N, which starts at column COLUMN. */
static void set_log_fd(const char *name, const char *value, size_t column)
{
	uint64_t n;

	if (!pg_number(value + column - 1, 0x7fffffff, &n))
		refuse(name, column, "not a descriptor number:", value + column - 1, NULL);
	pg_config.log_kind = PG_LOG_FD;
	pg_config.log_fd = (int)n;
}

/* Standard output as others call it, or a bare number. */
static void refuse_descriptor(const char *name, const char *value)
{
	char buf[24];
	struct pg_text t = {buf, 0, sizeof buf - 1};
	bool output = pg_same(value, "stdout") || pg_same(value, "-");
	uint64_t n = 1;

	if (!output && !pg_number(value, 0x7fffffff, &n))
		return;
	pg_put(&t, "fd:");
	pg_put_u64(&t, n);
	buf[t.len] = 0;
	refuse(name, 1, "unknown log", value, buf);
}

/* A word that looks like a scheme or is near one must not become a file in the working folder. */
static void refuse_near_words(const char *name, const char *value)
{
	static const char *const words[] = {"stderr", "off", "journal", NULL};
	const char *near = nearest(value, words);
	size_t colon = 0;

	while (value[colon] && value[colon] != ':' && value[colon] != '/')
		colon++;
	if (near && value[colon] != '/')
		refuse(name, 1, "unknown log", value, near);
	if (value[colon] == ':')
		refuse(name, 1,
		       "unknown log (stderr, off, journal, fd:N, unix:/path or a path; write "
		       "./NAME for "
		       "such a file):",
		       value, pg_prefix(value, "uni") ? "unix:" : NULL);
}

static void read_log(const char *name, const char *value)
{
	static const char dev_fd[] = "/dev/fd/", proc_fd[] = "/proc/self/fd/";

	pg_config.log_kind = PG_LOG_FD;
	pg_config.log_fd = 2;
	if (pg_same(value, "stderr") || pg_same(value, "/dev/stderr"))
		return;
	if (pg_same(value, "off")) {
		pg_config.log_kind = PG_LOG_OFF;
	} else if (pg_same(value, "/dev/stdout")) {
		pg_config.log_fd = 1;
	} else if (pg_prefix(value, "fd:")) {
		set_log_fd(name, value, 4);
	} else if (pg_prefix(value, dev_fd)) {
		set_log_fd(name, value, sizeof dev_fd);
	} else if (pg_prefix(value, proc_fd)) {
		set_log_fd(name, value, sizeof proc_fd);
	} else if (pg_prefix(value, "unix:")) {
		pg_config.log_kind = PG_LOG_UNIX;
		set_log_path(name, value, 6);
	} else if (pg_same(value, "journal")) {
		pg_config.log_kind = PG_LOG_UNIX;
		pg_config.log_journal = true;
		set_log_path(name, "/run/systemd/journal/socket", 1);
	} else {
		refuse_descriptor(name, value);
		refuse_near_words(name, value);
		pg_config.log_kind = PG_LOG_FILE;
		set_log_path(name, value, 1);
	}
}

/* Is PROGRAM matched by one of the comma-separated globs of VALUE? */
static bool listed(const char *name, const char *value, const char *program)
{
	char glob[128];
	bool found = false;

	for (size_t start = 0;;) {
		size_t n = 0;

		while (value[start + n] && value[start + n] != ',')
			n++;
		if (!n)
			refuse(name, start + 1, "an empty name in", value, NULL);
		if (n >= sizeof glob)
			refuse(name, start + 1, "a name is longer than 127 bytes", NULL, NULL);
		pg_copy(glob, n + 1, value + start);
		found |= pg_glob(glob, program);
		start += n + 1;
		if (!value[start - 1])
			return found;
	}
}

/* One of them at the most. */
static char picked[512];
static bool picked_out;

static void keep_list(const char *value, bool out)
{
	pg_copy(picked, sizeof picked, value);
	picked_out = out;
}

bool pg_config_leaves_out(const char *program)
{
	if (!*picked)
		return false;
	return pg_len(picked) + 1 == sizeof picked /* it was cut */ ||
	       listed("", picked, program) == picked_out;
}

static void read_only(const char *name, const char *value)
{
	keep_list(value, false);
	pg_config.active = listed(name, value, pg_program_name());
}

static void read_skip(const char *name, const char *value)
{
	keep_list(value, true);
	pg_config.active = !listed(name, value, pg_program_name());
}

static const char *const variables[] = {
	"PIPEGUARD_LOG",     "PIPEGUARD_FORMAT",
	"PIPEGUARD_VERBOSE", "PIPEGUARD_STACK",
	"PIPEGUARD_ONLY",    "PIPEGUARD_SKIP",
	"PIPEGUARD_SIGPIPE", "PIPEGUARD_LIMIT",
	"PIPEGUARD_RULES",   "PIPEGUARD_SEED",
	"PIPEGUARD_CONTROL", "PIPEGUARD_ENDINGS",
	"PIPEGUARD_TIME",    NULL,
};
static void (*const readers[])(const char *, const char *) = {
	read_log,   read_format, read_verbose, read_stack,   read_only,	   read_skip, read_sigpipe,
	read_limit, read_rules,	 read_seed,    read_control, read_endings, read_time,
};

/* One "NAME=VALUE" of the environment; returns the number of its variable. */
static int read_one(const char *entry)
{
	char name[64];
	size_t n = 0;

	while (entry[n] && entry[n] != '=')
		n++;
	pg_copy(name, n + 1 < sizeof name ? n + 1 : sizeof name, entry);
	for (int i = 0; variables[i]; i++) {
		if (!pg_same(name, variables[i]))
			continue;
		if (entry[n] != '=' || !entry[n + 1])
			refuse(name, 1, "the value is empty", NULL, NULL);
		readers[i](name, entry + n + 1);
		return i;
	}
	refuse(name, 0, "unknown variable", NULL, nearest(name, variables));
}

/* LISTEN_FDS, if LISTEN_PID says that they are for this process (sd_listen_fds(3)). */
static unsigned passed_descriptors(char **envp)
{
	enum { MOST = 64 };
	uint64_t pid = 0, n = 0;

	for (; envp && *envp; envp++) {
		if (pg_prefix(*envp, "LISTEN_PID="))
			pg_number(*envp + 11, UINT32_MAX, &pid);
		else if (pg_prefix(*envp, "LISTEN_FDS="))
			pg_number(*envp + 11, MOST, &n);
	}
	return n && pid == (uint64_t)pg_pid() ? (unsigned)n : 0;
}

/* What shows a terminal. */
static bool wants_plain(char **envp)
{
	bool plain = false;

	for (; envp && *envp; envp++)
		plain |= (pg_prefix(*envp, "NO_COLOR=") && (*envp)[9]) ||
			 pg_same(*envp, "TERM=dumb");
	return plain;
}

static void open_page(void)
{
	const char *why = pg_page_open(pg_config.control, true);

	if (why)
		refuse("PIPEGUARD_CONTROL", 1, why, pg_config.control, NULL);
}

void pg_config_read(char **envp)
{
	char **all = envp;
	unsigned seen = 0;

	if (pg_auxval(AT_SECURE))
		return;
	pg_config.active = true;
	for (; envp && *envp; envp++)
		if (pg_prefix(*envp, "PIPEGUARD_"))
			seen |= 1u << read_one(*envp);
		else if (pg_prefix(*envp, "LD_PRELOAD="))
			pg_config.preload = *envp + sizeof "LD_PRELOAD=" - 1;
	pg_config.passed = passed_descriptors(all);
	pg_config.plain = wants_plain(all);
	if (pg_config.active && pg_config.rules)
		pg_front.ruled = pg_rules.calls;
	if (pg_config.active && pg_config.control)
		open_page();
	if (pg_config.active && pg_config.endings && *pg_config.endings == '/' &&
	    !pg_config.control)
		pg_endings_open(pg_config.endings); /* it may have gone, and nobody misses it */
	if ((seen & 48) == 48)
		refuse("PIPEGUARD_SKIP", 1, "PIPEGUARD_ONLY is set as well: choose one", NULL,
		       NULL);
}

char **pg_config_environment(void)
{
	return environ;
}

bool pg_config_log_path(char *path, unsigned size, int pid)
{
	struct pg_text t = {path, 0, size - 1};
	bool has_pid = false;

	for (const char *p = pg_config.log_path; *p; p++) {
		if (*p != '%') {
			pg_put_char(&t, *p);
			continue;
		}
		p++;
		if (*p == 'p')
			pg_put_i64(&t, pid), has_pid = true;
		else if (*p == 'n')
			pg_put(&t, pg_program_name());
		else
			pg_put_char(&t, '%');
	}
	path[t.len] = 0;
	return has_pid;
}
