/* SPDX-License-Identifier: MIT */
#include "base/loader.h"

#include "base/sys.h"
#include "base/text.h"

#include <elf.h>
#include <stddef.h>
#include <sys/auxv.h>

/* The linker's name for this library's own; glibc's <link.h> has it, too. A command that is linked
 * statically has none. */
extern ElfW(Dyn) _DYNAMIC[] __attribute__((weak));

/* How far the file whose N program headers stand at PHDR was moved. Not each has a PT_PHDR: musl's
 * loader has none, and started by hand as a program it is whose headers the kernel names
 * (getauxval(3), AT_PHDR). */
static uintptr_t moved_by(const ElfW(Phdr) * phdr, size_t n)
{
	const ElfW(Ehdr) *file = (const ElfW(Ehdr) *)((const char *)phdr - sizeof *file);

	for (size_t i = 0; i < n; i++)
		if (phdr[i].p_type == PT_PHDR)
			return (uintptr_t)phdr - phdr[i].p_vaddr;
	for (size_t i = 0; i < n; i++)
		if (phdr[i].p_type == PT_LOAD && !phdr[i].p_offset)
			return (uintptr_t)file - phdr[i].p_vaddr;
	return 0;
}

/* ---- symbols ---- */

/* The tables of an object. HASH: as in DT_GNU_HASH, whose layout is GNU ld's and lld's; OLD_HASH:
 * the gABI's DT_HASH. */
struct tables {
	uintptr_t base;
	const uint32_t *hash, *old_hash;
	const ElfW(Sym) * symbols;
	const char *names;
	const ElfW(Versym) * versions;
};

/* glibc relocates these addresses in place, but not where the section is read-only. */
static uintptr_t address(const struct link_map *l, const ElfW(Dyn) * d)
{
	return d->d_un.d_ptr < l->l_addr ? l->l_addr + d->d_un.d_ptr : d->d_un.d_ptr;
}

static bool read_tables(const struct link_map *l, struct tables *t)
{
	*t = (struct tables){.base = l->l_addr};
	for (const ElfW(Dyn) *d = l->l_ld; d && d->d_tag; d++) {
		if (d->d_tag == DT_GNU_HASH)
			t->hash = (const uint32_t *)address(l, d);
		else if (d->d_tag == DT_HASH)
			t->old_hash = (const uint32_t *)address(l, d);
		else if (d->d_tag == DT_SYMTAB)
			t->symbols = (const ElfW(Sym) *)address(l, d);
		else if (d->d_tag == DT_STRTAB)
			t->names = (const char *)address(l, d);
		else if (d->d_tag == DT_VERSYM)
			t->versions = (const ElfW(Versym) *)address(l, d);
	}
	return (t->hash || t->old_hash) && t->symbols && t->names;
}

static uint32_t hash_of(const char *name)
{
	uint32_t h = 5381;

	for (; *name; name++)
		h = h * 33 + (unsigned char)*name;
	return h;
}

/* Is number I of the symbols what NAME is bound to by default? */
static bool is_it(const struct tables *t, uint32_t i, const char *name)
{
	enum { HIDDEN = 0x8000 }; /* an older version, for old programs alone */
	const ElfW(Sym) *s = &t->symbols[i];

	return s->st_shndx != SHN_UNDEF && !(t->versions && t->versions[i] & HIDDEN) &&
	       pg_same(t->names + s->st_name, name);
}

static const ElfW(Sym) * search_old(const struct tables *t, const char *name)
{
	uint32_t buckets = t->old_hash[0], h = 0;
	const uint32_t *bucket = t->old_hash + 2, *chain = bucket + buckets;

	for (const char *c = name; *c; c++) {
		h = (h << 4) + (unsigned char)*c;
		h ^= h >> 24 & 0xf0;
		h &= 0x0fffffff;
	}
	for (uint32_t i = bucket[h % buckets]; i; i = chain[i])
		if (is_it(t, i, name))
			return &t->symbols[i];
	return NULL;
}

static const ElfW(Sym) * search_new(const struct tables *t, const char *name, uint32_t hash)
{
	uint32_t buckets = t->hash[0], first = t->hash[1], words = t->hash[2], shift = t->hash[3];
	const ElfW(Addr) *bloom = (const ElfW(Addr) *)&t->hash[4];
	const uint32_t *bucket = (const uint32_t *)(bloom + words), *chain = bucket + buckets;
	enum { BITS = 8 * sizeof *bloom };
	ElfW(Addr) word = bloom[hash / BITS % words];

	if (!(word >> hash % BITS & word >> (hash >> shift) % BITS & 1))
		return NULL;
	for (uint32_t i = bucket[hash % buckets]; i >= first; i++) {
		if ((chain[i - first] | 1) == (hash | 1) && is_it(t, i, name))
			return &t->symbols[i];
		if (chain[i - first] & 1)
			break;
	}
	return NULL;
}

static const ElfW(Sym) * search(const struct tables *t, const char *name, uint32_t hash)
{
	return t->hash ? search_new(t, name, hash) : search_old(t, name);
}

/* ---- the list ---- */

/* The dynamic section of what has N program headers at PHDR, moved by BASE; a null pointer: none.
 */
static ElfW(Dyn) * dynamic_of(const ElfW(Phdr) * phdr, size_t n, uintptr_t base)
{
	for (size_t i = 0; i < n; i++)
		if (phdr[i].p_type == PT_DYNAMIC)
			return (ElfW(Dyn) *)(base + phdr[i].p_vaddr);
	return NULL;
}

/* Its addresses in the file are not 0-based in every kernel's and emulator's. */
void *pg_loader_vdso(const char *name)
{
	const ElfW(Ehdr) *file = (const ElfW(Ehdr) *)pg_auxval(AT_SYSINFO_EHDR);
	const ElfW(Phdr) *phdr =
		file ? (const ElfW(Phdr) *)((uintptr_t)file + file->e_phoff) : NULL;
	struct link_map vdso = {.l_addr = 0};
	const ElfW(Sym) *s = NULL;
	struct tables t;

	if (!file)
		return NULL;
	vdso.l_addr = moved_by(phdr, file->e_phnum);
	vdso.l_ld = dynamic_of(phdr, file->e_phnum, vdso.l_addr);
	if (vdso.l_ld && read_tables(&vdso, &t))
		s = search(&t, name, hash_of(name));
	return s ? (void *)(t.base + s->st_value) : NULL;
}

/* The loader's own word for debuggers, where the program has none: it was started by hand, and an
 * older glibc's loader left its own headers in AT_PHDR. */
static const struct pg_debug_list *list_of(struct link_map *loader)
{
	static const char name[] = "_r_debug";
	const ElfW(Sym) *s = NULL;
	struct tables t;

	if (loader->l_ld && read_tables(loader, &t))
		s = search(&t, name, hash_of(name));
	return s ? (const struct pg_debug_list *)(t.base + s->st_value) : NULL;
}

const struct pg_debug_list *pg_loader_list(void)
{
	const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)pg_auxval(AT_PHDR);
	size_t n = pg_auxval(AT_PHNUM);
	uintptr_t base = moved_by(phdr, n);
	struct link_map self = {.l_addr = base, .l_ld = dynamic_of(phdr, n, base)};

	for (const ElfW(Dyn) *d = self.l_ld; d && d->d_tag; d++)
		if (d->d_tag == DT_DEBUG)
			return (const struct pg_debug_list *)d->d_un.d_ptr;
	return pg_auxval(AT_BASE) ? NULL : list_of(&self);
}

/* ---- what is searched ---- */

/* Few programs have more than the first ones. */
enum { FIRST = 12, SCOPE_MAX = 1024 };
static PG_START_DATA struct tables first[FIRST];
static struct tables others[SCOPE_MAX - FIRST];
/* How many there are; the first one behind this library. */
static PG_START_DATA unsigned scoped, behind;

static struct tables *scope(unsigned i)
{
	return i < FIRST ? &first[i] : &others[i - FIRST];
}

void pg_loader_scope(const struct pg_debug_list *list)
{
	const struct link_map *l = list ? list->base.r_map : NULL;

	for (; l && scoped < SCOPE_MAX; l = l->l_next) {
		if (l->l_addr == pg_auxval(AT_SYSINFO_EHDR)) /* listed, but not searched */
			continue;
		if (read_tables(l, scope(scoped))) /* else nothing is found in it, by nobody */
			scoped++;
		if (l->l_ld == _DYNAMIC)
			behind = scoped;
	}
}

void pg_loader_forget(void)
{
	scoped = behind = 0;
}

/* The first one from I on that defines NAME, as *S; SCOPE_MAX: none does. */
static unsigned defines(unsigned i, const char *name, const ElfW(Sym) * *s)
{
	uint32_t hash = hash_of(name);

	for (; i < scoped; i++)
		if ((*s = search(scope(i), name, hash)))
			return i;
	return SCOPE_MAX;
}

static void *find_from(unsigned first_one, const char *name, bool *defined)
{
	const ElfW(Sym) *s = NULL;
	unsigned i = defines(first_one, name, &s), type = s ? s->st_info & 0xf : STT_NOTYPE;

	*defined = s;
	return type == STT_FUNC || type == STT_OBJECT ? (void *)(scope(i)->base + s->st_value)
						      : NULL;
}

void *pg_loader_next(const char *name, bool *defined)
{
	*defined = false;
	return behind ? find_from(behind, name, defined) : NULL;
}

void *pg_loader_default(const char *name)
{
	bool defined;

	return find_from(0, name, &defined);
}

bool pg_loader_keep(const char *name)
{
	const ElfW(Sym) *s = NULL;
	unsigned last = behind ? defines(behind, name, &s) : SCOPE_MAX;

	if (last == SCOPE_MAX)
		return false;
	scoped = last + 1;
	return true;
}
