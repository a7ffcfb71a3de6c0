/* SPDX-License-Identifier: MIT */
#include "elf.h"

#include "sys.h"
#include "text.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <unistd.h>

enum { MODULES_MAX = 4096, SECTIONS_MAX = 96 };

/* <link.h>'s r_debug_extended, glibc 2.35: the lists of dlmopen'ed namespaces. */
struct debug_list {
	struct r_debug base;
	struct debug_list *next;
};

struct symbols {
	const ElfW(Sym) * sym;
	size_t count;
	const char *str;
	size_t str_size;
};

static const struct debug_list *loader;
static struct symbols main_symbols;
static char main_name[128] = "?";

/* The static linker's name for the start of this library; never interposed. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

const char *pg_elf_program(void)
{
	const char *path = (const char *)getauxval(AT_EXECFN);

	return path ? pg_basename(path) : "?";
}

/* Where the program headers of one entry of the loader's list are; their number, or 0 if they
 * cannot be read safely. */
static size_t headers_of(const struct link_map *l, bool is_main, const ElfW(Phdr) * *phdr)
{
	const ElfW(Ehdr) *ehdr = (const ElfW(Ehdr) *)l->l_addr;

	if (is_main) {
		*phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);
		return getauxval(AT_PHNUM);
	}
	if (!l->l_addr || !l->l_ld || ehdr->e_ident[0] != ELFMAG0 || ehdr->e_ident[1] != ELFMAG1)
		return 0;
	*phdr = (const ElfW(Phdr) *)(l->l_addr + ehdr->e_phoff);
	return ehdr->e_phnum;
}

/* What was found of each module, by its place in the list. ENTRY is zero while the rest is written.
 */
static struct found {
	const struct link_map *entry;
	struct pg_module m;
	const char *path;
	const ElfW(Phdr) * code, *table; /* of its instructions, and of .eh_frame_hdr or the same */
} found[64];

static uint64_t stamp_of(const struct found *f)
{
	if (!f->code)
		return 0;
	return pg_mix(pg_mix(f->code->p_vaddr, f->code->p_memsz) ^ f->table->p_memsz,
		      f->table->p_vaddr);
}

static const char *name_of(const struct link_map *l, bool is_main)
{
	const char *name = pg_basename(l->l_name);

	return is_main ? main_name : *name ? name : "?";
}

static void describe_segment(struct found *f, const ElfW(Phdr) * segment)
{
	uintptr_t lo = f->m.base + segment->p_vaddr, hi = lo + segment->p_memsz;

	if (segment->p_type == PT_GNU_EH_FRAME) {
		f->m.eh_frame_hdr = (const void *)lo;
		f->table = segment;
	}
	if (segment->p_type == PT_GNU_RELRO)
		f->m.relro_lo = lo, f->m.relro_hi = hi;
	if (segment->p_type != PT_LOAD)
		return;
	f->m.lo = lo < f->m.lo ? lo : f->m.lo;
	f->m.hi = hi > f->m.hi ? hi : f->m.hi;
	if (segment->p_flags & PF_X)
		f->code = segment;
}

static bool describe(const struct link_map *l, bool is_main, struct found *f)
{
	const ElfW(Phdr) *phdr = NULL;
	size_t n = headers_of(l, is_main, &phdr);

	*f = (struct found){.entry = l,
			    .m = {.base = l->l_addr,
				  .lo = ~(uintptr_t)0,
				  .dynamic = l->l_ld,
				  .is_main = is_main},
			    .path = l->l_name};
	for (size_t i = 0; i < n; i++)
		describe_segment(f, &phdr[i]);
	if (!f->table)
		f->table = f->code;
	f->m.stamp = stamp_of(f);
	f->m.name = name_of(l, is_main);
	return f->m.lo < f->m.hi;
}

/* Is L still what was found at F? HERE: it holds ADDR, and is in M. */
enum recalled { UNKNOWN, ELSEWHERE, HERE };
static enum recalled recall(const struct found *f, const struct link_map *l, uintptr_t addr,
			    struct pg_module *m)
{
	bool here;

	if (__atomic_load_n(&f->entry, __ATOMIC_ACQUIRE) != l || f->m.base != l->l_addr ||
	    f->m.dynamic != l->l_ld || f->path != l->l_name)
		return UNKNOWN;
	here = addr >= f->m.lo && addr < f->m.hi;
	if (here && stamp_of(f) != f->m.stamp)
		return UNKNOWN;
	if (here)
		*m = f->m;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return PG_GET(f->entry) != l ? UNKNOWN : here ? HERE : ELSEWHERE;
}

static void remember(struct found *f, const struct found *now)
{
	__atomic_store_n(&f->entry, NULL, __ATOMIC_SEQ_CST);
	f->m = now->m;
	f->path = now->path;
	f->code = now->code;
	f->table = now->table;
	__atomic_store_n(&f->entry, now->entry, __ATOMIC_SEQ_CST);
}

/* Does L hold ADDR? If so, it is in M. */
static PG_COLD bool look_at(struct found *f, const struct link_map *l, bool is_main, uintptr_t addr,
			    struct pg_module *m)
{
	struct found now;

	if (!describe(l, is_main, &now))
		return false;
	remember(f, &now);
	*m = now.m;
	return addr >= m->lo && addr < m->hi;
}

bool pg_elf_module(uintptr_t addr, struct pg_module *out)
{
	int left = MODULES_MAX;

	for (const struct debug_list *d = loader; d; d = d->base.r_version > 1 ? d->next : NULL) {
		bool is_main = d == loader;

		for (struct link_map *l = d->base.r_map; l && left--; l = l->l_next) {
			struct found *f = &found[left & 63];
			enum recalled r = recall(f, l, addr, out);

			if (r == HERE || (r == UNKNOWN && look_at(f, l, is_main, addr, out)))
				return true;
			is_main = false;
		}
	}
	return false;
}

/* A pointer from the dynamic section: glibc has relocated it in place, musl and the vDSO have not.
 */
static uintptr_t dyn_pointer(const struct pg_module *m, ElfW(Sxword) tag)
{
	for (const ElfW(Dyn) *d = m->dynamic; d && d->d_tag != DT_NULL; d++)
		if (d->d_tag == tag)
			return d->d_un.d_ptr < m->lo ? d->d_un.d_ptr + m->base : d->d_un.d_ptr;
	return 0;
}

/* The symbols that DT_GNU_HASH covers, found through the last chain of its highest bucket. */
static size_t gnu_hash_count(const uint32_t *table)
{
	uint32_t nbuckets = table[0], first = table[1], bloom = table[2], last = 0;
	const uint32_t *buckets = table + 4 + bloom * (sizeof(ElfW(Addr)) / 4);
	const uint32_t *chain = buckets + nbuckets;

	for (uint32_t i = 0; i < nbuckets; i++)
		last = buckets[i] > last ? buckets[i] : last;
	if (last < first)
		return 0;
	while (!(chain[last - first] & 1))
		last++;
	return last + 1;
}

static void dynamic_symbols(const struct pg_module *m, struct symbols *s)
{
	uintptr_t gnu = dyn_pointer(m, DT_GNU_HASH), hash = dyn_pointer(m, DT_HASH);

	s->sym = (const ElfW(Sym) *)dyn_pointer(m, DT_SYMTAB);
	s->str = (const char *)dyn_pointer(m, DT_STRTAB);
	s->str_size = ~(size_t)0;
	s->count = 0;
	if (!s->sym || !s->str)
		return;
	if (gnu)
		s->count = gnu_hash_count((const uint32_t *)gnu);
	else if (hash)
		s->count = ((const uint32_t *)hash)[1];
}

/* The smallest function that holds VALUE, a virtual address of the file. */
static const char *search(const struct symbols *s, uintptr_t value, uintptr_t *offset)
{
	const ElfW(Sym) *best = NULL;

	for (size_t i = 0; i < s->count; i++) {
		const ElfW(Sym) *sym = &s->sym[i];
		unsigned type = sym->st_info & 15;

		if ((type != STT_FUNC && type != STT_GNU_IFUNC) || sym->st_shndx == SHN_UNDEF)
			continue;
		if (value - sym->st_value >= (sym->st_size ? sym->st_size : 1))
			continue;
		if (sym->st_name < s->str_size && (!best || sym->st_value > best->st_value))
			best = sym;
	}
	if (!best)
		return NULL;
	*offset = value - best->st_value;
	return s->str + best->st_name;
}

static const char *find_symbol(const struct pg_module *m, uintptr_t addr, uintptr_t *offset)
{
	struct symbols s;
	const char *name;

	if (m->is_main && main_symbols.count) {
		name = search(&main_symbols, addr - m->base, offset);
		if (name)
			return name;
	}
	dynamic_symbols(m, &s);
	return search(&s, addr - m->base, offset);
}

/*
 * Looking a symbol up takes as long as the table is, and the same places
 * break again: what was found is kept. A key is zero while its entry is
 * written, so a reader that sees it twice has read one whole entry.
 */
struct known {
	uint64_t key; /* of module and address */
	const char *name;
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

/* A module may have gone and another have come in its place: a name is believed while it lies in
 * the module, or in the table of the main program, which stays. */
static bool is_there(const struct pg_module *m, const char *name)
{
	enum { NAME_MAX_READ = 128 };
	uintptr_t at = (uintptr_t)name;

	return !name || m->is_main || (at >= m->lo && at + NAME_MAX_READ < m->hi);
}

const char *pg_elf_symbol(const struct pg_module *m, uintptr_t addr, uintptr_t *offset)
{
	uint64_t key = ((uint64_t)addr * 0x9e3779b97f4a7c15u ^ (uintptr_t)m->dynamic) | 1;
	struct known *k = pg_way(known_symbols[key >> 40 & (SETS - 1)], WAYS, sizeof *k, key);
	bool before = __atomic_load_n(&k->key, __ATOMIC_SEQ_CST) == key;
	const char *name = __atomic_load_n(&k->name, __ATOMIC_SEQ_CST);

	*offset = __atomic_load_n(&k->offset, __ATOMIC_SEQ_CST);
	if (before && __atomic_load_n(&k->key, __ATOMIC_SEQ_CST) == key && is_there(m, name))
		return name;
	name = find_symbol(m, addr, offset);
	keep(k, key, name, *offset);
	return name;
}

bool pg_elf_is_libc(const struct pg_module *m)
{
	return pg_prefix(m->name, "linux-gate.so") || pg_prefix(m->name, "linux-vdso.so") ||
	       pg_prefix(m->name, "libc.so") || pg_prefix(m->name, "libc-2.") ||
	       pg_prefix(m->name, "libpthread") || pg_prefix(m->name, "ld-musl-") ||
	       pg_prefix(m->name, "libc.musl-");
}

bool pg_elf_is_own(uintptr_t addr)
{
	static struct pg_module own;

	if (!own.hi && !pg_elf_module((uintptr_t)&__ehdr_start, &own))
		return false;
	return addr >= own.lo && addr < own.hi;
}

static const char *soname(const struct pg_module *m)
{
	const char *strings = (const char *)dyn_pointer(m, DT_STRTAB);

	for (const ElfW(Dyn) *d = m->dynamic; d && strings && d->d_tag != DT_NULL; d++)
		if (d->d_tag == DT_SONAME)
			return strings + d->d_un.d_val;
	return "";
}

bool pg_elf_is_first_copy(void)
{
	bool is_main = true;
	struct found f;

	for (struct link_map *l = loader ? loader->base.r_map : NULL; l; l = l->l_next) {
		if (describe(l, is_main, &f) && !is_main &&
		    pg_same(soname(&f.m), "libpipeguard.so"))
			return pg_elf_is_own(f.m.lo);
		is_main = false;
	}
	return true;
}

uint64_t pg_elf_vdso_clock(void)
{
	uintptr_t start = getauxval(AT_SYSINFO_EHDR);
	struct link_map vdso = {.l_addr = start, .l_name = (char *)"vdso", .l_ld = NULL};
	const ElfW(Phdr) * phdr;
	struct symbols s;
	struct found f;
	size_t n;

	if (!start)
		return 0;
	vdso.l_ld = (ElfW(Dyn) *)start; /* not null: headers_of asks; replaced below */
	n = headers_of(&vdso, false, &phdr);
	for (size_t i = 0; i < n; i++)
		if (phdr[i].p_type == PT_DYNAMIC)
			vdso.l_ld = (ElfW(Dyn) *)(start + phdr[i].p_offset);
	if (!n || !describe(&vdso, false, &f))
		return 0;
	dynamic_symbols(&f.m, &s);
	for (size_t i = 0; i < s.count; i++)
		if (pg_same(s.str + s.sym[i].st_name, "__vdso_clock_gettime") ||
		    pg_same(s.str + s.sym[i].st_name, "__kernel_clock_gettime"))
			return start + s.sym[i].st_value;
	return 0;
}

/* A part of a file; a null pointer if the file ends before: reading there would be a SIGBUS. */
static const void *map_part(int fd, uint64_t offset, uint64_t size)
{
	size_t slack = (size_t)(offset & 4095);
	long at = pg_sys3(SYS_lseek, fd, 0, SEEK_END);

	if (at < 0 || offset > (uint64_t)at || size > (uint64_t)at - offset)
		return NULL;
#ifdef SYS_mmap2
	at = pg_sys6(SYS_mmap2, 0, size + slack, PROT_READ, MAP_PRIVATE, fd, offset >> 12);
#else
	at = pg_sys6(SYS_mmap, 0, size + slack, PROT_READ, MAP_PRIVATE, fd, offset - slack);
#endif
	return at < 0 && at >= -4095 ? NULL : (const char *)at + slack;
}

static void map_symbols(int fd, const ElfW(Shdr) * table, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		const ElfW(Shdr) *sh = &table[i];

		if (sh->sh_type != SHT_SYMTAB || sh->sh_link >= n)
			continue;
		main_symbols.str_size = table[sh->sh_link].sh_size;
		main_symbols.sym = map_part(fd, sh->sh_offset, sh->sh_size);
		main_symbols.str =
			map_part(fd, table[sh->sh_link].sh_offset, main_symbols.str_size);
		if (main_symbols.sym && main_symbols.str && main_symbols.str_size &&
		    !main_symbols.str[main_symbols.str_size - 1])
			main_symbols.count = sh->sh_size / sizeof(ElfW(Sym));
		return;
	}
}

/* lseek + read: pread64's offset is split differently on every 32-bit architecture. */
static bool read_at(int fd, uint64_t offset, void *buf, size_t size)
{
	return pg_sys3(SYS_lseek, fd, offset, 0) >= 0 &&
	       pg_sys3(SYS_read, fd, buf, size) == (long)size;
}

static void read_main_symbols(void)
{
	static ElfW(Shdr) table[SECTIONS_MAX];
	ElfW(Ehdr) e;
	int fd = pg_open("/proc/self/exe", O_RDONLY);

	if (fd < 0)
		return;
	if (read_at(fd, 0, &e, sizeof e) && e.e_shnum <= SECTIONS_MAX &&
	    e.e_shentsize == sizeof *table &&
	    read_at(fd, e.e_shoff, table, e.e_shnum * sizeof *table))
		map_symbols(fd, table, e.e_shnum);
	pg_sys1(SYS_close, fd);
}

void pg_elf_start(void)
{
	char path[256];
	long n = pg_sys4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path - 1);
	const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)getauxval(AT_PHDR);
	uintptr_t base = 0;

	path[n > 0 ? n : 0] = 0;
	pg_copy(main_name, sizeof main_name, n > 0 ? pg_basename(path) : pg_elf_program());
	for (size_t i = 0; i < getauxval(AT_PHNUM); i++) {
		if (phdr[i].p_type == PT_PHDR)
			base = (uintptr_t)phdr - phdr[i].p_vaddr;
		if (phdr[i].p_type != PT_DYNAMIC)
			continue;
		for (const ElfW(Dyn) *d = (const ElfW(Dyn) *)(base + phdr[i].p_vaddr); d->d_tag;
		     d++)
			if (d->d_tag == DT_DEBUG)
				loader = (const struct debug_list *)d->d_un.d_ptr;
	}
	read_main_symbols();
}
