/* SPDX-License-Identifier: MIT */
#include "who/module.h"

#include "base/dl.h"
#include "base/loader.h"
#include "base/names.h"
#include "base/peek.h"
#include "base/text.h"

#include <fcntl.h>
#include <sys/auxv.h>
#include <unistd.h>

enum { KNOWN_MAX = 256, SLOTS = 64, LINKS_MAX = 4096, HEADERS_MAX = 32 };

/* <dlfcn.h>'s struct dl_find_object, glibc 2.35, and room for what comes. */
struct found_object {
	unsigned long long flags;
	void *map_start, *map_end;
	struct link_map *link_map;
	void *eh_frame;
	uintptr_t more[8];
};

static PG_START_DATA const struct pg_debug_list *loader;
static PG_START_DATA const struct link_map
	*last_link; /* of those that were there at start, which stay */
static PG_START_DATA int (*find_object)(void *, struct found_object *);
static char main_name[PG_MODULE_NAME] = "?";

/* The static linker's name for the start of this library; never interposed. */
extern const ElfW(Ehdr) __ehdr_start __attribute__((visibility("hidden")));

const char *pg_program_name(void)
{
	const char *path = (const char *)pg_auxval(AT_EXECFN);

	return path ? pg_basename(path) : "?";
}

bool pg_module_by_hand(void)
{
	return !pg_auxval(AT_BASE);
}

bool pg_module_has(const struct pg_module *m, uintptr_t p, size_t n)
{
	struct pg_span part = pg_module_part(m, p);

	return n <= part.hi - p && part.hi;
}

struct pg_span pg_module_part(const struct pg_module *m, uintptr_t p)
{
	for (int i = 0; i < PG_SEGMENTS; i++)
		if (p >= m->part[i].lo && p < m->part[i].hi)
			return m->part[i];
	return (struct pg_span){0, 0};
}

/* ---- what the headers of a module say ---- */

/* How memory is read: as it is, or by pg_peek(). */
typedef bool read_fn(void *to, const void *from, size_t n);

static bool read_plainly(void *to, const void *from, size_t n)
{
	__builtin_memcpy(to, from, n);
	return true;
}

static void add_part(struct pg_module *m, const ElfW(Phdr) * segment)
{
	uintptr_t lo = m->base + segment->p_vaddr;

	if (!(segment->p_flags & PF_R))
		return;
	for (int i = 0; i < PG_SEGMENTS; i++) {
		if (m->part[i].hi)
			continue;
		m->part[i] = (struct pg_span){lo, lo + segment->p_filesz};
		return;
	}
}

static void add_load(struct pg_module *m, const ElfW(Phdr) * at, const ElfW(Phdr) * segment)
{
	uintptr_t lo = m->base + segment->p_vaddr, hi = lo + segment->p_memsz;

	m->lo = lo < m->lo ? lo : m->lo;
	m->hi = hi > m->hi ? hi : m->hi;
	add_part(m, segment);
	if (!(segment->p_flags & PF_X))
		return;
	if (!m->code)
		m->code = at;
	m->text.lo = !m->text.hi || lo < m->text.lo ? lo : m->text.lo;
	m->text.hi = hi > m->text.hi ? hi : m->text.hi;
}

/* The notes of a module: its build-id (NT_GNU_BUILD_ID) is told by all linkers of today. */
static void add_notes(struct pg_module *m, const ElfW(Phdr) * segment, read_fn *read)
{
	enum { BUILD_ID = 3, ID_BYTES = 8 };
	uintptr_t at = m->base + segment->p_vaddr, end = at + segment->p_filesz;
	uintptr_t desc;
	struct {
		uint32_t name, desc, type;
		char owner[4];
	} note;

	while (!m->build_id && at < end && end - at > sizeof note &&
	       read(&note, (const void *)at, sizeof note)) {
		if (note.name > PG_PAGE_LEAST || note.desc > PG_PAGE_LEAST)
			return;
		desc = at + 12 + ((note.name + 3u) & ~3u);
		if (note.type == BUILD_ID && note.desc >= ID_BYTES && note.name == 4 &&
		    !__builtin_memcmp(note.owner, "GNU", 4) && desc + ID_BYTES <= end)
			m->build_id = desc;
		at = desc + ((note.desc + 3u) & ~3u);
	}
}

static void add_header(struct pg_module *m, const ElfW(Phdr) * at, read_fn *read)
{
	ElfW(Phdr) h;

	if (!read(&h, at, sizeof h))
		return;
	switch (h.p_type) {
	case PT_LOAD:
		add_load(m, at, &h);
		break;
	case PT_GNU_EH_FRAME:
		m->eh_frame_hdr = m->base + h.p_vaddr;
		m->table = at;
		break;
	case PT_GNU_RELRO:
		m->relro.lo = m->base + h.p_vaddr;
		m->relro.hi = m->relro.lo + h.p_memsz;
		break;
	case PT_NOTE:
		add_notes(m, &h, read);
		break;
	default:
		break;
	}
}

/* Of its build-id, and of the place and length of its code and tables. */
static uint64_t stamp_of(const ElfW(Phdr) * code, const ElfW(Phdr) * table, uint64_t id)
{
	return pg_mix(pg_mix(pg_mix(id, code->p_vaddr), code->p_memsz ^ table->p_memsz),
		      table->p_vaddr) |
	       1;
}

/* Of a module that may go: copied by one call. False: it cannot be read. */
static __attribute__((noinline)) bool stamp_guarded(const struct pg_module *m, uint64_t *stamp)
{
	struct {
		ElfW(Phdr) code, table;
		uint64_t id;
	} now = {.id = 0};
	struct iovec pieces[] = {{(void *)(uintptr_t)m->code, sizeof now.code},
				 {(void *)(uintptr_t)m->table, sizeof now.table},
				 {(void *)m->build_id, sizeof now.id}};

	if (!pg_peek_pieces(&now, pieces, m->build_id ? 3 : 2))
		return false;
	*stamp = stamp_of(&now.code, &now.table, now.id);
	return true;
}

static bool stamp_now(const struct pg_module *m, uint64_t *stamp)
{
	uint64_t id = 0;

	if (!m->code || !m->table)
		return false;
	if (!m->stays)
		return stamp_guarded(m, stamp);
	if (m->build_id)
		__builtin_memcpy(&id, (const void *)m->build_id, sizeof id);
	*stamp = stamp_of(m->code, m->table, id);
	return true;
}

static void set_name(struct pg_module *m, const char *path)
{
	bool known = !m->is_main || (*path && pg_module_by_hand());
	const char *name = known ? pg_basename(path) : main_name;

	pg_copy(m->name, sizeof m->name, *name ? name : "?");
	m->is_libc = !m->is_main && pg_is_libc(m->name);
}

/* Fills M, whose name and base are known, from N program headers at PHDR. */
static bool describe(struct pg_module *m, const ElfW(Phdr) * phdr, size_t n, read_fn *read)
{
	m->lo = ~(uintptr_t)0;
	for (size_t i = 0; i < n && i < HEADERS_MAX; i++)
		add_header(m, &phdr[i], read);
	if (!m->table)
		m->table = m->code;
	return m->lo < m->hi && stamp_now(m, &m->stamp);
}

/* Where the program headers of the module that is mapped from START on are; their number, or 0.
 * The file's own header is there if its first segment starts with the file. */
static size_t headers_at(uintptr_t start, const ElfW(Phdr) * *phdr, read_fn *read)
{
	ElfW(Ehdr) e;

	if (!start || !read(&e, (const void *)start, sizeof e) ||
	    __builtin_memcmp(e.e_ident, ELFMAG, SELFMAG) != 0 || e.e_phentsize != sizeof **phdr ||
	    e.e_phoff + e.e_phnum * sizeof **phdr > PG_PAGE_LEAST)
		return 0;
	*phdr = (const ElfW(Phdr) *)(start + e.e_phoff);
	return e.e_phnum;
}

/* What of struct link_map the debugger's interface promises (<link.h>). */
struct link {
	uintptr_t l_addr;
	const char *l_name;
	const ElfW(Dyn) * l_ld;
	const struct link_map *l_next;
};

/* The page of its tables, which is that of its headers: where a module begins whose first segment
 * is not at address 0. */
static uintptr_t tables_of(const struct link *l, read_fn *read)
{
	enum { MOST = 64 };
	uintptr_t lowest = ~(uintptr_t)0, at;
	ElfW(Dyn) d;

	for (int i = 0; i < MOST && read(&d, l->l_ld + i, sizeof d) && d.d_tag; i++) {
		if (d.d_tag != DT_STRTAB && d.d_tag != DT_SYMTAB && d.d_tag != DT_GNU_HASH &&
		    d.d_tag != DT_HASH)
			continue;
		at = d.d_un.d_ptr < l->l_addr ? d.d_un.d_ptr + l->l_addr : d.d_un.d_ptr;
		lowest = at < lowest ? at : lowest;
	}
	return lowest & ~(uintptr_t)(PG_PAGE_LEAST - 1);
}

/* ---- the modules that stay ---- */

static struct pg_module known[KNOWN_MAX]; /* in the order of their addresses */
static unsigned known_n;		  /* published when all are there */

static const struct pg_module *search_known(uintptr_t addr)
{
	unsigned lo = 0, hi = __atomic_load_n(&known_n, __ATOMIC_ACQUIRE);

	while (lo < hi) {
		unsigned middle = (lo + hi) / 2;
		const struct pg_module *m = &known[middle];

		if (addr >= m->lo && addr < m->hi)
			return m;
		if (addr < m->lo)
			hi = middle;
		else
			lo = middle + 1;
	}
	return NULL;
}

/* M, as the N-th of those that stay: sorted in. */
static void insert(unsigned n, const struct pg_module *m)
{
	unsigned at = n;

	for (; at && known[at - 1].lo > m->lo; at--)
		known[at] = known[at - 1];
	known[at] = *m;
}

static void start_module(struct pg_module *m, uintptr_t base, const ElfW(Dyn) * dynamic,
			 const char *path, bool is_main)
{
	__builtin_memset(m, 0, sizeof *m);
	m->base = base;
	m->dynamic = dynamic;
	m->is_main = is_main;
	set_name(m, path);
}

/* Without headers: the loader's word for where it is, and for its unwind tables. */
static bool describe_briefly(struct pg_module *m, const struct found_object *o)
{
	m->lo = (uintptr_t)o->map_start;
	m->hi = (uintptr_t)o->map_end;
	m->text = (struct pg_span){m->lo, m->hi};
	m->stamp = 1;
	return m->lo < m->hi;
}

/* Can L's headers be read, at START? The kernel is asked only where the loader has not read there
 * itself. */
static bool has_headers(const struct link_map *l, uintptr_t start)
{
	const struct link link = {.l_addr = l->l_addr, .l_ld = l->l_ld};

	return tables_of(&link, read_plainly) == start || pg_readable((const void *)start);
}

static bool learn_link(const struct link_map *l, bool is_main, struct pg_module *m)
{
	const ElfW(Phdr) *phdr = (const ElfW(Phdr) *)pg_auxval(AT_PHDR);
	size_t n = pg_auxval(AT_PHNUM);
	struct found_object o;

	start_module(m, l->l_addr, l->l_ld, l->l_name, is_main);
	m->stays = true;
	if (is_main)
		return describe(m, phdr, n, read_plainly);
	if (find_object(l->l_ld, &o) || !has_headers(l, (uintptr_t)o.map_start))
		return false;
	n = headers_at((uintptr_t)o.map_start, &phdr, read_plainly);
	return n ? describe(m, phdr, n, read_plainly) : describe_briefly(m, &o);
}

/* Once, at the first question: what was loaded at start. Who comes second meanwhile asks the loader
 * as for any other module. */
static PG_COLD void learn(void)
{
	static int begun;
	static struct pg_module m; /* a signal's stack may be small */
	bool is_main = true;
	unsigned n = 0;

	if (pg_confined || !find_object || __atomic_exchange_n(&begun, 1, __ATOMIC_RELAXED))
		return;
	for (const struct link_map *l = loader ? loader->base.r_map : NULL; l && n < KNOWN_MAX;
	     l = l->l_next) {
		if (learn_link(l, is_main, &m))
			insert(n++, &m);
		is_main = false;
		if (l == last_link)
			break;
	}
	__atomic_store_n(&known_n, n, __ATOMIC_RELEASE);
}

/* An older libc's: at start, when its lock may be taken. */
static int learn_info(struct dl_phdr_info *info, size_t size, void *arg)
{
	unsigned *n = arg;
	struct pg_module m;
	const ElfW(Dyn) *dynamic = NULL;

	(void)size;
	for (size_t i = 0; i < info->dlpi_phnum; i++)
		if (info->dlpi_phdr[i].p_type == PT_DYNAMIC)
			dynamic = (const ElfW(Dyn) *)(info->dlpi_addr + info->dlpi_phdr[i].p_vaddr);
	start_module(&m, info->dlpi_addr, dynamic, info->dlpi_name, !*n);
	m.stays = true;
	if (*n < KNOWN_MAX && describe(&m, info->dlpi_phdr, info->dlpi_phnum, read_plainly))
		insert((*n)++, &m);
	return 0;
}

/* ---- the modules that may go ---- */

/* What was found of them. SEQUENCE is odd while the rest is written. */
static struct slot {
	uint32_t sequence;
	const struct link_map *link;
	struct pg_module m;
} slots[SLOTS];

static struct slot *slot_of(uintptr_t lo)
{
	return &slots[pg_mix(1, lo / PG_PAGE_LEAST) % SLOTS];
}

static bool recall(const struct slot *s, const struct link_map *link, struct pg_module *room)
{
	uint32_t before = __atomic_load_n(&s->sequence, __ATOMIC_ACQUIRE);

	if (before & 1 || PG_GET(s->link) != link || !link)
		return false;
	*room = s->m;
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	return PG_GET(s->sequence) == before;
}

static void keep(struct slot *s, const struct link_map *link, const struct pg_module *m)
{
	uint32_t before = PG_GET(s->sequence);

	if (before & 1 || !__atomic_compare_exchange_n(&s->sequence, &before, before + 1, false,
						       __ATOMIC_SEQ_CST, __ATOMIC_RELAXED))
		return;
	s->link = link;
	s->m = *m;
	__atomic_store_n(&s->sequence, before + 2, __ATOMIC_RELEASE);
}

/* The module of LINK, which may go at any moment, mapped from START on (0: not known). */
static PG_COLD bool learn_guarded(const struct link_map *link, uintptr_t start, struct pg_module *m)
{
	char path[256];
	const ElfW(Phdr) * phdr;
	struct link l;
	size_t n;

	if (!pg_peek(&l, link, sizeof l) || !pg_peek_string(path, l.l_name, sizeof path))
		return false;
	start_module(m, l.l_addr, l.l_ld, path, false);
	n = headers_at(start ? start : l.l_addr, &phdr, pg_peek);
	if (!n && !start)
		n = headers_at(tables_of(&l, pg_peek), &phdr, pg_peek);
	return n && describe(m, phdr, n, pg_peek);
}

/* By the loader's own lock-free answer. Not inline, as what follows: its room is not on the way of
 * those that are known. */
static __attribute__((noinline)) bool ask_loader(uintptr_t addr, struct pg_module *room)
{
	struct found_object o;
	struct slot *s;
	uint64_t stamp;

	if (find_object((void *)addr, &o))
		return false;
	s = slot_of((uintptr_t)o.map_start);
	if (recall(s, o.link_map, room) && room->hi <= (uintptr_t)o.map_end &&
	    addr - room->lo < room->hi - room->lo && stamp_now(room, &stamp) &&
	    stamp == room->stamp)
		return true;
	if (!learn_guarded(o.link_map, (uintptr_t)o.map_start, room)) {
		start_module(room, (uintptr_t)o.map_start, NULL, "?", false);
		return describe_briefly(room, &o);
	}
	keep(s, o.link_map, room);
	return addr - room->lo < room->hi - room->lo;
}

/* Is LINK still the module that ROOM says? */
static bool is_same(const struct link_map *link, const struct pg_module *room)
{
	struct link l;
	uint64_t stamp;

	return pg_peek(&l, link, sizeof l) && l.l_addr == room->base && l.l_ld == room->dynamic &&
	       stamp_now(room, &stamp) && stamp == room->stamp;
}

/* An older loader's list, which another thread may change: each link is copied. */
static __attribute__((noinline)) bool search_links(const struct link_map *link, uintptr_t addr,
						   struct pg_module *room)
{
	struct link l;

	for (int left = LINKS_MAX; link && left-- && pg_peek(&l, link, sizeof l); link = l.l_next) {
		struct slot *s = slot_of(l.l_addr);

		if (!(recall(s, link, room) && is_same(link, room))) {
			if (!learn_guarded(link, 0, room))
				continue;
			keep(s, link, room);
		}
		if (addr - room->lo < room->hi - room->lo)
			return true;
	}
	return false;
}

static bool search_lists(uintptr_t addr, struct pg_module *room)
{
	struct pg_debug_list d;

	for (int i = 0; i < SLOTS; i++)
		if (recall(&slots[i], PG_GET(slots[i].link), room) &&
		    addr - room->lo < room->hi - room->lo && is_same(slots[i].link, room))
			return true;
	for (const struct pg_debug_list *at = loader; at && pg_peek(&d, at, sizeof d);
	     at = d.base.r_version > 1 ? d.next : NULL) {
		const struct link_map *from =
			at == loader && last_link ? last_link->l_next : d.base.r_map;

		if (search_links(from, addr, room))
			return true;
	}
	return false;
}

const struct pg_module *pg_module_at(uintptr_t addr, struct pg_module *room)
{
	const struct pg_module *m;

	if (!PG_GET(known_n))
		learn();
	m = search_known(addr);
	if (m || pg_confined)
		return m;
	return (find_object ? ask_loader(addr, room) : search_lists(addr, room)) ? room : NULL;
}

const struct pg_module *pg_module_alone(uintptr_t addr, struct pg_module *room)
{
	struct found_object o;

	if (!find_object)
		return pg_module_at(addr, room);
	return !find_object((void *)addr, &o) && learn_link(o.link_map, false, room) ? room : NULL;
}

void pg_module_prepare(void)
{
	if (!PG_GET(known_n))
		learn();
}

struct pg_code pg_code_at(uintptr_t at)
{
	struct pg_module room;
	const struct pg_module *m = at ? pg_module_at(at, &room) : NULL;

	return (struct pg_code){at, m ? m->stamp : 0};
}

const struct pg_module *pg_code_module(const struct pg_code *code, struct pg_module *room)
{
	const struct pg_module *m = pg_module_at(code->at, room);

	return m && m->stamp == code->stamp ? m : NULL;
}

/* ---- this library ---- */

bool pg_module_is_own(uintptr_t addr)
{
	extern const char _end[] __attribute__((visibility("hidden"))); /* the linker's */

	return addr >= (uintptr_t)&__ehdr_start && addr < (uintptr_t)_end;
}

static const char *soname(const struct link_map *l)
{
	const char *strings = NULL;
	ElfW(Addr) name = 0;

	for (const ElfW(Dyn) *d = l->l_ld; d && d->d_tag != DT_NULL; d++) {
		if (d->d_tag == DT_STRTAB)
			strings =
				(const char *)(d->d_un.d_ptr < l->l_addr ? d->d_un.d_ptr + l->l_addr
									 : d->d_un.d_ptr);
		if (d->d_tag == DT_SONAME)
			name = d->d_un.d_val;
	}
	return strings && name ? strings + name : "";
}

bool pg_module_is_first_copy(void)
{
	const struct link_map *l = loader ? loader->base.r_map : NULL;

	for (l = l ? l->l_next : NULL; l; l = l->l_next) /* the first is the program */
		if (l->l_addr && pg_same(soname(l), "libpipeguard.so"))
			return l->l_addr == (uintptr_t)&__ehdr_start;
	return true;
}

/* ---- start ---- */

static void name_main(const char *name)
{
	char path[256];
	long n = 0;

	if (!name && !pg_module_by_hand())
		n = pg_sys4(SYS_readlinkat, AT_FDCWD, "/proc/self/exe", path, sizeof path - 1);
	path[n > 0 ? n : 0] = 0;
	if (!name)
		name = n > 0 ? path : pg_program_name();
	pg_copy(main_name, sizeof main_name, pg_basename(name));
}

void pg_module_start(const char *program)
{
	int (*each)(int (*)(struct dl_phdr_info *, size_t, void *), void *) = NULL;
	unsigned known_now = 0;

	name_main(program);
	loader = pg_loader_list();
	for (const struct link_map *l = loader ? loader->base.r_map : NULL; l; l = l->l_next)
		last_link = l;
	find_object = (int (*)(void *, struct found_object *))pg_dl_default("_dl_find_object");
	if (!find_object)
		each = (int (*)(int (*)(struct dl_phdr_info *, size_t, void *), void *))pg_dl_next(
			"dl_iterate_phdr");
	if (!each)
		return;
	each(learn_info, &known_now);
	__atomic_store_n(&known_n, known_now, __ATOMIC_RELEASE);
}
