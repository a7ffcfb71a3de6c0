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
	bool by_pointer[FRAMES]; /* led to by what has no tables, behind something that has */
} climbed;

static bool add(uintptr_t pc, bool exact, bool by_pointer)
{
	if (climbed.n == FRAMES)
		return false;
	climbed.pc[climbed.n] = pc;
	climbed.exact[climbed.n] = exact;
	climbed.by_pointer[climbed.n] = by_pointer;
	climbed.n++;
	return true;
}

/* ---- libdw ---- */

/* What is used of <elfutils/libdwfl.h>, which is loaded where it is installed. */
struct callbacks {
	void *find_elf, *find_debuginfo, *section_address;
	char **debuginfo_path;
};
struct thread_callbacks {
	int (*next)(void *, void *, void **);
	bool (*thread)(void *, int, void *, void **);
	bool (*read)(void *, uint64_t, uint64_t *, void *);
	bool (*start)(void *, void *);
	void (*detach)(void *, void *), (*detach_thread)(void *, void *);
};
static struct {
	void *(*begin)(const struct callbacks *);
	void (*end)(void *);
	int (*report)(void *, int);
	int (*report_end)(void *, void *, void *);
	int (*attach)(void *, int, bool);
	bool (*attach_by)(void *, void *, int, const struct thread_callbacks *, void *);
	int (*tid)(void *);
	bool (*registers)(void *, int, unsigned, const uint64_t *);
	int (*frames)(void *, int, int (*)(void *, void *), void *);
	bool (*pc)(void *, uint64_t *, bool *);
	void *(*module)(void *, uint64_t), *(*eh_cfi)(void *, uint64_t *);
	void *(*debug_cfi)(void *, uint64_t *);
	int (*row)(void *, uint64_t, void **);
	void *find_elf, *section_address;
	int (*error)(void), (*elf_error)(void);
} dw;

/* No file of debugging information is looked for, on this machine or in a network: the tables for
 * exceptions are in the program itself. */
static int no_debuginfo(void *mod, void **user, const char *name, uint64_t base, const char *file,
			const char *link, unsigned crc, char **found)
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
		{"dwfl_attach_state", &dw.attach_by},
		{"dwfl_thread_tid", &dw.tid},
		{"dwfl_thread_state_registers", &dw.registers},
		{"dwfl_getthread_frames", &dw.frames},
		{"dwfl_frame_pc", &dw.pc},
		{"dwfl_addrmodule", &dw.module},
		{"dwfl_module_eh_cfi", &dw.eh_cfi},
		{"dwfl_module_dwarf_cfi", &dw.debug_cfi},
		{"dwarf_cfi_addrframe", &dw.row},
		{"dwfl_linux_proc_find_elf", &dw.find_elf},
		{"dwfl_offline_section_address", &dw.section_address},
		{"dwfl_errno", &dw.error},
		{"elf_errno", &dw.elf_error},
	};
	static bool tried, there;

	if (!tried)
		there = pg_library_take(PG_LIBDW, wanted, sizeof wanted / sizeof *wanted);
	if (!tried && there) { /* glibc gives a library room for a thread's data when that is first
				  used, and ends the process if there is none */
		dw.error();
		dw.elf_error();
	}
	tried = true;
	return there;
}

/* ---- libdw, of 32-bit programs ---- */

/* Their registers and memory are handed to it: of what it reads by itself, elfutils 0.188 for one
 * takes words of theirs for longer ones, and loses the caller of whoever aligned its stack, as
 * every main() does there. */

static int no_next(void *dwfl, void *t, void **arg)
{
	(void)dwfl, (void)t, (void)arg;
	return 0;
}

static bool any_thread(void *dwfl, int tid, void *t, void **arg)
{
	(void)dwfl, (void)tid, (void)t, (void)arg;
	return true;
}

/* The page that was read last, of the thread that is climbed. */
static struct {
	bool there;
	uint32_t at;
	char bytes[PG_PAGE_LEAST];
} page;

static bool read_narrow(void *dwfl, uint64_t address, uint64_t *word, void *t)
{
	uint32_t at = (uint32_t)address, in = at % PG_PAGE_LEAST, narrow;

	(void)dwfl;
	if (!page.there || page.at != at - in) {
		page.at = at - in;
		page.there = pg_bytes_read(pg_tracee_by(t), page.at, page.bytes, PG_PAGE_LEAST);
	}
	if (!page.there || in > PG_PAGE_LEAST - sizeof narrow)
		return false;
	memcpy(&narrow, page.bytes + in, sizeof narrow);
	*word = narrow;
	return true;
}

static bool start_narrow(void *thread, void *arg)
{
	uint32_t reg[PG_NARROW_REGISTERS];
	uint64_t all[PG_NARROW_REGISTERS];

	(void)arg;
	page.there = false;
	if (!pg_registers_narrow(dw.tid(thread), reg))
		return false;
	for (unsigned i = 0; i < PG_NARROW_REGISTERS; i++)
		all[i] = reg[i];
	return dw.registers(thread, 0, PG_NARROW_REGISTERS, all);
}

static bool attach(struct pg_tracee *t, void *dwfl)
{
	static const struct thread_callbacks narrow = {
		.next = no_next, .thread = any_thread, .read = read_narrow, .start = start_narrow};
	int by = pg_tracee_by(t);

	return pg_memory_is_narrow(t) ? dw.attach_by(dwfl, NULL, by, &narrow, t)
				      : !dw.attach(dwfl, by, true);
}

/* ---- climbing by libdw ---- */

static void *session(struct pg_tracee *t)
{
	static struct callbacks callbacks;
	void *dwfl;

	if (t->unwind)
		return t->unwind;
	callbacks.find_elf = dw.find_elf;
	*(int (**)(void *, void **, const char *, uint64_t, const char *, const char *, unsigned,
		   char **)) &
		callbacks.find_debuginfo = no_debuginfo;
	callbacks.section_address = dw.section_address;
	dwfl = dw.begin(&callbacks);
	if (!dwfl)
		return NULL;
	if (dw.report(dwfl, pg_tracee_by(t)) || dw.report_end(dwfl, NULL, NULL) ||
	    !attach(t, dwfl)) {
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
	void *dwfl;
	uintptr_t pc;
	unsigned passed;
	bool tables; /* there was a frame that has a row */
	bool lost;   /* the last one has none */
};

static bool has_row_in(void *cfi, uint64_t place)
{
	void *row;

	if (!cfi || dw.row(cfi, place, &row))
		return false;
	free(row);
	return true;
}

/* Where there is no row of the tables, libdw guesses by the frame pointer, and does not say so. */
static bool has_row(void *dwfl, uint64_t place)
{
	uint64_t bias = 0;
	void *mod = dw.module(dwfl, place), *cfi = mod ? dw.eh_cfi(mod, &bias) : NULL;

	if (has_row_in(cfi, place - bias))
		return true;
	cfi = mod ? dw.debug_cfi(mod, &bias) : NULL;
	return has_row_in(cfi, place - bias);
}

static int on_frame(void *state, void *arg)
{
	struct first *first = arg;
	uint64_t pc;
	bool exact, row;

	if (!dw.pc(state, &pc, &exact))
		return 1;
	if (!climbed.n && pc != first->pc)
		return ++first->passed == FRAMES;
	if (!add((uintptr_t)pc, exact, first->lost))
		return 1;
	row = has_row(first->dwfl, pc - !exact);
	first->tables |= row;
	first->lost = first->tables && !row;
	return 0;
}

/* Did the climb come to a file that was loaded after the tables were learnt? What is above it was
 * guessed. */
static bool came_to_new(void *dwfl)
{
	struct pg_module room;

	for (unsigned i = 0; i < climbed.n; i++)
		if (!dw.module(dwfl, climbed.pc[i]))
			return pg_module_at(climbed.pc[i], &room);
	return false;
}

static bool climb(void *dwfl, struct pg_tracee *t, int tid, uintptr_t pc)
{
	struct first first = {.dwfl = dwfl, .pc = pc};

	climbed.n = 0;
	if (!pg_bound_begin(pg_memory_of_files(t)))
		return false;
	dw.frames(dwfl, tid, on_frame, &first);
	pg_bound_end();
	return true;
}

static void climb_by_tables(struct pg_tracee *t, int tid, uintptr_t pc)
{
	void *dwfl = pg_frames_tables(t);

	if (!dwfl || !climb(dwfl, t, tid, pc) || !came_to_new(dwfl))
		return;
	pg_tracee_forget_tables(t);
	dwfl = pg_frames_tables(t);
	if (dwfl)
		climb(dwfl, t, tid, pc);
}

/* ---- frame pointers ---- */

/* Each frame begins with the one before it and the way back; they lie upwards, and not far. */
static void climb_by_pointers(struct pg_tracee *t, const struct pg_registers *r)
{
	enum { FAR = 1 << 24 };
	size_t size = r->narrow ? 4 : sizeof(uintptr_t);
	uintptr_t frame = r->frame, below = r->sp;

	add(r->pc, true, false);
	for (;;) {
		uint64_t pair[2] = {0, 0};
		uint32_t narrow[2];

		if (frame < below || frame - below > FAR || frame % size)
			return;
		if (size == 4 && pg_bytes_read(pg_tracee_by(t), frame, narrow, sizeof narrow))
			pair[0] = narrow[0], pair[1] = narrow[1];
		else if (size == 4 || !pg_bytes_read(pg_tracee_by(t), frame, pair, sizeof pair))
			return;
		if (!pg_memory_runs(t, (uintptr_t)pair[1]) ||
		    !add((uintptr_t)pair[1], false, false))
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
	if (!pg_memory_is_go(t) || r->narrow) /* Go keeps no frame pointers there */
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

static bool go_up(struct pg_cursor *c, bool by_pointer)
{
	unsigned next = climbed.at + 1;

	if ((next < climbed.n && climbed.by_pointer[next]) != by_pointer)
		return false;
	climbed.at = next;
	stand(c);
	return c->pc;
}

bool pg_cursor_up(struct pg_cursor *c)
{
	return go_up(c, false);
}

bool pg_cursor_up_by_pointer(struct pg_cursor *c)
{
	return go_up(c, true);
}

uintptr_t pg_cursor_sp(const struct pg_cursor *c)
{
	(void)c;
	return 0;
}
