/* SPDX-License-Identifier: MIT */
#define PG_ARCH_UNWIND
#include <ucontext.h>

#include "who/unwinder.h"

#include "base/peek.h"

/* ---- machines ---- */

/*
 * The registers that a caller gets back, RETURN where the way back is found,
 * and their numbers in the tables (each machine's DWARF ABI). The registers
 * here, those in a signal's ucontext_t, and the instructions that return from a
 * signal where no table covers them: arch/ has them.
 */
/* Of a register's number in the tables; -1: nobody asks for it. */
static int slot_of(uint64_t dwarf)
{
	return dwarf < sizeof slots ? slots[dwarf] : -1;
}

/* What holds at one place. */
struct row {
	int32_t at[REGISTERS]; /* where the caller's are, from a base; or SAME */
	struct frame {
		int32_t cfa;	  /* the caller's stack pointer: so far from register BY, */
		int8_t by;	  /* -1: not one of ours */
		int8_t base;	  /* the register that is the base of those IN_BASE, as bits; */
		uint16_t in_base; /* the others' base is the caller's stack pointer */
		bool loads : 1;	  /* the caller's stack pointer lies there, and is not that place */
		bool ends : 1;	  /* there is no caller */
		bool signal : 1;  /* the kernel made this frame: it interrupted the caller */
	} frame;
} __attribute__((aligned(8)));
enum { SAME = INT32_MIN };

_Static_assert((int)REGISTERS <= (int)PG_UNWIND_REGISTERS, "a cursor has room for them");

/* ---- reading the tables ---- */

/* What lies in a module that may go is copied, part by part: its address came from the stack, and
 * may be what somebody left there, not where this thread returns to. */
struct copy {
	const uint8_t *from;
	uint8_t n; /* bytes of PART, which are those at FROM */
	uint8_t part[48];
};

struct reader {
	const uint8_t *p, *end;
	struct copy *copy; /* a null pointer: what is read stays */
	bool failed;
};

static PG_COLD uint8_t copied_byte(struct reader *r)
{
	struct copy *c = r->copy;

	if (r->p < c->from || r->p >= c->from + c->n) {
		size_t left = (size_t)(r->end - r->p);

		c->from = r->p;
		c->n = (uint8_t)(left < sizeof c->part ? left : sizeof c->part);
		if (!pg_peek(c->part, r->p, c->n)) {
			c->n = 0;
			r->failed = true;
			return 0;
		}
	}
	return c->part[r->p++ - c->from];
}

static uint8_t byte(struct reader *r)
{
	if (r->p < r->end)
		return r->copy ? copied_byte(r) : *r->p++;
	r->failed = true;
	return 0;
}

static uint64_t fixed(struct reader *r, unsigned bytes)
{
	uint64_t v = 0;

	for (unsigned i = 0; i < bytes; i++)
		v |= (uint64_t)byte(r) << 8 * i;
	return v;
}

static uint64_t uleb(struct reader *r)
{
	uint64_t v = 0;
	uint8_t b = 0x80;

	for (unsigned shift = 0; b & 0x80 && shift < 64; shift += 7) {
		b = byte(r);
		v |= (uint64_t)(b & 0x7f) << shift;
	}
	return v;
}

static int64_t sleb(struct reader *r)
{
	uint64_t v = 0;
	uint8_t b = 0x80;
	unsigned shift = 0;

	for (; b & 0x80 && shift < 64; shift += 7) {
		b = byte(r);
		v |= (uint64_t)(b & 0x7f) << shift;
	}
	return (int64_t)(shift < 64 && b & 0x40 ? v | ~(uint64_t)0 << shift : v);
}

static void skip(struct reader *r, uint64_t n)
{
	r->failed |= n > (uint64_t)(r->end - r->p);
	r->p = r->failed ? r->end : r->p + n;
}

static int32_t small(struct reader *r, int64_t v)
{
	r->failed |= v <= INT32_MIN || v > INT32_MAX;
	return (int32_t)v;
}

/* Bytes of a pointer that is written as ENCODING says (DW_EH_PE_); 0: not understood. */
static unsigned pointer_size(uint8_t encoding)
{
	static const uint8_t sizes[8] = {sizeof(void *), 0, 2, 4, 8, 0, 0, 0};

	return encoding == 0x50 ? 0 : sizes[encoding & 7];
}

/* ---- a place's row ---- */

/* A row while another one is made, in half the room: offsets are in units of 4 bytes. */
struct kept {
	struct frame frame;
	int16_t at[REGISTERS];
};
enum { UNIT = 4, KEPT_SAME = INT16_MIN };

/* False: an offset does not fit. */
static bool keep_state(struct kept *k, const struct row *row)
{
	k->frame = row->frame;
	for (int i = 0; i < REGISTERS; i++) {
		int32_t units = row->at[i] / UNIT;

		if (row->at[i] != SAME &&
		    (row->at[i] % UNIT || units != (int16_t)units || units == KEPT_SAME))
			return false;
		k->at[i] = row->at[i] == SAME ? (int16_t)KEPT_SAME : (int16_t)units;
	}
	return true;
}

static int32_t kept_at(const struct kept *k, int slot)
{
	return k->at[slot] == KEPT_SAME ? SAME : k->at[slot] * UNIT;
}

static void restore_state(struct row *row, const struct kept *k)
{
	row->frame = k->frame;
	for (int i = 0; i < REGISTERS; i++)
		row->at[i] = kept_at(k, i);
}

struct program {
	const struct pg_module *module;
	struct copy copy;
	struct row *row;
	struct kept first; /* as the CIE leaves it */
	struct kept kept[3];
	unsigned depth;
	uint64_t code_align;
	int64_t data_align;
	uintptr_t pc, wanted;
	uint8_t encoding; /* of addresses */
	bool extra;	  /* entries have data of their own, for exceptions */
};

/* An offset as the CIE has its unit; whatever is written there. */
static int64_t factored(const struct program *g, uint64_t n)
{
	return (int64_t)(n * (uint64_t)g->data_align);
}

static void save(struct program *g, struct reader *r, uint64_t reg, int64_t at)
{
	int slot = slot_of(reg);

	if (slot < 0)
		return;
	r->failed |= slot == SP;
	g->row->at[slot] = small(r, at);
	g->row->frame.in_base &= (uint16_t) ~(1u << slot);
}

static void same(struct program *g, uint64_t reg, const struct kept *as)
{
	int slot = slot_of(reg);

	if (slot < 0)
		return;
	g->row->at[slot] = as ? kept_at(as, slot) : SAME;
	g->row->frame.in_base = (uint16_t)(g->row->frame.in_base & ~(1u << slot));
	if (as)
		g->row->frame.in_base =
			(uint16_t)(g->row->frame.in_base | (as->frame.in_base & 1u << slot));
	if (slot == RETURN)
		g->row->frame.ends = as && as->frame.ends;
}

static void define_cfa(struct program *g, struct reader *r, uint64_t reg, int64_t offset)
{
	int slot = slot_of(reg);

	g->row->frame.by = (int8_t)(slot == RETURN ? -1 : slot);
	g->row->frame.cfa = small(r, offset);
	g->row->frame.loads = false;
}

/* The same register, another offset. */
static void move_cfa(struct program *g, struct reader *r, int64_t offset)
{
	r->failed |= g->row->frame.loads;
	g->row->frame.cfa = small(r, offset);
}

/* A register and an offset, and for the CFA what lies there: all that a signal trampoline needs,
 * and a function that aligns its stack. */
static int32_t from_register(struct reader *r, bool loads, int8_t *by)
{
	enum { BREG0 = 0x70, BREGS = 32, DEREF = 0x06 };
	uint64_t length = uleb(r);
	const uint8_t *start = r->p;
	unsigned reg = byte(r) - (unsigned)BREG0;
	int slot = slot_of(reg);
	int32_t n = small(r, sleb(r));

	r->failed |= reg >= BREGS || (loads && byte(r) != DEREF);
	r->failed |= (uint64_t)(r->p - start) != length;
	*by = (int8_t)(slot == RETURN ? -1 : slot);
	return n;
}

static void define_cfa_there(struct program *g, struct reader *r)
{
	g->row->frame.cfa = from_register(r, true, &g->row->frame.by);
	g->row->frame.loads = true;
}

static void save_there(struct program *g, struct reader *r)
{
	struct frame *f = &g->row->frame;
	int slot = slot_of(uleb(r));
	int8_t base;
	int32_t at = from_register(r, false, &base);

	if (slot < 0 || slot == SP) /* a signal's frame names it, too: it is the CFA */
		return;
	r->failed |= base < 0 || (f->in_base && f->base != base);
	f->base = base;
	f->in_base |= (uint16_t)(1u << slot);
	g->row->at[slot] = at;
}

static void push_or_pop(struct program *g, struct reader *r, bool back)
{
	if (back ? !g->depth : g->depth == sizeof g->kept / sizeof *g->kept)
		r->failed = true;
	else if (back)
		restore_state(g->row, &g->kept[--g->depth]);
	else
		r->failed |= !keep_state(&g->kept[g->depth++], g->row);
}

/* Of the caller's stack pointer. */
static void extended_cfa(struct program *g, struct reader *r, uint8_t op)
{
	uint64_t reg = op == 0x0c || op == 0x0d || op == 0x12 ? uleb(r) : 0;

	switch (op) {
	case 0x0c: /* def_cfa */
		define_cfa(g, r, reg, (int64_t)uleb(r));
		break;
	case 0x0d: /* def_cfa_register */
		define_cfa(g, r, reg, g->row->frame.cfa);
		break;
	case 0x0e: /* def_cfa_offset */
		move_cfa(g, r, (int64_t)uleb(r));
		break;
	case 0x0f: /* def_cfa_expression */
		define_cfa_there(g, r);
		break;
	case 0x12: /* def_cfa_sf */
		define_cfa(g, r, reg, factored(g, (uint64_t)sleb(r)));
		break;
	case 0x13: /* def_cfa_offset_sf */
		move_cfa(g, r, factored(g, (uint64_t)sleb(r)));
		break;
	case 0x2d: /* AARCH64_negate_ra_state: signatures are taken off anyway */
		break;
	case 0x2e: /* GNU_args_size: of calls with a landing pad */
		uleb(r);
		break;
	default:
		r->failed = true;
	}
}

/* An instruction with its operands in further bytes (DW_CFA_). */
static void extended(struct program *g, struct reader *r, uint8_t op)
{
	uint64_t reg = (op >= 0x05 && op <= 0x08) || op == 0x11 ? uleb(r) : 0;

	switch (op) {
	case 0x00: /* nop */
		break;
	case 0x02: /* advance_loc1, 2, 4 */
	case 0x03:
	case 0x04:
		g->pc += (uintptr_t)(fixed(r, 1u << (op - 2)) * g->code_align);
		break;
	case 0x05: /* offset_extended */
		save(g, r, reg, factored(g, uleb(r)));
		break;
	case 0x06: /* restore_extended */
		same(g, reg, &g->first);
		break;
	case 0x07: /* undefined */
		g->row->frame.ends |= slot_of(reg) == RETURN;
		break;
	case 0x08: /* same_value */
		same(g, reg, NULL);
		break;
	case 0x0a: /* remember_state, restore_state */
	case 0x0b:
		push_or_pop(g, r, op == 0x0b);
		break;
	case 0x10: /* expression */
		save_there(g, r);
		break;
	case 0x11: /* offset_extended_sf */
		save(g, r, reg, factored(g, (uint64_t)sleb(r)));
		break;
	default:
		extended_cfa(g, r, op);
	}
}

/* Up to the place that is wanted. */
static bool run(struct program *g, struct reader *r)
{
	while (r->p < r->end && g->pc <= g->wanted && !r->failed) {
		uint8_t op = byte(r), low = op & 0x3f;

		if (op >> 6 == 1) /* advance_loc */
			g->pc += (uintptr_t)(low * g->code_align);
		else if (op >> 6 == 2) /* offset */
			save(g, r, low, factored(g, uleb(r)));
		else if (op >> 6 == 3) /* restore */
			same(g, low, &g->first);
		else
			extended(g, r, op);
	}
	return !r->failed;
}

/* R is what follows the length of the entry at AT, all of it in the module. */
static void start_entry(struct program *g, struct reader *r, uintptr_t at)
{
	uintptr_t end = pg_module_part(g->module, at).hi;
	uint64_t length;

	r->p = (const uint8_t *)at;
	r->end = (const uint8_t *)end;
	r->copy = g->module->stays ? NULL : &g->copy;
	r->failed = !end;
	length = fixed(r, 4);
	r->failed |= !length || length > (uint64_t)(r->end - r->p);
	r->end = r->failed ? r->p : r->p + length;
}

/* The augmentation of a CIE, letter by letter. */
static bool read_letters(struct program *g, struct reader *r, struct reader *letters)
{
	uint8_t letter = byte(letters);
	struct reader data;
	uint64_t length;

	if (!letter)
		return true;
	g->extra = letter == 'z';
	if (!g->extra)
		return false;
	length = uleb(r);
	data = *r;
	skip(r, length);
	while ((letter = byte(letters))) {
		if (letter == 'S')
			g->row->frame.signal = true;
		else if (letter == 'R')
			g->encoding = byte(&data);
		else if (letter == 'L')
			byte(&data);
		else if (letter == 'P')
			skip(&data, pointer_size(byte(&data)));
		else if (letter != 'B') /* aarch64: signed with the B key */
			return false;
	}
	return !r->failed && !data.failed && !letters->failed;
}

/* The part that functions share. */
static bool run_cie(struct program *g, uintptr_t at)
{
	struct reader r, letters;
	uint8_t version;

	start_entry(g, &r, at);
	if (fixed(&r, 4)) /* its id */
		return false;
	version = byte(&r);
	letters = r;
	while (byte(&r))
		;
	g->code_align = uleb(&r);
	g->data_align = sleb(&r);
	if ((version != 1 && version != 3) || slot_of(uleb(&r)) != RETURN)
		return false;
	if (!read_letters(g, &r, &letters) || !run(g, &r))
		return false;
	return keep_state(&g->first, g->row);
}

/* The binary search table of .eh_frame_hdr (LSB): pairs of a function's start and its entry's
 * address, both from the header on. */
struct pair {
	int32_t start, entry;
};

static bool read(const struct pg_module *m, void *to, uintptr_t from, size_t n)
{
	if (!pg_module_has(m, from, n))
		return false;
	if (!m->stays)
		return pg_peek(to, (const void *)from, n);
	__builtin_memcpy(to, (const void *)from, n);
	return true;
}

struct table_head {
	uint8_t form[4];
	int32_t frames;
	uint32_t n;
};

/* The last pair that does not start behind PC. False: there is none, or no table. */
static bool find_pair(const struct pg_module *m, uintptr_t pc, struct pair *out)
{
	static const uint8_t usual[4] = {1, 0x1b, 0x03, 0x3b}; /* version; pcrel, count, datarel */
	uintptr_t hdr = m->eh_frame_hdr, pairs = hdr + sizeof(struct table_head);
	struct table_head head;
	struct pair pair;
	uint32_t lo = 0, hi;

	if (!hdr || !read(m, &head, hdr, sizeof head) ||
	    __builtin_memcmp(head.form, usual, sizeof usual) != 0 || !head.n ||
	    !read(m, out, pairs, sizeof *out) || hdr + (uintptr_t)(intptr_t)out->start > pc)
		return false;
	for (hi = head.n; hi - lo > 1;) {
		uint32_t middle = lo + (hi - lo) / 2;

		if (!read(m, &pair, pairs + middle * sizeof pair, sizeof pair))
			return false;
		if (hdr + (uintptr_t)(intptr_t)pair.start > pc)
			hi = middle;
		else
			lo = middle, *out = pair;
	}
	return true;
}

static PG_COLD bool read_row(uintptr_t pc, const struct pg_module *m, struct row *row)
{
	struct program g;
	struct pair pair;
	struct reader r;
	uintptr_t cie;
	unsigned size;

	if (!find_pair(m, pc, &pair))
		return false;
	__builtin_memset(&g, 0, sizeof g);
	__builtin_memset(row, 0, sizeof *row);
	g.module = m;
	g.wanted = pc;
	g.row = row;
	for (int i = 0; i < REGISTERS; i++)
		row->at[i] = SAME;
	start_entry(&g, &r, m->eh_frame_hdr + (uintptr_t)(intptr_t)pair.entry);
	cie = (uintptr_t)r.p;
	cie -= (uintptr_t)(intptr_t)(int32_t)fixed(&r, 4);
	if (r.failed || !run_cie(&g, cie) || !(size = pointer_size(g.encoding)))
		return false;
	skip(&r, size); /* where it starts: the table has said it */
	g.pc = m->eh_frame_hdr + (uintptr_t)(intptr_t)pair.start;
	if (pc - g.pc >= fixed(&r, size))
		return false;
	if (g.extra)
		skip(&r, uleb(&r));
	return run(&g, &r) && row->frame.by >= 0;
}

/* ---- the rows that are known ---- */

/* A key is zero while its entry is written: a reader that sees it twice has read one whole entry.
 */
enum { WORDS = sizeof(struct row) / sizeof(uint64_t) };
struct known_row {
	pg_shared64 key; /* of place and module */
	pg_shared64 row[WORDS];
};
enum { ROW_SETS = 256, ROW_WAYS = 4 };
static struct known_row rows[ROW_SETS][ROW_WAYS];

_Static_assert(sizeof(struct row) == WORDS * sizeof(uint64_t), "a row is whole words");

static bool recall_row(const struct known_row *k, uint64_t key, struct row *row)
{
	uint64_t words[WORDS];

	if (__atomic_load_n(&k->key, __ATOMIC_ACQUIRE) != key)
		return false;
	for (int i = 0; i < WORDS; i++)
		words[i] = PG_GET(k->row[i]);
	__atomic_thread_fence(__ATOMIC_ACQUIRE);
	__builtin_memcpy(row, words, sizeof words);
	return PG_GET(k->key) == key;
}

static void keep_row(struct known_row *k, uint64_t key, const struct row *row)
{
	uint64_t words[WORDS];

	__builtin_memcpy(words, row, sizeof words);
	__atomic_store_n(&k->key, 0, __ATOMIC_SEQ_CST);
	for (int i = 0; i < WORDS; i++)
		__atomic_store_n(&k->row[i], words[i], __ATOMIC_SEQ_CST);
	__atomic_store_n(&k->key, key, __ATOMIC_SEQ_CST);
}

static bool find_row(uintptr_t pc, const struct pg_module *m, struct row *row)
{
	uint64_t key = pg_mix(pg_mix(pc, (uintptr_t)m->dynamic), m->stamp) | 1;
	struct known_row *k = pg_way(rows[key >> 40 & (ROW_SETS - 1)], ROW_WAYS, sizeof *k, key);

	if (recall_row(k, key, row))
		return true;
	if (!read_row(pc, m, row))
		return false;
	keep_row(k, key, row);
	return true;
}

/* ---- the words of the stack ---- */

enum { NEAR_PAGES = 16 };

static uintptr_t page_of(uintptr_t p)
{
	return p & ~(uintptr_t)(PG_PAGE_LEAST - 1);
}

/* The page of P, which is known to be there. */
static void know_page(struct pg_cursor *c, uintptr_t p)
{
	c->stack = (struct pg_span){page_of(p), page_of(p) + PG_PAGE_LEAST};
}

/* Is the word at P in a page of the stack, or in one not far above? The very word is asked about
 * that is there: it was saved, so it holds something. */
static bool on_stack(struct pg_cursor *c, uintptr_t p)
{
	if (p - c->stack.lo < c->stack.hi - c->stack.lo)
		return true;
	if (c->strayed || p < c->stack.lo || p >= c->stack.hi + NEAR_PAGES * PG_PAGE_LEAST)
		return false;
	if (!c->sure && !pg_word_readable((void *)p))
		return false;
	if (p < c->stack.hi + PG_PAGE_LEAST)
		c->stack.hi += PG_PAGE_LEAST;
	else
		know_page(c, p);
	return true;
}

static bool load(struct pg_cursor *c, uintptr_t p, uintptr_t *out)
{
	if (p % sizeof p || !p)
		return false;
	if (!on_stack(c, p))
		return pg_peek(out, (const void *)p, sizeof *out);
	*out = *(const uintptr_t *)p;
	return true;
}

#ifdef __i386__
static uintptr_t load_or_zero(struct pg_cursor *c, uintptr_t p)
{
	uintptr_t v;

	return load(c, p, &v) ? v : 0;
}
#endif

/* ---- the climb ---- */

static bool is_among(const struct pg_module *m, uintptr_t place)
{
	return place - m->text.lo < m->text.hi - m->text.lo;
}

/* No call returns to a module's data: then the stack has ended. */
static void arrive(struct pg_cursor *c, uintptr_t pc, bool exact)
{
	c->pc = STRIPPED(pc);
	c->exact = exact;
	c->module = c->pc ? pg_module_at(pg_cursor_place(c), &c->room) : NULL;
	if (!c->module || exact || is_among(c->module, pg_cursor_place(c)))
		return;
	c->pc = 0;
	c->module = NULL;
}

/* The word at OFFSET of the ucontext_t at UC, which may be a copy of its beginning. */
static uintptr_t context_word(const void *uc, size_t offset)
{
	uintptr_t word;

	__builtin_memcpy(&word, (const char *)uc + offset, sizeof word);
	return word;
}

static void take_context(struct pg_cursor *c, const void *uc)
{
	for (int i = 0; i < REGISTERS; i++)
		c->reg[i] = context_word(uc, CONTEXT_REGISTER(i));
	know_page(c, c->reg[SP]);
	/* A stack that has just been switched to has nothing on it: its pointer is where it ends.
	 * Where nothing may be asked, what was interrupted is relied on to have a frame. */
	if (!pg_confined)
		c->stack.hi = c->stack.lo;
	c->sure = false;
	arrive(c, context_word(uc, CONTEXT_PC), true);
}

void pg_cursor_at(struct pg_cursor *c, const void *uc)
{
	c->strayed = false;
	take_context(c, uc);
}

uintptr_t pg_cursor_sp(const struct pg_cursor *c)
{
	return c->reg[SP];
}

/* Is C at instructions that return from a signal, and that no table covers? */
static bool at_restorer(const struct pg_cursor *c)
{
	uint8_t code[RESTORER_BYTES];

	if (!pg_peek(code, (const void *)c->pc, sizeof code))
		return false;
	for (size_t i = 0; i < sizeof restorers / sizeof *restorers; i++)
		if (!__builtin_memcmp(code, restorers[i], sizeof code))
			return true;
	return false;
}

/* Not inline: its copy of a context is not on the way of all others. */
static __attribute__((noinline)) bool up_by_signal(struct pg_cursor *c)
{
	char uc[CONTEXT_BYTES];
	uintptr_t at = at_restorer(c) ? CONTEXT_ON_STACK(c->reg[SP]) : 0;

	if (!at || !pg_peek(uc, (const void *)at, sizeof uc))
		return false;
	take_context(c, uc);
	return true;
}

static bool up_by_row(struct pg_cursor *c, const struct row *row)
{
	const struct frame *f = &row->frame;
	uintptr_t by = c->reg[f->by] + (uintptr_t)(intptr_t)f->cfa, cfa = by;
	uintptr_t base = c->reg[f->base];

	if (f->loads && !load(c, by, &cfa))
		return false;
	/* A stack grows downwards: only a leaf that was interrupted has nothing on it; and a signal
	 * may have come on another one. */
	if (!f->signal && (c->exact ? cfa < c->reg[SP] : cfa <= c->reg[SP]))
		return false;
	for (int i = 0; i < REGISTERS; i++)
		if (row->at[i] != SAME &&
		    !load(c, (f->in_base >> i & 1 ? base : cfa) + (uintptr_t)(intptr_t)row->at[i],
			  &c->reg[i]))
			return false;
	c->reg[SP] = cfa;
	arrive(c, c->reg[RETURN], row->frame.signal);
	return true;
}

bool pg_cursor_up(struct pg_cursor *c)
{
	struct row row;

	if (!c->module || !find_row(pg_cursor_place(c), c->module, &row))
		return up_by_signal(c);
	if (row.frame.ends || (row.at[RETURN] == SAME && !c->exact))
		return false;
	return up_by_row(c, &row);
}

#ifdef FRAME
enum { CALL_MOST = 7 };

/* Bytes of a call by a register or by memory, of which MODRM is the second. */
static unsigned call_bytes(uint8_t modrm)
{
	unsigned mode = modrm >> 6, base = modrm & 7;
	unsigned sib = mode != 3 && base == 4;

	return 2 + sib + (mode == 1 ? 1 : mode == 2 || (mode == 0 && base == 5) ? 4 : 0);
}

/* Does a call end where PC is? Whatever a stack was left with mostly does not look so. */
static bool is_behind_call(uintptr_t pc)
{
	enum { CALL_NEAR = 0xe8, NEAR_BYTES = 5, GROUP = 0xff, CALL_THERE = 2 };
	uint8_t code[CALL_MOST];

	if (pc < sizeof code || !pg_peek(code, (const void *)(pc - sizeof code), sizeof code))
		return false;
	if (code[CALL_MOST - NEAR_BYTES] == CALL_NEAR)
		return true;
	for (unsigned at = 0; at + 1 < CALL_MOST; at++)
		if (code[at] == GROUP && (code[at + 1] >> 3 & 7) == CALL_THERE &&
		    call_bytes(code[at + 1]) == CALL_MOST - at)
			return true;
	return false;
}

/* Is BACK code that was made beside PC's, where no call stands before the way back? So does the
 * JVM's interpreter call: it puts that there, and jumps. */
static bool is_beside(const struct pg_cursor *c, uintptr_t back)
{
	enum { NEAR = 1 << 28, STACK = 1 << 23 };
	struct pg_module room;

	return !c->module && back + NEAR - c->pc < 2 * NEAR &&
	       back + STACK - c->reg[SP] >= 2 * STACK && !pg_module_at(back - 1, &room);
}

/* The frame at FRAME, which lies upwards and not far. What else its function kept is not known. */
static bool take_frame(struct pg_cursor *c, uintptr_t frame)
{
	enum { FAR = 1 << 20 };
	uintptr_t before, back;

	c->strayed = true;
	if (frame < c->reg[SP] || frame - c->reg[SP] > FAR || !load(c, frame, &before) ||
	    !load(c, frame + sizeof before, &back) ||
	    (!is_behind_call(back) && !is_beside(c, back)))
		return false;
	__builtin_memset(c->reg, 0, sizeof c->reg);
	c->reg[FRAME] = before;
	c->reg[SP] = frame + 2 * sizeof before;
	arrive(c, back, false);
	return c->pc;
}

bool pg_cursor_up_by_pointer(struct pg_cursor *c)
{
	struct row row;

	if (c->exact || (c->module && find_row(pg_cursor_place(c), c->module, &row)))
		return false;
	return take_frame(c, c->reg[FRAME]);
}
#else
bool pg_cursor_up_by_pointer(struct pg_cursor *c)
{
	(void)c;
	return false;
}
#endif

/* The first step is made while this frame is there. */
void pg_cursor_here(struct pg_cursor *c)
{
	HERE(c);
	know_page(c, c->reg[SP]);
	c->sure = c->strayed = false;
#ifdef PG_HERE_SETS_PC
	arrive(c, c->pc, true);
#else
	arrive(c, c->reg[RETURN], true);
#endif
	if (pg_cursor_up(c))
		return;
	c->pc = 0;
	c->module = NULL;
}
