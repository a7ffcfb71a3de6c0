/* SPDX-License-Identifier: MIT */
/* Lines of the source, by elfutils' libdw, and names as people write them, those of C++ by
 * libstdc++: of both what is installed. */
#include "outside/bound.h"
#include "outside/file.h"
#include "outside/frames.h"
#include "outside/library.h"
#include "outside/memory.h"
#include "outside/rust.h"
#include "outside/source.h"
#include "outside/units.h"

#include "base/text.h"
#include "who/symbol.h"

#include <stdlib.h>
#include <string.h>

/* ---- what was tried ---- */

enum { TRIED = 1024, LINES_SECONDS = 4, NAME_SECONDS = 1 };
enum verdict { NEW, GOOD, BAD };
static struct {
	uint64_t what;
	enum verdict is;
} verdicts[TRIED];

static enum verdict verdict_on(uint64_t what)
{
	return verdicts[what % TRIED].what == what ? verdicts[what % TRIED].is : NEW;
}

static bool judge(uint64_t what, bool good)
{
	verdicts[what % TRIED].what = what;
	verdicts[what % TRIED].is = good ? GOOD : BAD;
	return good;
}

/* ---- lines ---- */

/* What is used of <elfutils/libdwfl.h>. */
static struct {
	void *(*line)(void *, uint64_t);
	const char *(*info)(void *, uint64_t *, int *, int *, void *, void *);
} dw;

static bool load(void)
{
	static const struct pg_symbol_wanted wanted[] = {
		{"dwfl_getsrc", &dw.line},
		{"dwfl_lineinfo", &dw.info},
	};
	static bool tried, there;

	if (!tried)
		there = pg_library_take(PG_LIBDW, wanted, sizeof wanted / sizeof *wanted);
	tried = true;
	return there;
}

/* The process stands still while its tables are read: not those of giants. */
static bool is_small(const struct pg_file *f)
{
	enum { MOST = 64 << 20 };

	return f && f->debug && f->debug <= MOST;
}

static const char *line_of(struct pg_file *f, uintptr_t addr, int *number)
{
	void *all = pg_frames_tables(pg_tracee_now);
	void *line = all ? dw.line(all, addr) : NULL;

	if (line)
		return dw.info(line, NULL, number, NULL, NULL, NULL);
	return all ? pg_units_line(f, all, addr, number) : NULL;
}

static struct pg_file *file_of(uintptr_t addr)
{
	struct pg_file *f = pg_tracee_now ? pg_memory_file(pg_tracee_now, addr) : NULL;

	return is_small(f) && load() ? f : NULL;
}

/* ADDR, as file F has it. */
static uint64_t in_file(const struct pg_file *f, uintptr_t addr)
{
	struct pg_module room;
	const struct pg_module *m = pg_module_at(addr, &room);

	return pg_mix(pg_mix(3, f->stamp), addr - (m ? m->base : 0)) | 1;
}

/* A place and its file, which is asked for once. */
struct place {
	struct pg_file *file; /* a null pointer: no line of it is known */
	uintptr_t addr;
	uint64_t what; /* as verdicts are kept */
};

static struct place place_of(uintptr_t addr)
{
	struct pg_file *f = file_of(addr);

	return (struct place){f, addr, f ? in_file(f, addr) : 0};
}

static bool is_new(const struct place *p)
{
	return p->file && verdict_on(p->what) == NEW;
}

struct places {
	const struct place *place;
	unsigned n;
};

static void look_at(void *arg)
{
	const struct places *all = arg;
	int number;

	for (unsigned i = 0; i < all->n; i++)
		if (all->place[i].file)
			line_of(all->place[i].file, all->place[i].addr, &number);
}

/* Of a file that is bad nothing more is read. */
static void try_one(const struct place *p)
{
	if (is_new(p) && is_small(p->file) &&
	    !judge(p->what, pg_bound_try(look_at, &(struct places){p, 1}, LINES_SECONDS)))
		p->file->debug = 0;
}

void pg_source_try(const uintptr_t *addr, unsigned n)
{
	struct place place[PG_FRAMES_MAX];
	bool any = false, good;

	n = n < PG_FRAMES_MAX ? n : PG_FRAMES_MAX;
	for (unsigned i = 0; i < n; i++) {
		place[i] = place_of(addr[i]);
		any |= is_new(&place[i]);
	}
	if (!any)
		return;
	good = pg_bound_try(look_at, &(struct places){place, n}, LINES_SECONDS);
	for (unsigned i = 0; i < n; i++)
		if (!good)
			try_one(&place[i]);
		else if (place[i].file)
			judge(place[i].what, true);
}

bool pg_source_at(uintptr_t addr, struct pg_text *t)
{
	struct place p = place_of(addr);
	const char *file;
	int number = 0;

	if (!p.file || verdict_on(p.what) != GOOD || !pg_bound_begin(0))
		return false;
	file = line_of(p.file, addr, &number);
	pg_bound_end();
	if (!file || number <= 0)
		return false;
	pg_put_name(t, pg_basename(file), 64);
	pg_put_char(t, ':');
	pg_put_u64(t, (uint64_t)number);
	return true;
}

/* ---- names ---- */

typedef char *demangle_fn(const char *, char *, size_t *, int *);

static demangle_fn *demangler(void)
{
	static demangle_fn *fn;
	static const struct pg_symbol_wanted wanted = {"__cxa_demangle", &fn};
	static bool tried;

	if (!tried)
		pg_library_take("libstdc++.so.6", &wanted, 1);
	tried = true;
	return fn;
}

/* Where what is between < and >, or ( and ), has been left, from the end of NAME on: the beginning
 * of the last word. A type that is returned stands before it. */
static char *last_word(char *name, char *end)
{
	int depth = 0;

	for (char *at = end; at > name; at--) {
		depth += at[-1] == '>' || at[-1] == ')';
		depth -= at[-1] == '<' || at[-1] == '(';
		if (!depth && at[-1] == ' ')
			return at;
	}
	return name;
}

/* Behind the name: where the arguments begin, or the end. */
static char *arguments(char *name)
{
	int depth = 0;

	for (char *at = name; *at; at++) {
		depth += *at == '<';
		depth -= *at == '>' && depth;
		if (*at == '(' && !depth && at > name && strncmp(at, "(anonymous", 10) != 0)
			return at;
	}
	return name + strlen(name);
}

/* Frames have no blanks in names. */
static void copy(char *to, size_t size, const char *from)
{
	size_t n = 0;

	for (; *from && n + 1 < size; from++)
		if (*from != ' ')
			to[n++] = *from;
		else if (from[1] == '>' || (n && to[n - 1] == ','))
			continue;
		else
			to[n++] = '_';
	to[n] = 0;
}

static void demangle(void *mangled)
{
	int status;

	free(demangler()(mangled, NULL, NULL, &status));
}

/* A name says again what it said before in three characters, and that again. */
static bool is_harmless(const char *mangled)
{
	enum { SHORT = 64 };
	size_t n = strlen(mangled);
	uint64_t what = 5;

	if (n < SHORT)
		return true;
	for (size_t i = 0; i < n; i++)
		what = pg_mix(what, (unsigned char)mangled[i]);
	if (verdict_on(what) == NEW)
		judge(what, pg_bound_try(demangle, (void *)(uintptr_t)mangled, NAME_SECONDS));
	return verdict_on(what) == GOOD;
}

/* MANGLED as libstdc++ reads it; to be freed, or a null pointer. */
static char *plain_name(const char *mangled)
{
	char *plain, *end;
	int status = 0;

	if (!pg_prefix(mangled, "_Z") || !demangler() || !is_harmless(mangled))
		return NULL;
	if (!pg_bound_begin(0))
		return NULL;
	plain = demangler()(mangled, NULL, NULL, &status);
	pg_bound_end();
	if (plain && !strstr(plain, "operator")) { /* in whose name may stand what ends others */
		end = arguments(plain);
		*end = 0;
		memmove(plain, last_word(plain, end), strlen(last_word(plain, end)) + 1);
	}
	return plain;
}

void pg_symbol_show(const struct pg_module *m, uintptr_t addr, char *name, size_t size)
{
	const char *mangled = pg_memory_symbol(m, addr); /* NAME may be a part of it */
	char rust[PG_SYMBOL_MAX];
	char *plain;

	if (!mangled)
		return;
	if (pg_rust_name(mangled, rust, sizeof rust)) {
		copy(name, size, rust);
		return;
	}
	plain = plain_name(mangled);
	if (plain)
		copy(name, size, plain);
	free(plain);
}
