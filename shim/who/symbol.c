/* SPDX-License-Identifier: MIT */
#include "who/symbol.h"

#include "base/peek.h"
#include "base/text.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

enum { CHUNK = 8 };

struct symbols {
	const ElfW(Sym) * sym;
	size_t count;
	const char *str;
	size_t str_size;
	bool guarded; /* only pg_peek() may read it */
};

static PG_START_DATA struct symbols main_symbols;

/* ---- the table of what is loaded ---- */

static bool read_word(const struct symbols *s, const uint32_t *at, uint32_t *out)
{
	if (s->guarded)
		return pg_peek(out, at, sizeof *out);
	*out = *at;
	return true;
}

/* What the dynamic section says: the loader may have relocated it in place, or not. */
struct dynamic {
	uintptr_t symtab, strtab, strsz, gnu_hash, hash;
};

static uintptr_t pointer(const struct pg_module *m, uintptr_t value)
{
	return pg_module_has(m, value, 1) ? value : value + m->base;
}

static void add_entry(struct dynamic *d, const struct pg_module *m, const ElfW(Dyn) * e)
{
	switch (e->d_tag) {
	case DT_SYMTAB:
		d->symtab = pointer(m, e->d_un.d_ptr);
		break;
	case DT_STRTAB:
		d->strtab = pointer(m, e->d_un.d_ptr);
		break;
	case DT_STRSZ:
		d->strsz = e->d_un.d_val;
		break;
	case DT_GNU_HASH:
		d->gnu_hash = pointer(m, e->d_un.d_ptr);
		break;
	case DT_HASH:
		d->hash = pointer(m, e->d_un.d_ptr);
		break;
	default:
		break;
	}
}

static void read_dynamic(const struct pg_module *m, bool guarded, struct dynamic *d)
{
	enum { ENTRIES = 200 };
	ElfW(Dyn) e;

	*d = (struct dynamic){0, 0, 0, 0, 0};
	for (int i = 0; m->dynamic && i < ENTRIES; i++) {
		if (!pg_module_has(m, (uintptr_t)&m->dynamic[i], sizeof e))
			return;
		if (!guarded)
			e = m->dynamic[i];
		else if (!pg_peek(&e, &m->dynamic[i], sizeof e))
			return;
		if (e.d_tag == DT_NULL)
			return;
		add_entry(d, m, &e);
	}
}

/* A table of 32-bit words, read within the part of the module that it lies in. */
struct words {
	const struct symbols *s;
	const uint32_t *at, *end;
};

static bool word(const struct words *w, size_t i, uint32_t *out)
{
	return i < (size_t)(w->end - w->at) && read_word(w->s, w->at + i, out);
}

/* The symbols that DT_GNU_HASH covers, found through the last chain of its highest bucket. */
static size_t gnu_hash_count(const struct words *w)
{
	uint32_t buckets, first, bloom, v, last = 0;
	size_t at;

	if (!word(w, 0, &buckets) || !word(w, 1, &first) || !word(w, 2, &bloom))
		return 0;
	at = 4 + (size_t)bloom * (sizeof(ElfW(Addr)) / 4);
	for (uint32_t i = 0; i < buckets; i++) {
		if (!word(w, at + i, &v))
			return 0;
		last = v > last ? v : last;
	}
	if (last < first)
		return 0;
	for (at += buckets; word(w, at + last - first, &v) && !(v & 1);)
		last++;
	return (size_t)last + 1;
}

static size_t count_of(const struct pg_module *m, const struct symbols *s, const struct dynamic *d)
{
	uintptr_t table = d->gnu_hash ? d->gnu_hash : d->hash;
	struct pg_span part = pg_module_part(m, table);
	struct words w = {s, (const uint32_t *)table, (const uint32_t *)(part.hi & ~(uintptr_t)3)};
	uint32_t count;

	if (!table || !part.hi)
		return 0;
	if (d->gnu_hash)
		return gnu_hash_count(&w);
	return word(&w, 1, &count) ? count : 0;
}

static void dynamic_symbols(const struct pg_module *m, bool guarded, struct symbols *s)
{
	struct pg_span part;
	struct dynamic d;

	*s = (struct symbols){.guarded = guarded};
	read_dynamic(m, guarded, &d);
	part = pg_module_part(m, d.symtab);
	if (!d.symtab || !part.hi || !pg_module_has(m, d.strtab, d.strsz ? d.strsz : 1))
		return;
	s->sym = (const ElfW(Sym) *)d.symtab;
	s->str = (const char *)d.strtab;
	s->str_size = d.strsz;
	s->count = count_of(m, s, &d);
	if (s->count > (part.hi - d.symtab) / sizeof *s->sym)
		s->count = 0;
}

/* Does SYM hold VALUE, a virtual address of the file? */
static bool holds(const ElfW(Sym) * sym, uintptr_t value)
{
	unsigned type = sym->st_info & 15;

	return (type == STT_FUNC || type == STT_GNU_IFUNC) && sym->st_shndx != SHN_UNDEF &&
	       value - sym->st_value < (sym->st_size ? sym->st_size : 1);
}

/* The smallest function that holds VALUE, as far as has been looked. */
struct best {
	uintptr_t start;
	size_t name;
	bool found;
};

static void look_at(struct best *best, const ElfW(Sym) * sym, size_t n, uintptr_t value,
		    size_t str_size)
{
	for (size_t i = 0; i < n; i++) {
		if (!holds(&sym[i], value) || sym[i].st_name >= str_size ||
		    (best->found && sym[i].st_value <= best->start))
			continue;
		*best = (struct best){sym[i].st_value, sym[i].st_name, true};
	}
}

/* The same where only pg_peek() may read. */
static PG_COLD bool search_guarded(const struct symbols *s, uintptr_t value, struct best *best)
{
	ElfW(Sym) room[CHUNK];
	size_t n;

	for (size_t i = 0; i < s->count; i += n) {
		n = s->count - i < CHUNK ? s->count - i : CHUNK;
		if (!pg_peek(room, s->sym + i, n * sizeof *room))
			return false;
		look_at(best, room, n, value, s->str_size);
	}
	return true;
}

static const char *search(const struct symbols *s, uintptr_t value, uintptr_t *offset)
{
	struct best best = {0, 0, false};

	if (!s->guarded)
		look_at(&best, s->sym, s->count, value, s->str_size);
	else if (!search_guarded(s, value, &best))
		return NULL;
	*offset = value - best.start;
	return best.found ? s->str + best.name : NULL;
}

static const char *find(const struct pg_module *m, bool guarded, uintptr_t addr, uintptr_t *offset)
{
	struct symbols s;
	const char *name;

	if (m->is_main && main_symbols.count) {
		name = search(&main_symbols, addr - m->base, offset);
		if (name)
			return name;
	}
	dynamic_symbols(m, guarded, &s);
	return search(&s, addr - m->base, offset);
}

/*
 * Looking a symbol up takes as long as the table is, and the same places
 * break again: what was found is kept. A key is zero while its entry is
 * written, so a reader that sees it twice has read one whole entry.
 */
struct known {
	pg_shared64 key;  /* of the place, and its module's build */
	const char *name; /* in the module, or in the main program's table, which stays */
	uintptr_t offset;
};
enum { SETS = 128, WAYS = 4 };
static struct known known_symbols[SETS][WAYS];

static void keep(struct known *k, uint64_t key, const char *name, uintptr_t offset)
{
	__atomic_store_n(&k->key, 0, __ATOMIC_SEQ_CST);
	__atomic_store_n(&k->name, name, __ATOMIC_SEQ_CST);
	__atomic_store_n(&k->offset, offset, __ATOMIC_SEQ_CST);
	__atomic_store_n(&k->key, key, __ATOMIC_SEQ_CST);
}

static const char *name_at(const struct pg_module *m, bool guarded, uintptr_t addr,
			   uintptr_t *offset)
{
	uint64_t key = pg_mix(pg_mix(pg_mix(addr, m->base), (uintptr_t)m->dynamic), m->stamp) | 1;
	struct known *k = pg_way(known_symbols[key >> 40 & (SETS - 1)], WAYS, sizeof *k, key);
	bool before = __atomic_load_n(&k->key, __ATOMIC_SEQ_CST) == key;
	const char *name = __atomic_load_n(&k->name, __ATOMIC_SEQ_CST);

	*offset = __atomic_load_n(&k->offset, __ATOMIC_SEQ_CST);
	if (before && __atomic_load_n(&k->key, __ATOMIC_SEQ_CST) == key)
		return name;
	name = find(m, guarded, addr, offset);
	keep(k, key, name, *offset);
	return name;
}

bool pg_symbol_at(const struct pg_module *m, uintptr_t addr, char *name, size_t size,
		  uintptr_t *offset)
{
	bool guarded = !m->stays;
	const char *at = name_at(m, guarded, addr, offset);

	if (!at)
		return false;
	if (!guarded || m->is_main)
		pg_copy(name, size, at);
	else if (!pg_peek_string(name, at, size))
		return false;
	return *name;
}

/* ---- the main program's own table ---- */

/* A part of a file; a null pointer if the file ends before: reading there would be a SIGBUS. */
static const void *map_part(int fd, uint64_t offset, uint64_t size)
{
	size_t slack = (size_t)(offset & (pg_auxval(AT_PAGESZ) - 1));
	long at = pg_sys3(SYS_lseek, fd, 0, SEEK_END);

	if (at < 0 || offset > (uint64_t)at || size > (uint64_t)at - offset)
		return NULL;
#ifdef SYS_mmap2
	at = pg_sys6(SYS_mmap2, 0, size + slack, PROT_READ, MAP_PRIVATE, fd,
		     (offset - slack) >> 12);
#else
	at = pg_sys6(SYS_mmap, 0, size + slack, PROT_READ, MAP_PRIVATE, fd, offset - slack);
#endif
	return at < 0 && at > -4096 ? NULL : (const char *)at + slack;
}

/* ---- its sections, a part of them at a time ---- */

enum { AT_ONCE = 16 };
static PG_START_DATA _Alignas(8) ElfW(Shdr) part[AT_ONCE];

static bool read_at(int fd, uint64_t offset, void *buf, size_t size)
{
	return pg_pread(fd, buf, size, offset) == (long)size;
}

static void map_symbols(int fd, const ElfW(Shdr) * symbols, const ElfW(Shdr) * names)
{
	main_symbols.str_size = names->sh_size;
	main_symbols.sym = map_part(fd, symbols->sh_offset, symbols->sh_size);
	main_symbols.str = map_part(fd, names->sh_offset, names->sh_size);
	if (main_symbols.sym && main_symbols.str && main_symbols.str_size &&
	    !main_symbols.str[main_symbols.str_size - 1])
		main_symbols.count = symbols->sh_size / sizeof(ElfW(Sym));
}

/* Linkers put it last: the last sections come first. */
static void find_symbols(int fd, const ElfW(Ehdr) * e)
{
	ElfW(Shdr) names;

	for (size_t end = e->e_shnum, n; end; end -= n) {
		n = end < AT_ONCE ? end : AT_ONCE;
		if (!read_at(fd, e->e_shoff + (end - n) * sizeof *part, part, n * sizeof *part))
			return;
		for (size_t i = 0; i < n; i++) {
			if (part[i].sh_type != SHT_SYMTAB)
				continue;
			if (part[i].sh_link < e->e_shnum &&
			    read_at(fd, e->e_shoff + part[i].sh_link * sizeof names, &names,
				    sizeof names))
				map_symbols(fd, &part[i], &names);
			return;
		}
	}
}

/* ---- its file ---- */

/* How FD begins, into PART. */
static bool read_begin(int fd)
{
	return read_at(fd, 0, part, sizeof part);
}

/* Does FD begin, into PART, as what is mapped? The program's first page is in place when its
 * headers are. */
static bool is_mapped(int fd)
{
	const uint64_t *mapped = (const uint64_t *)(pg_auxval(AT_PHDR) - sizeof(ElfW(Ehdr)));
	uint64_t *read = (uint64_t *)(void *)part;
	enum { WORDS = sizeof part / 8 };

	if ((uintptr_t)mapped % PG_PAGE_LEAST || !read_begin(fd))
		return false;
	for (size_t i = 0; i < WORDS; i++)
		if (read[i] != mapped[i])
			return false;
	return true;
}

/* By the name that it was started by, which costs a fraction of what /proc does. -1: that is
 * another file (an interpreted script, one that took its place), or a link. */
static int open_by_name(void)
{
	const char *path = pg_module_by_hand() ? NULL : (const char *)pg_auxval(AT_EXECFN);
	int fd = path ? pg_open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK) : -1;

	if (fd < 0 || is_mapped(fd))
		return fd;
	pg_sys1(SYS_close, fd);
	return -1;
}

bool pg_symbol_start(void)
{
	ElfW(Ehdr) e;
	int fd = open_by_name();
	bool by_name = fd >= 0;

	if (!by_name)
		fd = pg_open("/proc/self/exe", O_RDONLY);
	if (fd < 0)
		return false;
	if (by_name || read_begin(fd)) {
		__builtin_memcpy(&e, part, sizeof e);
		if (e.e_shentsize == sizeof *part)
			find_symbols(fd, &e);
	}
	pg_sys1(SYS_close, fd);
	return by_name;
}

void pg_symbol_show(const struct pg_module *m, uintptr_t addr, char *name, size_t size)
{
	(void)m, (void)addr, (void)name, (void)size;
}

bool pg_source_at(uintptr_t addr, struct pg_text *t)
{
	(void)addr, (void)t;
	return false;
}
