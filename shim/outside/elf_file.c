/* SPDX-License-Identifier: MIT */
#include "outside/elf_file.h"

#include <elf.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	COPY_MAX = 64 << 20,
	SEGMENTS_BYTES = 65536, /* the kernel starts no program whose table is longer */
	SECTIONS_MAX = 65536,
	NOTES_BYTES = 4096, /* of one segment that are looked at */
	DYNAMIC_MAX = 4096,
	SYMBOLS_MAX = 1 << 20,
	CHAIN_MAX = 65536
};

/* A number of SIZE bytes at P in the file's byte order. */
static uint64_t number(const struct pg_elf_file *e, const unsigned char *p, size_t size)
{
	uint64_t v = 0;

	for (size_t i = 0; i < size; i++)
		v = v << 8 | p[e->big ? i : size - 1 - i];
	return v;
}

/* A field of the structure at P, by its name in elf.h, whatever the class. */
#define FIELD(e, kind, name, p)                                                                    \
	((e)->wide ? number(e, (p) + offsetof(Elf64_##kind, name),                                 \
			    sizeof(((Elf64_##kind *)NULL)->name))                                  \
		   : number(e, (p) + offsetof(Elf32_##kind, name),                                 \
			    sizeof(((Elf32_##kind *)NULL)->name)))
#define SIZE(e, kind) ((e)->wide ? sizeof(Elf64_##kind) : sizeof(Elf32_##kind))

static bool inside(const struct pg_elf_file *e, uint64_t offset, uint64_t size)
{
	return offset <= e->size && size <= e->size - offset;
}

/* Exactly SIZE bytes at OFFSET into P. */
static bool read_at(const struct pg_elf_file *e, void *p, uint64_t offset, size_t size)
{
	unsigned char *to = p;

	while (size) {
		ssize_t n = pread(e->fd, to, size, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		to += n;
		offset += (uint64_t)n;
		size -= (size_t)n;
	}
	return true;
}

unsigned char *pg_elf_file_copy(const struct pg_elf_file *e, uint64_t offset, uint64_t size)
{
	unsigned char *p;

	if (!inside(e, offset, size) || size > COPY_MAX)
		return NULL;
	p = malloc((size_t)size + 1);
	if (p && !read_at(e, p, offset, (size_t)size)) {
		free(p);
		return NULL;
	}
	if (p)
		p[size] = 0;
	return p;
}

/* ---- the two tables ---- */

static void read_segments(struct pg_elf_file *e, const unsigned char *head)
{
	uint64_t n = FIELD(e, Ehdr, e_phnum, head), size = SIZE(e, Phdr);
	unsigned char *table;

	if (FIELD(e, Ehdr, e_phentsize, head) != size || n * size > SEGMENTS_BYTES)
		return;
	table = pg_elf_file_copy(e, FIELD(e, Ehdr, e_phoff, head), n * size);
	e->segments = calloc((size_t)n + 1, sizeof *e->segments);
	for (uint64_t i = 0; table && e->segments && i < n; i++) {
		const unsigned char *p = table + i * size;

		e->segments[e->segment_count++] = (struct pg_elf_segment){
			(uint32_t)FIELD(e, Phdr, p_type, p), (uint32_t)FIELD(e, Phdr, p_flags, p),
			FIELD(e, Phdr, p_offset, p), FIELD(e, Phdr, p_vaddr, p),
			FIELD(e, Phdr, p_filesz, p)};
	}
	free(table);
}

static void read_sections(struct pg_elf_file *e, const unsigned char *head)
{
	uint64_t n = FIELD(e, Ehdr, e_shnum, head), size = SIZE(e, Shdr);
	unsigned char *table;

	if (FIELD(e, Ehdr, e_shentsize, head) != size || n > SECTIONS_MAX)
		return;
	table = pg_elf_file_copy(e, FIELD(e, Ehdr, e_shoff, head), n * size);
	e->sections = calloc((size_t)n + 1, sizeof *e->sections);
	for (uint64_t i = 0; table && e->sections && i < n; i++) {
		const unsigned char *p = table + i * size;

		e->sections[e->section_count++] =
			(struct pg_elf_section){(uint32_t)FIELD(e, Shdr, sh_name, p),
						(uint32_t)FIELD(e, Shdr, sh_type, p),
						(uint32_t)FIELD(e, Shdr, sh_link, p),
						FIELD(e, Shdr, sh_offset, p),
						FIELD(e, Shdr, sh_addr, p),
						FIELD(e, Shdr, sh_size, p),
						FIELD(e, Shdr, sh_flags, p) & SHF_COMPRESSED};
	}
	e->names = (unsigned)FIELD(e, Ehdr, e_shstrndx, head);
	free(table);
}

bool pg_elf_file_open(struct pg_elf_file *e, int fd)
{
	unsigned char head[sizeof(Elf64_Ehdr)] = {0};
	struct stat st;

	*e = (struct pg_elf_file){.fd = fd};
	if (fstat(fd, &st) || !S_ISREG(st.st_mode))
		return false;
	e->size = (uint64_t)st.st_size;
	if (!inside(e, 0, sizeof head) || !read_at(e, head, 0, sizeof head) ||
	    memcmp(head, ELFMAG, SELFMAG) != 0)
		return false;
	e->wide = head[EI_CLASS] == ELFCLASS64;
	e->big = head[EI_DATA] == ELFDATA2MSB;
	e->type = (uint16_t)FIELD(e, Ehdr, e_type, head);
	e->machine = (uint16_t)FIELD(e, Ehdr, e_machine, head);
	read_segments(e, head);
	read_sections(e, head);
	return true;
}

void pg_elf_file_close(struct pg_elf_file *e)
{
	free(e->segments);
	free(e->sections);
	e->segments = NULL;
	e->sections = NULL;
}

const struct pg_elf_segment *pg_elf_file_segment(const struct pg_elf_file *e, uint32_t type)
{
	for (unsigned i = 0; i < e->segment_count; i++)
		if (e->segments[i].type == type)
			return &e->segments[i];
	return NULL;
}

const struct pg_elf_section *pg_elf_file_section(const struct pg_elf_file *e, uint32_t type)
{
	for (unsigned i = 0; i < e->section_count; i++)
		if (e->sections[i].type == type)
			return &e->sections[i];
	return NULL;
}

/* The names of the sections, for free(3), and how many bytes they are; a null pointer: none. */
static char *names_of(const struct pg_elf_file *e, uint64_t *size)
{
	const struct pg_elf_section *s;

	if (e->names >= e->section_count)
		return NULL;
	s = &e->sections[e->names];
	*size = s->size;
	return (char *)pg_elf_file_copy(e, s->offset, s->size);
}

const struct pg_elf_section *pg_elf_file_named(const struct pg_elf_file *e, const char *name)
{
	const struct pg_elf_section *found = NULL;
	uint64_t size = 0;
	char *names = names_of(e, &size);

	for (unsigned i = 0; names && !found && i < e->section_count; i++)
		if (e->sections[i].name < size && !strcmp(names + e->sections[i].name, name))
			found = &e->sections[i];
	free(names);
	return found;
}

/* ---- debugging information ---- */

/* By the older form, whose name says so: "ZLIB", and the size, big-endian. */
static uint64_t size_of_z(const struct pg_elf_file *e, const struct pg_elf_section *s)
{
	unsigned char head[12];
	uint64_t size = 0;

	if (!read_at(e, head, s->offset, sizeof head) || memcmp(head, "ZLIB", 4) != 0)
		return s->size;
	for (unsigned i = 4; i < sizeof head; i++)
		size = size << 8 | head[i];
	return size;
}

static uint64_t unpacked(const struct pg_elf_file *e, const struct pg_elf_section *s, bool z)
{
	unsigned char head[sizeof(Elf64_Chdr)];

	if (s->type == SHT_NOBITS)
		return 0;
	if (s->packed && read_at(e, head, s->offset, SIZE(e, Chdr)))
		return FIELD(e, Chdr, ch_size, head);
	return z ? size_of_z(e, s) : s->size;
}

uint64_t pg_elf_file_debug(const struct pg_elf_file *e)
{
	uint64_t sum = 0, size = 0, one;
	char *names = names_of(e, &size);

	for (unsigned i = 0; names && i < e->section_count; i++) {
		const struct pg_elf_section *s = &e->sections[i];
		const char *name = s->name < size ? names + s->name : "";
		bool z = !strncmp(name, ".zdebug_", 8);

		if (!z && strncmp(name, ".debug_", 7) != 0)
			continue;
		one = unpacked(e, s, z);
		sum = one > UINT64_MAX - sum ? UINT64_MAX : sum + one;
	}
	free(names);
	return sum;
}

bool pg_elf_file_at(const struct pg_elf_file *e, uint64_t address, struct pg_elf_piece *out)
{
	for (unsigned i = 0; i < e->segment_count; i++) {
		const struct pg_elf_segment *s = &e->segments[i];
		uint64_t in = address - s->address;

		if (s->type != PT_LOAD || in >= s->size || !inside(e, s->offset, s->size))
			continue;
		*out = (struct pg_elf_piece){s->offset + in, s->size - in};
		return true;
	}
	return false;
}

char *pg_elf_file_interpreter(const struct pg_elf_file *e)
{
	const struct pg_elf_segment *s = pg_elf_file_segment(e, PT_INTERP);

	if (!s || s->size > 4096) /* PATH_MAX: the kernel takes no longer one */
		return NULL;
	return (char *)pg_elf_file_copy(e, s->offset, s->size);
}

/* ---- notes ---- */

/* The note of TYPE and OWNER among the SIZE bytes at P, which lie at OFFSET. */
static bool note_in(const struct pg_elf_file *e, const unsigned char *p, struct pg_elf_piece at,
		    const char *owner, uint32_t type, struct pg_elf_piece *out)
{
	const size_t head = sizeof(Elf64_Nhdr); /* the same in both classes */
	size_t owner_size = strlen(owner) + 1;

	for (uint64_t i = 0; at.size - i >= head;) {
		uint64_t name = number(e, p + i, 4), size = number(e, p + i + 4, 4);
		uint64_t left = at.size - i - head, padded = (name + 3) & ~(uint64_t)3;

		if (padded > left || size > left - padded)
			return false;
		if (number(e, p + i + 8, 4) == type && name >= owner_size &&
		    !memcmp(p + i + head, owner, owner_size)) {
			*out = (struct pg_elf_piece){at.offset + i + head + padded, size};
			return true;
		}
		size = (size + 3) & ~(uint64_t)3;
		i += head + padded + (size < left - padded ? size : left - padded);
	}
	return false;
}

bool pg_elf_file_note(const struct pg_elf_file *e, const char *owner, uint32_t type,
		      struct pg_elf_piece *out)
{
	bool found = false;

	for (unsigned i = 0; !found && i < e->segment_count; i++) {
		const struct pg_elf_segment *s = &e->segments[i];
		struct pg_elf_piece at = {s->offset, s->size < NOTES_BYTES ? s->size : NOTES_BYTES};
		unsigned char *p =
			s->type == PT_NOTE ? pg_elf_file_copy(e, at.offset, at.size) : NULL;

		found = p && note_in(e, p, at, owner, type, out);
		free(p);
	}
	return found;
}

/* ---- the dynamic section ---- */

static uint64_t place_of(const struct pg_elf_file *e, uint64_t address)
{
	struct pg_elf_piece at;

	return pg_elf_file_at(e, address, &at) ? at.offset : 0;
}

static void take_entry(const struct pg_elf_file *e, struct pg_elf_dynamic *d, uint64_t tag,
		       uint64_t value)
{
	switch (tag) {
	case DT_NEEDED:
		if (d->needed_count < PG_ELF_NEEDED_MAX)
			d->needed[d->needed_count++] = value;
		break;
	case DT_STRTAB:
		d->strings.offset = place_of(e, value);
		break;
	case DT_STRSZ:
		d->strings.size = value;
		break;
	case DT_SYMTAB:
		d->symbols = place_of(e, value);
		break;
	case DT_HASH:
		d->hash = place_of(e, value);
		break;
	case DT_GNU_HASH:
		d->gnu_hash = place_of(e, value);
		break;
	default:
		break;
	}
}

bool pg_elf_file_dynamic(const struct pg_elf_file *e, struct pg_elf_dynamic *d)
{
	const struct pg_elf_segment *s = pg_elf_file_segment(e, PT_DYNAMIC);
	uint64_t entry = SIZE(e, Dyn), n = s ? s->size / entry : 0;
	unsigned char *table;

	memset(d, 0, sizeof *d);
	n = n < DYNAMIC_MAX ? n : DYNAMIC_MAX;
	table = n ? pg_elf_file_copy(e, s->offset, n * entry) : NULL;
	if (!table)
		return false;
	for (uint64_t i = 0; i < n; i++) {
		const unsigned char *p = table + i * entry;
		uint64_t tag = FIELD(e, Dyn, d_tag, p);

		if (tag == DT_NULL)
			break;
		take_entry(e, d, tag, FIELD(e, Dyn, d_un, p));
	}
	free(table);
	return d->strings.offset && inside(e, d->strings.offset, d->strings.size);
}

bool pg_elf_file_string(const struct pg_elf_file *e, const struct pg_elf_dynamic *d,
			uint64_t offset, char *buf, size_t size)
{
	size_t n = size - 1;

	if (offset >= d->strings.size)
		return false;
	if (n > d->strings.size - offset)
		n = (size_t)(d->strings.size - offset);
	buf[n] = 0;
	return read_at(e, buf, d->strings.offset + offset, n);
}

/* ---- symbols ---- */

/* How many steps from the entry at AT to the one that ends its chain: the lowest bit is set. */
static uint64_t chain_length(const struct pg_elf_file *e, uint64_t at)
{
	uint64_t n = at < e->size ? (e->size - at) / 4 : 0, i = 0;
	unsigned char *chain;

	n = n < CHAIN_MAX ? n : CHAIN_MAX;
	chain = pg_elf_file_copy(e, at, n * 4);
	while (chain && i < n && !(number(e, chain + i * 4, 4) & 1))
		i++;
	free(chain);
	return i;
}

/* The table has no count: the last symbol is at the end of the chain that starts last. Symbols from
 * elsewhere come before the first of the table. 0: not known. */
static uint64_t count_by_gnu_hash(const struct pg_elf_file *e, uint64_t at)
{
	unsigned char head[16], *table;
	uint64_t buckets, first, last = 0;

	if (!inside(e, at, sizeof head) || !read_at(e, head, at, sizeof head))
		return 0;
	buckets = number(e, head, 4);
	first = number(e, head + 4, 4);
	at += sizeof head + number(e, head + 8, 4) * (e->wide ? 8 : 4);
	table = pg_elf_file_copy(e, at, buckets * 4);
	for (uint64_t i = 0; table && i < buckets; i++)
		if (number(e, table + i * 4, 4) > last)
			last = number(e, table + i * 4, 4);
	free(table);
	if (last < first)
		return first > 1 ? first : 0;
	return last + 1 + chain_length(e, at + (buckets + last - first) * 4);
}

static uint64_t count_by_hash(const struct pg_elf_file *e, uint64_t at)
{
	unsigned char head[8];

	if (!inside(e, at, sizeof head) || !read_at(e, head, at, sizeof head))
		return 0;
	return number(e, head + 4, 4);
}

/* Where the dynamic symbols lie and how many there are: by the section, else by a hash table. */
static struct pg_elf_piece dynamic_symbols(const struct pg_elf_file *e,
					   const struct pg_elf_dynamic *d)
{
	const struct pg_elf_section *s = pg_elf_file_section(e, SHT_DYNSYM);
	uint64_t n = 0;

	if (s && inside(e, s->offset, s->size))
		return (struct pg_elf_piece){s->offset, s->size / SIZE(e, Sym)};
	if (d->symbols && d->hash)
		n = count_by_hash(e, d->hash);
	else if (d->symbols && d->gnu_hash)
		n = count_by_gnu_hash(e, d->gnu_hash);
	return (struct pg_elf_piece){d->symbols, n};
}

static void each_symbol(const struct pg_elf_file *e, const unsigned char *table, uint64_t n,
			const unsigned char *strings, uint64_t size, pg_elf_symbol_fn *fn,
			void *arg)
{
	for (uint64_t i = 1; i < n; i++) { /* the first one is empty */
		const unsigned char *p = table + i * SIZE(e, Sym);
		uint64_t name = FIELD(e, Sym, st_name, p);
		struct pg_elf_symbol symbol = {.value = FIELD(e, Sym, st_value, p),
					       .section = (uint16_t)FIELD(e, Sym, st_shndx, p),
					       .info = (uint8_t)FIELD(e, Sym, st_info, p)};

		if (name >= size)
			continue;
		symbol.name = (const char *)strings + name;
		fn(arg, &symbol);
	}
}

bool pg_elf_file_symbols(const struct pg_elf_file *e, pg_elf_symbol_fn *fn, void *arg)
{
	struct pg_elf_dynamic d;
	struct pg_elf_piece at;
	unsigned char *table, *strings;
	bool known;

	if (!pg_elf_file_dynamic(e, &d))
		return false;
	at = dynamic_symbols(e, &d);
	if (at.size > SYMBOLS_MAX)
		at.size = SYMBOLS_MAX;
	strings = pg_elf_file_copy(e, d.strings.offset, d.strings.size);
	table = pg_elf_file_copy(e, at.offset, at.size * SIZE(e, Sym));
	known = at.size && strings && table;
	if (known)
		each_symbol(e, table, at.size, strings, d.strings.size, fn, arg);
	free(strings);
	free(table);
	return known;
}
