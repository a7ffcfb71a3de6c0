/* SPDX-License-Identifier: MIT */
/* doctor: what a program or a process is to the library; the verdict first. */
#include "command/acts.h"
#include "command/diagnosis.h"
#include "command/options.h"
#include "command/places.h"
#include "command/say.h"

#include "base/text.h"
#include "outside/filter.h"
#include "outside/kernel.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int status_of(enum pg_reach reach)
{
	static const int statuses[] = {
		[PG_R_UNKNOWN] = PG_FAILED,
		[PG_R_YES] = 0,
		[PG_R_PARTLY] = 1,
		[PG_R_NO] = PG_CANNOT_RUN,
		[PG_R_MISSING] = PG_NOT_FOUND,
	};

	return statuses[reach];
}

/* A number without a slash is a process. */
static bool process_number(const char *word, unsigned *pid)
{
	uint64_t n;

	if (!pg_number(word, 0x7fffffff, &n))
		return false;
	*pid = (unsigned)n;
	return true;
}

static void examine_file(struct pg_diagnosis *d, const char *path)
{
	char *whole = realpath(path, NULL);

	d->program = path;
	d->leads_to = whole && strcmp(whole, path) != 0 ? whole : NULL;
	pg_examine(&d->x, path, d->library);
	d->outside = pg_from_outside(&d->x);
	if (d->x.elf && d->x.loader && d->x.gates)
		pg_imports_of(&d->imports, d->x.path);
}

static void examine_program(struct pg_diagnosis *d, const char *name)
{
	const char *path;
	int status = pg_find_program(name, &path);

	if (status == PG_NOT_FOUND)
		d->x = (struct pg_examined){.reach = PG_R_MISSING,
					    .why = pg_text_of("'%s' was not found", name)};
	else if (status)
		d->x = (struct pg_examined){.reach = PG_R_NO,
					    .why = pg_text_of("'%s' cannot be run", path)};
	else
		examine_file(d, path);
}

/* By who asks: root, or the user whose it is. Whether the system lets it is seen when it is tried.
 */
static bool may_be_traced(unsigned pid)
{
	struct stat st;

	return !geteuid() || (!stat(pg_text_of("/proc/%u", pid), &st) && st.st_uid == geteuid());
}

/* The library comes in at the start, or not at all. */
static void examine_process(struct pg_diagnosis *d, unsigned pid)
{
	struct pg_process_view *p = &d->process;

	if (!pg_process_look(p, pid)) {
		d->x = (struct pg_examined){.reach = PG_R_MISSING,
					    .why = pg_text_of("there is no process %u", pid)};
		return;
	}
	d->is_process = true;
	if (!p->path || access(p->file, R_OK)) {
		d->x = (struct pg_examined){
			.reach = PG_R_NO,
			.why = pg_text_of("the program of process %u may not be seen", pid)};
		return;
	}
	examine_file(d, p->file);
	d->program = p->path;
	d->leads_to = NULL;
	d->anew = d->x.reach;
	d->why_anew = d->x.why;
	d->outside_anew = d->outside;
	d->outside = NULL;
	if (p->guarded) {
		d->x.reach = PG_R_YES;
		return;
	}
	d->x.reach = PG_R_NO;
	d->x.why =
		pg_text_of("process %u (%s) runs without the library, which comes in at the start "
			   "of a program alone",
			   pid, p->name);
	if (may_be_traced(pid))
		d->outside = pg_text_of("process %u (%s) runs already", pid, p->name);
}

int pg_doctor(struct pg_request *r)
{
	struct pg_diagnosis d = {.word = *r->words};
	unsigned pid;

	if (r->count != 1)
		pg_fail(PG_FAILED, "doctor: one program, without arguments, or one process id");
	d.library = pg_library();
	if (process_number(d.word, &pid))
		examine_process(&d, pid);
	else
		examine_program(&d, d.word);
	d.listened = !d.is_process && pg_filter_no_listener() == EBUSY;
	d.lacks = d.outside || d.is_process ? pg_kernel_lacks() : 0;
	d.status = d.outside ? 0 : status_of(d.x.reach);
	if (r->json)
		pg_diagnosis_object(&d);
	else
		pg_diagnosis_lines(&d);
	return pg_flushed(d.status);
}
