/* SPDX-License-Identifier: MIT */
#include "outside/frames.h"

#include "outside/bound.h"
#include "outside/bytes.h"
#include "outside/library.h"
#include "outside/memory.h"

#include "base/next.h"
#include "who/symbol.h"
#include "base/text.h"
#include "who/unwinder.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

enum { FRAMES = 64 };

/* What was climbed last. Its first LIBC_S frames are libc's. */
static struct pg_frames {
	unsigned n, at, libc_s;
	uintptr_t pc[FRAMES];
	bool exact[FRAMES];
} climbed;

static bool add(uintptr_t pc, bool exact)
{
	if (climbed.n == FRAMES)
		return false;
	climbed.pc[climbed.n] = pc;
	climbed.exact[climbed.n] = exact;
	climbed.n++;
	return true;
}

/* ---- libdw ---- */

/* What is used of <elfutils/libdwfl.h>, which is loaded where it is installed. */
struct callbacks {
	void *find_elf, *find_debuginfo, *section_address;
	char **debuginfo_path;
};
static struct {
	void *(*begin)(const struct callbacks *);
	void (*end)(void *);
	int (*report)(void *, int);
	int (*report_end)(void *, void *, void *);
	int (*attach)(void *, int, bool);
	int (*frames)(void *, int, int (*)(void *, void *), void *);
	bool (*pc)(void *, unsigned long *, bool *);
	void *find_elf, *section_address;
} dw;

/* No file of debugging information is looked for, on this machine or in a network: the tables for
 * exceptions are in the program itself. */
static int no_debuginfo(void *mod, void **user, const char *name, unsigned long base,
			const char *file, const char *link, unsigned crc, char **found)
{
	(void)mod, (void)user, (void)name, (void)base, (void)file, (void)link, (void)crc;
	(void)found;
	return -1;
}

static bool load(void)
{
	static const struct pg_symbol_wanted wanted[] = {
		{"dwfl_begin", &dw.begin},
		{"dwfl_end", &dw.end},
		{"dwfl_linux_proc_report", &dw.report},
		{"dwfl_report_end", &dw.report_end},
		{"dwfl_linux_proc_attach", &dw.attach},
		{"dwfl_getthread_frames", &dw.frames},
		{"dwfl_frame_pc", &dw.pc},
		{"dwfl_linux_proc_find_elf", &dw.find_elf},
		{"dwfl_offline_section_address", &dw.section_address},
	};
	static bool tried, there;

	if (!tried)
		there = pg_library_take(PG_LIBDW, wanted, sizeof wanted / sizeof *wanted);
	tried = true;
	return there;
}

static void *session(struct pg_tracee *t)
{
	static struct callbacks callbacks;
	void *dwfl;

	if (t->unwind)
		return t->unwind;
	callbacks.find_elf = dw.find_elf;
	*(int (**)(void *, void **, const char *, unsigned long, const char *, const char *,
		   unsigned, char **)) &
		callbacks.find_debuginfo = no_debuginfo;
	callbacks.section_address = dw.section_address;
	dwfl = dw.begin(&callbacks);
	if (!dwfl)
		return NULL;
	if (dw.report(dwfl, pg_tracee_by(t)) || dw.report_end(dwfl, NULL, NULL) ||
	    dw.attach(dwfl, pg_tracee_by(t), true)) {
		dw.end(dwfl);
		return NULL;
	}
	t->unwind = dwfl;
	t->end_unwind = dw.end;
	return dwfl;
}

void *pg_frames_tables(struct pg_tracee *t)
{
	return load() ? session(t) : NULL;
}

/* The first frame that counts, by its place in the code; those that are passed by before it. */
struct first {
	uintptr_t pc;
	unsigned passed;
};

static int on_frame(void *state, void *arg)
{
	struct first *first = arg;
	unsigned long pc;
	bool exact;

	if (!dw.pc(state, &pc, &exact))
		return 1;
	if (!climbed.n && pc != first->pc)
		return ++first->passed == FRAMES;
	return !add(pc, exact);
}

static void climb_by_tables(struct pg_tracee *t, int tid, uintptr_t pc)
{
	void *dwfl = pg_frames_tables(t);
	struct first first = {pc, 0};

	if (!dwfl || !pg_bound_begin(pg_memory_of_files(t)))
		return;
	dw.frames(dwfl, tid, on_frame, &first);
	pg_bound_end();
}

/* ---- frame pointers ---- */

/* Each frame begins with the one before it and the way back; they lie upwards, and not far. */
static void climb_by_pointers(struct pg_tracee *t, const struct pg_registers *r)
{
	enum { FAR = 1 << 24 };
	size_t size = r->narrow ? 4 : sizeof(uintptr_t);
	uintptr_t frame = r->frame, below = r->sp;

	add(r->pc, true);
	for (;;) {
		uint64_t pair[2] = {0, 0};
		uint32_t narrow[2];

		if (frame < below || frame - below > FAR || frame % size)
			return;
		if (size == 4 && pg_bytes_read(pg_tracee_by(t), frame, narrow, sizeof narrow))
			pair[0] = narrow[0], pair[1] = narrow[1];
		else if (size == 4 || !pg_bytes_read(pg_tracee_by(t), frame, pair, sizeof pair))
			return;
		if (!pg_memory_runs(t, (uintptr_t)pair[1]) || !add((uintptr_t)pair[1], false))
			return;
		below = frame + 1;
		frame = (uintptr_t)pair[0];
	}
}

/* ---- unwinder.h ---- */

static bool is_wrapper(const struct pg_cursor *c)
{
	char name[PG_CALL_NAME_MAX];
	uintptr_t offset;
	const char *plain = name;

	if (!pg_symbol_at(c->module, pg_cursor_place(c), name, sizeof name, &offset))
		return false;
	plain += pg_prefix(plain, "__libc_") ? 7 : 0;
	plain += strspn(plain, "_");
	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_same(pg_call_name((enum pg_call)call), plain))
			return true;
	return false;
}

static void stand(struct pg_cursor *c)
{
	c->pc = climbed.at < climbed.n ? climbed.pc[climbed.at] : 0;
	c->exact = climbed.at < climbed.n && climbed.exact[climbed.at];
	c->module = c->pc ? pg_module_at(c->pc - !c->exact, &c->room) : NULL;
	if (c->module && climbed.at < climbed.libc_s)
		c->room.is_libc = true;
}

/* In a static program, too, libc's own function that makes the call is no caller; nor is what that
 * makes it by: since glibc 2.41 there are some frames below it. */
static unsigned libc_s(void)
{
	enum { BELOW = 4 };
	struct pg_cursor c;

	for (climbed.at = 0; climbed.at <= BELOW && climbed.at < climbed.n; climbed.at++) {
		stand(&c);
		if (c.module && is_wrapper(&c))
			return climbed.at + 1;
	}
	return 0;
}

void pg_frames_climb(struct pg_tracee *t, int tid, const struct pg_registers *r)
{
	climbed.n = climbed.at = climbed.libc_s = 0;
	if (!r)
		return;
	pg_memory_map(t);
	if (!pg_memory_is_go(t) && !r->narrow)
		climb_by_tables(t, tid, r->pc);
	if (climbed.n < 2) {
		climbed.n = 0;
		climb_by_pointers(t, r);
	}
	if (!pg_memory_is_go(t))
		climbed.libc_s = libc_s();
	climbed.at = 0;
}

struct pg_frames *pg_frames_keep(void)
{
	struct pg_frames *kept = malloc(sizeof *kept);

	if (kept)
		*kept = climbed;
	return kept;
}

void pg_frames_restore(struct pg_frames *kept)
{
	climbed.n = climbed.at = climbed.libc_s = 0;
	if (kept)
		climbed = *kept;
	free(kept);
}

void pg_cursor_here(struct pg_cursor *c)
{
	memset(c, 0, sizeof *c);
	climbed.at = 0;
	stand(c);
}

void pg_cursor_at(struct pg_cursor *c, const void *uc)
{
	(void)uc;
	pg_cursor_here(c);
}

bool pg_cursor_up(struct pg_cursor *c)
{
	climbed.at++;
	stand(c);
	return c->pc;
}

/* libdw has followed them already. */
bool pg_cursor_up_by_pointer(struct pg_cursor *c)
{
	(void)c;
	return false;
}

uintptr_t pg_cursor_sp(const struct pg_cursor *c)
{
	(void)c;
	return 0;
}
