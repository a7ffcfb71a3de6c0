/* SPDX-License-Identifier: MIT */
#include "who/stack.h"

#include "base/next.h"

enum { NAME_SHOWN = 80, BELOW_MAX = 24 };

/* Of libc, or of a preload that stands between us and it. */
static bool is_below_us(const struct pg_module *m)
{
	return m->is_libc || pg_next_within(m->lo, m->hi);
}

struct walk {
	uintptr_t *frames;
	unsigned n, max;
	bool in_page; /* the one frame so far is in no module: code made at run time, or the way
			 back from a signal */
	bool guessed; /* what comes depends on what is compiled, or a frame pointer led to it */
};

static bool is_skipped(const struct walk *w, const struct pg_cursor *c)
{
	return !w->n &&
	       (pg_module_is_own(pg_cursor_place(c)) || (c->module && is_below_us(c->module)));
}

static void add(struct walk *w, struct pg_cursor *c)
{
	if (w->in_page && c->exact) { /* qemu's user mode keeps that outside of any module */
		w->n = c->proved = 0;
		w->guessed = false;
	}
	w->in_page = !w->n && !c->module;
	if (is_skipped(w, c))
		return;
	w->frames[w->n++] = pg_cursor_place(c);
	c->proved += !w->guessed;
	w->guessed |= !c->module;
}

/* Who called is for the tables to say; whom that was called by, beyond code that has none, frame
 * pointers as well. */
static bool up(struct walk *w, struct pg_cursor *c)
{
	if (pg_cursor_up(c))
		return c->pc;
	w->guessed = true;
	return w->n && pg_cursor_up_by_pointer(c);
}

unsigned pg_stack_walk(struct pg_cursor *c, uintptr_t *frames, unsigned max, const void *uc)
{
	struct walk w = {.frames = frames, .max = max};

	c->proved = 0;
	if (!max)
		return 0;
	if (uc)
		pg_cursor_at(c, uc);
	else
		pg_cursor_here(c);
	if (!c->pc)
		return 0;
	add(&w, c);
	for (unsigned steps = 0; w.n < max && steps < PG_FRAMES_MAX + BELOW_MAX; steps++) {
		if (!up(&w, c))
			break;
		add(&w, c);
	}
	return w.n;
}

bool pg_stack_begins_at(struct pg_module *room, uintptr_t caller)
{
	const struct pg_module *m = caller ? pg_module_at(caller, room) : NULL;

	return m && !pg_module_is_own(caller) && !is_below_us(m);
}

uintptr_t pg_stack_caller(void)
{
	struct pg_cursor c;
	uintptr_t caller;

	return pg_stack_walk(&c, &caller, 1, NULL) ? caller : 0;
}

/* ---- the wrapper under a signal ---- */

/* The linker names the bounds of a section that is a C identifier. */
extern const char __start_pg_stdio[] __attribute__((weak)) PG_HIDDEN;
extern const char __stop_pg_stdio[] __attribute__((weak)) PG_HIDDEN;

static bool is_stdio(uintptr_t place)
{
	return place >= (uintptr_t)__start_pg_stdio && place < (uintptr_t)__stop_pg_stdio;
}

static bool name_wrapper(const struct pg_cursor *c, struct pg_wrapper *out)
{
	uintptr_t offset, place = pg_cursor_place(c);

	out->name[0] = 0;
	if (is_stdio(place))
		return true;
	return pg_symbol_at(c->module, place, out->name, sizeof out->name, &offset);
}

enum pg_between pg_stack_wrapper(const void *uc, struct pg_wrapper *out)
{
	struct pg_cursor c;

	pg_cursor_at(&c, uc);
	/* The frames up to the wrapper are libc's and ours, which will read what they saved: where
	 * nothing may be asked, that is relied on. */
	c.sure = pg_confined;
	for (unsigned steps = 0; steps < BELOW_MAX; steps++) {
		if (c.module && pg_module_is_own(pg_cursor_place(&c))) {
			if (!name_wrapper(&c, out) || !pg_cursor_up(&c))
				return PG_OUR_CODE;
			out->cfa = pg_cursor_sp(&c);
			return PG_OUR_WRAPPER;
		}
		if (!c.module || !is_below_us(c.module) || !pg_cursor_up(&c))
			return PG_NOTHING_OURS;
	}
	return PG_NOTHING_OURS;
}

bool pg_stack_passes(const char *name)
{
	enum { STEPS = 64 };
	char symbol[PG_CALL_NAME_MAX];
	struct pg_cursor c;
	uintptr_t offset;

	pg_cursor_here(&c);
	for (unsigned steps = 0; steps < STEPS && pg_cursor_up(&c); steps++)
		if (c.module && c.module->is_libc &&
		    pg_symbol_at(c.module, pg_cursor_place(&c), symbol, sizeof symbol, &offset) &&
		    pg_same(symbol, name))
			return true;
	return false;
}

/* ---- where it began ---- */

static const struct pg_module *libc_at(struct pg_module *room, uintptr_t frame)
{
	const struct pg_module *m = pg_module_at(frame, room);

	return m && m->is_libc ? m : NULL;
}

static bool starts_main(struct pg_naming *to, uintptr_t frame)
{
	const struct pg_module *m = libc_at(&to->module, frame);
	uintptr_t offset;

	return m && pg_symbol_at(m, frame, to->name, sizeof to->name, &offset) &&
	       pg_prefix(to->name, "__libc_start_main");
}

static bool has_no_name_in_libc(struct pg_naming *to, uintptr_t frame)
{
	const struct pg_module *m = libc_at(&to->module, frame);
	uintptr_t offset;

	return m && !pg_symbol_at(m, frame, to->name, sizeof to->name, &offset);
}

unsigned pg_stack_above_start(struct pg_naming *to, const uintptr_t *frames, unsigned n, bool whole)
{
	unsigned end = n, i = 0;

	while (i < n && !starts_main(to, frames[i]))
		i++;
	if (i < n)
		end = i;
	while ((i < n || whole) && end > 1 && libc_at(&to->module, frames[end - 1]))
		end--;
	/* What calls main, or a thread's function, where the stack was cut off just there. */
	while (i == n && !whole && end > 1 && has_no_name_in_libc(to, frames[end - 1]))
		end--;
	return end > 1 ? end : n ? 1 : 0;
}

/* ---- text ---- */

static void put_module(struct pg_text *t, const struct pg_module *m, uintptr_t addr)
{
	pg_put_name(t, m->name, NAME_SHOWN);
	pg_put_char(t, '+');
	pg_put_hex(t, addr - m->base);
}

static void put_unknown(struct pg_text *t, uintptr_t addr)
{
	pg_put(t, "?+");
	pg_put_hex(t, addr);
}

/* NAME: room for PG_SYMBOL_MAX bytes. */
static void put_frame(struct pg_text *t, char *name, const struct pg_module *m, uintptr_t addr)
{
	uintptr_t offset;

	if (!m) {
		put_unknown(t, addr);
		return;
	}
	put_module(t, m, addr);
	if (!pg_symbol_at(m, addr, name, PG_SYMBOL_MAX, &offset))
		return;
	pg_symbol_show(m, addr, name, PG_SYMBOL_MAX);
	pg_put_char(t, ' ');
	pg_put_name(t, name, PG_SYMBOL_MAX);
}

static void put_place(struct pg_text *t, char *name, const struct pg_module *m, uintptr_t addr)
{
	uintptr_t offset;
	bool known;

	if (!m) {
		put_unknown(t, addr);
		return;
	}
	known = pg_symbol_at(m, addr, name, PG_SYMBOL_MAX, &offset);
	if (known) {
		pg_symbol_show(m, addr, name, PG_SYMBOL_MAX);
		pg_put_name(t, name, PG_SYMBOL_MAX);
		pg_put_char(t, '+');
		pg_put_hex(t, offset);
		pg_put(t, " (");
	}
	put_module(t, m, addr);
	if (known)
		pg_put_char(t, ')');
}

void pg_stack_put_frame(struct pg_text *t, struct pg_naming *to, uintptr_t addr)
{
	put_frame(t, to->name, pg_module_at(addr, &to->module), addr);
}

void pg_stack_put_place(struct pg_text *t, struct pg_naming *to, uintptr_t addr)
{
	put_place(t, to->name, pg_module_at(addr, &to->module), addr);
}

void pg_stack_put_code_frame(struct pg_text *t, struct pg_naming *to, const struct pg_code *code)
{
	put_frame(t, to->name, pg_code_module(code, &to->module), code->at);
}

void pg_stack_put_code(struct pg_text *t, struct pg_naming *to, const struct pg_code *code)
{
	put_place(t, to->name, pg_code_module(code, &to->module), code->at);
}

uint64_t pg_stack_site(struct pg_module *room, const uintptr_t *frames, unsigned n)
{
	uint64_t h = 0xcbf29ce484222325u;

	for (unsigned i = 0; i < n && i < PG_SITE_FRAMES; i++) {
		const struct pg_module *m = pg_module_at(frames[i], room);

		if (!m)
			continue;
		for (const char *p = m->name; *p; p++)
			h = pg_mix(h, (uint8_t)*p);
		h = pg_mix(h, frames[i] - m->base);
	}
	return h;
}
