/* SPDX-License-Identifier: MIT */
#include "stack.h"

#include "elf.h"
#include "next.h"
#include "sys.h"
#include "unwinder.h"

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

	can_unwind = pg_elf_module((uintptr_t)&pg_stack_start, &own) && own.eh_frame_hdr;
}

/* Where unwinder.h does not understand the tables. */
struct visitor {
	pg_frame_fn *visit;
	void *arg;
};

static _Unwind_Reason_Code visit(struct _Unwind_Context *context, void *arg)
{
	const struct visitor *v = arg;
	int exact = 0;
	uintptr_t ip = (uintptr_t)_Unwind_GetIPInfo(context, &exact);
	struct pg_module m;
	bool known = pg_elf_module(ip - 1, &m);

	return v->visit(ip, exact, known ? &m : NULL, v->arg) ? _URC_NO_REASON : _URC_END_OF_STACK;
}

static void by_libgcc(pg_frame_fn *each, void *arg)
{
	struct visitor v = {each, arg};

	_Unwind_Backtrace(visit, &v);
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

static bool is_skipped(const struct walk *w, uintptr_t pc, const struct pg_module *m)
{
	return !w->n && (pg_elf_is_own(pc) || (m && is_below_us(m)));
}

static bool step(uintptr_t ip, bool exact, const struct pg_module *m, void *arg)
{
	struct walk *w = arg;

	if (w->in_page && exact) /* qemu's user mode keeps that outside of any module */
		w->n = 0;
	if (w->n == w->max || ++w->steps > PG_FRAMES_MAX + 24 || !ip)
		return false;
	w->in_page = !w->n && !m;
	if (!is_skipped(w, ip - 1, m))
		w->frames[w->n++] = ip - 1;
	return true;
}

unsigned pg_stack_walk(uintptr_t *frames, unsigned max)
{
	struct walk w = {.frames = frames, .max = max};

	if (max && can_unwind && !pg_unwind(step, &w)) {
		w = (struct walk){.frames = frames, .max = max};
		by_libgcc(step, &w);
	}
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

static bool seek(uintptr_t ip, bool exact, const struct pg_module *m, void *arg)
{
	struct search *s = arg;

	s->interrupted |= exact;
	if (!s->interrupted)
		return ++s->steps < 24;
	if (pg_elf_is_own(ip - 1)) {
		s->found = ip - 1;
		return false;
	}
	return ++s->steps <= 48 && m && is_below_us(m);
}

const char *pg_stack_wrapper(bool *stdio)
{
	struct search s = {.found = 0};
	struct pg_module own;
	uintptr_t offset;

	if (can_unwind && !pg_unwind(seek, &s)) {
		s = (struct search){.found = 0};
		by_libgcc(seek, &s);
	}
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
