/* SPDX-License-Identifier: MIT */
/* cut: what a running process holds is broken, now, on a copy of its descriptor. Nothing of ours is
 * in the process, and it is not stopped. */
#include "command/acts.h"
#include "command/options.h"
#include "command/process.h"
#include "command/say.h"
#include "command/takes.h"
#include "command/variables.h"

#include "base/text.h"
#include "fault/fault.h"
#include "outside/thing.h"
#include "rules/config.h"
#include "rules/match.h"
#include "rules/rule.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char before[] = "%out:";

/* Fields that say what a descriptor is, whatever call is made on it. */
#define SELECTORS                                                                                  \
	(1ull << PG_F_FD | 1ull << PG_F_KIND | 1ull << PG_F_SIDE | 1ull << PG_F_PEER |             \
	 1ull << PG_F_PORT | 1ull << PG_F_LPORT | 1ull << PG_F_PATH)
#define ACTIONS (1ull << PG_F_RESET | 1ull << PG_F_FIN | 1ull << PG_F_BREAK)
const uint64_t pg_cut_fields = SELECTORS | ACTIONS;

static bool is_action(const char *word)
{
	return !strcmp(word, "reset") || !strcmp(word, "fin") || !strcmp(word, "break");
}

/* What follows the process id, as one rule; *ACTS: it says what is to be done. */
static const char *rule_of(char **words, bool *acts)
{
	const char *text = "", *last;

	for (; *words; words++)
		text = pg_text_of("%s%s%s", text, *text && **words != ':' ? ":" : "", *words);
	text += *text == ':';
	last = strrchr(text, ':') ? strrchr(text, ':') + 1 : text;
	*acts = is_action(last);
	if (!*text)
		text = "kind=tcp";
	return pg_text_of("%s%s%s", before, text, *acts ? "" : ":break");
}

static void parse(char **words, bool *acts)
{
	struct pg_rule_error error;
	const char *text = rule_of(words, acts);
	const struct pg_rule *r = &pg_rules.rule[0];
	char buf[400];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	if (!pg_rules_parse(&pg_rules, text, &error)) {
		error.column =
			error.column > strlen(before) ? error.column - (unsigned)strlen(before) : 1;
		pg_rule_put_error(&t, &error);
		buf[t.len] = 0;
		pg_fail(PG_FAILED, "cut: %s", buf + (strstr(buf, "column") - buf));
	}
	if (pg_rules.n != 1)
		pg_fail(PG_FAILED, "cut: one set of selectors, without ';'");
	for (unsigned f = 0; f < PG_F_COUNT; f++)
		if (pg_has(r, f) && !((SELECTORS | ACTIONS) >> f & 1))
			pg_fail(PG_FAILED,
				"cut: '%s' means nothing here (fd, kind, side, peer, port, lport, "
				"path; reset, fin, break)",
				pg_field_name(f));
}

/* ---- what there is ---- */

struct held {
	int fd, copy;
	struct pg_object o;
};

/* One that stands, and can be cut: it has another end. */
static bool can_be_cut(const struct pg_object *o)
{
	if (o->kind == PG_TCP)
		return o->peer.family && o->stream;
	return (o->kind == PG_UNIX && o->stream) || o->kind == PG_PIPE;
}

/* A connection whose port nobody listens on was made here. */
static void guess_side(struct pg_object *o)
{
	if (o->kind == PG_TCP && o->peer.family && o->side == PG_NO_SIDE)
		o->side = PG_CLIENT;
}

static bool is_wanted(const struct held *h)
{
	struct pg_op op = {.object = &h->o, .fd = h->fd, .copy = h->copy, .bytes = -1};

	return can_be_cut(&h->o) && pg_match(0, &op);
}

static void put_end(struct pg_text *t, const struct pg_addr *a, const char *path)
{
	if (a->family)
		pg_put_addr(t, a);
	else
		pg_put_name(t, path[0] ? path : "?", PG_PATH_MAX);
}

static const char *ends(const struct pg_object *o)
{
	char buf[800];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	put_end(&t, &o->local, o->local_path);
	pg_put(&t, o->side == PG_CLIENT ? " -> " : o->side == PG_SERVER ? " <- " : " <> ");
	put_end(&t, &o->peer, o->peer_path);
	buf[t.len] = 0;
	return pg_text_of("%s", buf);
}

static const char *quoted_end(const struct pg_addr *a, const char *path)
{
	char buf[800];
	struct pg_text t = {buf, 0, sizeof buf - 1};

	if (a->family) {
		pg_put_char(&t, '"');
		pg_put_addr(&t, a);
		pg_put_char(&t, '"');
	} else {
		pg_put_json(&t, path[0] ? path : NULL, PG_PATH_MAX);
	}
	buf[t.len] = 0;
	return pg_text_of("%s", buf);
}

static void print(const struct pg_request *r, const struct held *h, const char *what)
{
	static const char *const sides[] = {"null", "\"client\"", "\"server\""};
	const struct pg_object *o = &h->o;

	if (!r->json) {
		pg_line("fd %d: %s %s%s%s", h->fd, pg_kind_name(o->kind), ends(o),
			*what ? ": " : "", what);
		return;
	}
	printf("{\"v\":1,\"fd\":%d,\"kind\":\"%s\",\"side\":%s,\"local\":%s,\"peer\":%s,\"ino\":%"
	       "llu,"
	       "\"unread\":%lld,\"cut\":",
	       h->fd, pg_kind_name(o->kind), sides[o->side], quoted_end(&o->local, o->local_path),
	       quoted_end(&o->peer, o->peer_path), (unsigned long long)o->ino,
	       (long long)o->unread);
	printf(*what ? "\"%s\"}\n" : "null}\n", what); // NOLINT: one of those
}

/* ---- cutting ---- */

/* Of unix sockets a reset needs another socket in their place, and of pipes a break another pipe:
 * that the process itself would have to put there. Returns 0 or -errno. */
static int make(const struct held *h, enum pg_field action)
{
	int waits;

	if (h->o.kind == PG_PIPE || (action == PG_F_RESET && h->o.kind != PG_TCP))
		return -EOPNOTSUPP;
	if (action == PG_F_RESET) {
		pg_fault_flush(h->copy);
		return pg_fault_reset(h->copy, h->o.kind, false, &waits);
	}
	return action == PG_F_FIN ? pg_fault_fin(h->copy) : pg_fault_break(h->copy, h->o.kind);
}

/* True: it is cut. */
static bool cut(const struct pg_request *r, const struct held *h, enum pg_field action)
{
	int ret;

	if (action == PG_F_COUNT)
		action = h->o.kind == PG_TCP ? PG_F_RESET : PG_F_BREAK;
	ret = make(h, action);
	if (ret)
		print(r, h,
		      pg_text_of("%s is not possible: %s", pg_field_name(action), strerror(-ret)));
	else
		print(r, h, pg_field_name(action));
	return !ret;
}

static void __attribute__((noreturn)) refused(unsigned pid, int err)
{
	struct pg_process_view p;

	if (err == ESRCH || !pg_process_look(&p, pid))
		pg_fail(PG_NOT_FOUND, "there is no process %u", pid);
	if (err == ENOSYS)
		pg_fail(PG_CANNOT_RUN,
			"cut: this kernel has no pidfd_getfd (Linux 5.6): ss -K cuts TCP "
			"connections there");
	pg_fail(PG_CANNOT_RUN, "the descriptors of process %u (%s) may not be taken: %s%s", pid,
		p.name, strerror(err),
		geteuid() ? pg_text_of(" (sudo pipeguard cut %u)", pid) : "");
}

/* Has one of the numbers before the same object? */
static bool is_known(const uint64_t *known, unsigned n, uint64_t ino)
{
	while (n--)
		if (known[n] == ino)
			return true;
	return false;
}

enum { MOST = 65536 };

/* Each object of T once. Returns how many were cut, or listed. */
static unsigned go_through(const struct pg_request *r, struct pg_tracee *t, enum pg_field action)
{
	DIR *d = opendir(pg_text_of("/proc/%d/fd", pg_tracee_by(t)));
	uint64_t *known = pg_room(MOST * sizeof *known);
	struct dirent *e;
	unsigned n = 0, done = 0;

	if (!d)
		refused((unsigned)t->pid, errno == ENOENT ? ESRCH : errno);
	while (n < MOST && (e = readdir(d))) {
		struct held h = {.fd = atoi(e->d_name)};

		if (*e->d_name == '.')
			continue;
		h.copy = pg_thing_copy(t, pg_tracee_by(t), h.fd);
		if (h.copy == -EBADF) /* closed meanwhile */
			continue;
		if (h.copy == -ESRCH && done) /* it ended because of it */
			break;
		if (h.copy < 0)
			refused((unsigned)t->pid, -h.copy);
		pg_thing_by_copy(t, h.copy, &h.o);
		guess_side(&h.o);
		if (is_wanted(&h) && !is_known(known, n, h.o.ino)) {
			known[n++] = h.o.ino;
			if (r->list)
				print(r, &h, "");
			done += r->list || cut(r, &h, action);
		}
		close(h.copy);
	}
	closedir(d);
	return done;
}

int pg_cut(struct pg_request *r)
{
	struct pg_tracee *t;
	uint64_t pid;
	bool acts;

	if (!r->count)
		pg_fail(PG_FAILED, "cut: which process? (see --help)");
	if (!pg_number(*r->words, 0x7fffffff, &pid) || !pid)
		pg_fail(PG_FAILED, "cut: not a process id: '%s'", *r->words);
	parse(r->words + 1, &acts);
	if (r->list && acts)
		pg_fail(PG_FAILED, "cut: --list cuts nothing: leave the action out");
	if (pg_tracee_proc_is_foreign())
		pg_fail(PG_CANNOT_RUN, "cut: /proc is another pid namespace's: mount it");
	t = pg_tracee((int)pid);
	pg_tracee_find(t);
	pg_tracee_now = t;
	return pg_flushed(!go_through(r, t, acts ? pg_rules.rule[0].terminal : PG_F_COUNT));
}
