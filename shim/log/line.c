/* SPDX-License-Identifier: MIT */
#include "log/line.h"

#include "base/clock.h"
#include "log/event_json.h"
#include "log/event_text.h"
#include "log/journal.h"
#include "log/log.h"
#include "rules/config.h"

#include <sys/prctl.h>

/* Who this was when it was last asked. */
static struct {
	int pid, tid;
	char comm[16];
} noted;

void pg_event_note_process(void)
{
	noted.pid = pg_pid();
	noted.tid = (int)pg_sys0(SYS_gettid);
	pg_sys2(SYS_prctl, PR_GET_NAME, noted.comm);
}

/* Not inline: lines for nobody but a journal need the fields. */
static __attribute__((noinline)) bool put_to_journal(const struct pg_room *s, size_t len)
{
	char fields[512];
	struct pg_text head = {fields, 0, sizeof fields};

	pg_journal_head(&head, &s->event, len);
	return pg_log_write(&head, s->line, len + 1, s->mask);
}

static bool put_line(struct pg_room *s)
{
	struct pg_text t = {s->line, 0, PG_LINE_MAX - 1}, none = {NULL, 0, 0};
	struct pg_event *e = &s->event;

	e->naming = &s->naming;
	e->missing = pg_log_missing();
	if (pg_config.json) {
		pg_event_json(&t, e);
	} else {
		e->columns = pg_log_columns();
		t.cap -= PG_TEXT_TAIL - 1;
		pg_event_text(&t, e);
	}
	s->line[t.len] = '\n';
	return pg_config.log_journal ? put_to_journal(s, t.len)
				     : pg_log_write(&none, s->line, t.len + 1, s->mask);
}

/* What is said once, or ends it all, is always said. */
static bool is_rare(const struct pg_event *e)
{
	return e->ev == PG_EV_EXIT || e->ev == PG_EV_LOAD || e->ev == PG_EV_KILLED ||
	       e->ev == PG_EV_MODULE || e->ev == PG_EV_UNREACHED || e->signal == PG_SIG_FATAL;
}

/* This thread's number, in the process PID: asked once, for a child by fork, vfork or clone has
 * another pid. */
static int thread_in(int pid)
{
	static __thread struct {
		int pid, tid;
	} known __attribute__((tls_model("initial-exec")));

	if (known.pid != pid) {
		known.tid = (int)pg_sys0(SYS_gettid);
		known.pid = pid;
	}
	return known.tid;
}

bool pg_event_write(struct pg_room *s)
{
	struct pg_event *e = &s->event;

	e->now = pg_now();
	if (!is_rare(e) && !pg_log_allows(e->now))
		return false;
	if (!e->outside) {
		e->tid = thread_in(e->pid);
		pg_sys2(SYS_prctl, PR_GET_NAME, e->comm);
	}
	return put_line(s);
}

void pg_event_write_confined(struct pg_room *s)
{
	struct pg_event *e = &s->event;

	s->mask = 0;
	e->confined = true;
	e->pid = noted.pid;
	e->tid = -1; /* which thread it is cannot be asked */
	__builtin_memcpy(e->comm, noted.comm, sizeof e->comm);
	e->object.sent = e->object.offset = e->object.unread = e->object.idle_ms = -1;
	e->object.rule = -1;
	put_line(s);
}
