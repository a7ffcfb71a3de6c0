/* SPDX-License-Identifier: MIT */
#include "stack.h"

#include "elf.h"
#include "next.h"
#include "sys.h"

#include <unwind.h>

enum { SYMBOL_MAX = 80 };

/*
 * What libgcc_eh asks of glibc 2.35 and later to find the unwind table of
 * PC; with our own answer the library needs neither that glibc nor its lock.
 * The layout is <dlfcn.h>'s struct dl_find_object.
 */
struct found_object {
	unsigned long long flags;
	void *map_start, *map_end;
	struct link_map *link_map;
	void *eh_frame;
#ifdef __i386__
	void *eh_dbase;
	int size_pad;
#endif
};

int pg_find_object(void *pc, struct found_object *found) __asm__("_dl_find_object")
	__attribute__((visibility("hidden")));

int pg_find_object(void *pc, struct found_object *found)
{
	struct pg_module m;

	if (!pg_elf_module((uintptr_t)pc, &m) || !m.eh_frame_hdr)
		return -1;
	found->flags = 0;
	found->map_start = (void *)m.lo;
	found->map_end = (void *)m.hi;
	found->link_map = NULL;
	found->eh_frame = (void *)(uintptr_t)m.eh_frame_hdr;
#ifdef __i386__
	found->eh_dbase = NULL;
#endif
	return 0;
}

/*
 * libgcc_eh's other wants: libpthread's once, for a table that it fills with
 * the same values each time, and a lock for frames that a program registers,
 * which are none in this private copy. Answered here, they neither block in
 * a signal handler nor ask for the newest glibc's versions.
 */
#define HIDDEN_AS(name) __asm__(name) __attribute__((visibility("hidden")))
int pg_once(int *done, void (*fill)(void)) HIDDEN_AS("pthread_once");
int pg_no_key(void) HIDDEN_AS("__pthread_key_create");
int pg_no_lock(void) HIDDEN_AS("pthread_mutex_lock");
int pg_no_unlock(void) HIDDEN_AS("pthread_mutex_unlock");

int pg_once(int *done, void (*fill)(void))
{
	if (!__atomic_load_n(done, __ATOMIC_ACQUIRE))
		fill();
	__atomic_store_n(done, 1, __ATOMIC_RELEASE);
	return 0;
}

int pg_no_key(void)
{
	return -1;
}

int pg_no_lock(void)
{
	return 0;
}

int pg_no_unlock(void)
{
	return 0;
}

static bool can_unwind;

void pg_stack_start(void)
{
	struct pg_module own;
	uintptr_t frame[1];

	can_unwind = pg_elf_module((uintptr_t)&pg_stack_start, &own) && own.eh_frame_hdr;
	pg_stack_walk(frame, 1);
}

struct walk {
	uintptr_t *frames;
	unsigned n, max, steps;
	bool in_page; /* the one frame so far is in no module: code made at run time, or the way
			 back from a signal */
};

/* Of libc, or of a preload that stands between us and it. */
static bool is_below_us(const struct pg_module *m)
{
	return pg_elf_is_libc(m) || pg_next_within(m->lo, m->hi);
}

static bool is_skipped(const struct walk *w, uintptr_t pc, bool known, const struct pg_module *m)
{
	return !w->n && (pg_elf_is_own(pc) || (known && is_below_us(m)));
}

static _Unwind_Reason_Code step(struct _Unwind_Context *context, void *arg)
{
	struct walk *w = arg;
	int interrupted = 0;
	uintptr_t pc = (uintptr_t)_Unwind_GetIPInfo(context, &interrupted) - 1;
	struct pg_module m;
	bool known;

	if (w->in_page && interrupted) /* qemu's user mode keeps that outside of any module */
		w->n = 0;
	if (w->n == w->max || ++w->steps > PG_FRAMES_MAX + 24)
		return _URC_END_OF_STACK;
	if (pc + 1 == 0)
		return _URC_END_OF_STACK;
	known = pg_elf_module(pc, &m);
	w->in_page = !w->n && !known;
	if (!is_skipped(w, pc, known, &m))
		w->frames[w->n++] = pc;
	return _URC_NO_REASON;
}

unsigned pg_stack_walk(uintptr_t *frames, unsigned max)
{
	struct walk w = {.frames = frames, .max = max};

	if (max && can_unwind)
		_Unwind_Backtrace(step, &w);
	return w.n;
}

/* ---- the wrapper under a signal ---- */

/* The linker names the bounds of a section that is a C identifier. */
extern const char __start_pg_stdio[] __attribute__((weak)) PG_HIDDEN;
extern const char __stop_pg_stdio[] __attribute__((weak)) PG_HIDDEN;

struct search {
	uintptr_t found;
	bool interrupted;
	unsigned steps;
};

static _Unwind_Reason_Code seek(struct _Unwind_Context *context, void *arg)
{
	struct search *s = arg;
	int before_insn = 0;
	uintptr_t pc = (uintptr_t)_Unwind_GetIPInfo(context, &before_insn) - 1;
	struct pg_module m;

	s->interrupted |= before_insn != 0;
	if (!s->interrupted)
		return ++s->steps < 24 ? _URC_NO_REASON : _URC_END_OF_STACK;
	if (pg_elf_is_own(pc)) {
		s->found = pc;
		return _URC_END_OF_STACK;
	}
	if (++s->steps > 48 || !pg_elf_module(pc, &m) || !is_below_us(&m))
		return _URC_END_OF_STACK;
	return _URC_NO_REASON;
}

const char *pg_stack_wrapper(bool *stdio)
{
	struct search s = {.found = 0};
	struct pg_module own;
	uintptr_t offset;

	if (can_unwind)
		_Unwind_Backtrace(seek, &s);
	if (!s.found || !pg_elf_module(s.found, &own))
		return NULL;
	*stdio = s.found >= (uintptr_t)__start_pg_stdio && s.found < (uintptr_t)__stop_pg_stdio;
	return *stdio ? NULL : pg_elf_symbol(&own, s.found, &offset);
}

/* ---- text ---- */

static void put_module(struct pg_text *t, const struct pg_module *m, uintptr_t addr)
{
	pg_put_name(t, m->name, SYMBOL_MAX);
	pg_put_char(t, '+');
	pg_put_hex(t, addr - m->base);
}

void pg_stack_put_frame(struct pg_text *t, uintptr_t addr)
{
	struct pg_module m;
	uintptr_t offset;
	const char *symbol;

	if (!pg_elf_module(addr, &m)) {
		pg_put_char(t, '?');
		pg_put_char(t, '+');
		pg_put_hex(t, addr);
		return;
	}
	put_module(t, &m, addr);
	symbol = pg_elf_symbol(&m, addr, &offset);
	if (!symbol)
		return;
	pg_put_char(t, ' ');
	pg_put_name(t, symbol, SYMBOL_MAX);
}

void pg_stack_put_place(struct pg_text *t, uintptr_t addr)
{
	struct pg_module m;
	uintptr_t offset;
	const char *symbol;

	if (!pg_elf_module(addr, &m)) {
		pg_put(t, "?+");
		pg_put_hex(t, addr);
		return;
	}
	symbol = pg_elf_symbol(&m, addr, &offset);
	if (symbol) {
		pg_put_name(t, symbol, SYMBOL_MAX);
		pg_put_char(t, '+');
		pg_put_hex(t, offset);
		pg_put(t, " (");
	}
	put_module(t, &m, addr);
	if (symbol)
		pg_put_char(t, ')');
}
