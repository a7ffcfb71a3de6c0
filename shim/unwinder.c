/* SPDX-License-Identifier: MIT */
#include "unwinder.h"

#include "sys.h"

#if defined(__x86_64__) && !defined(__ILP32__)

/* The registers that a caller gets back, and the way back itself. */
enum { RBX, RBP, RSP, R12, R13, R14, R15, RIP, REGISTERS };

/* Of a register's number in the tables; -1: nobody asks for it. */
static int slot_of(uint64_t dwarf)
{
	static const int8_t slots[] = {-1, -1, -1, RBX, -1,  -1,  RBP, RSP, -1,
				       -1, -1, -1, R12, R13, R14, R15, RIP};

	return dwarf < sizeof slots ? slots[dwarf] : -1;
}

/* What holds at one place. */
struct row {
	int32_t at[REGISTERS]; /* where the caller's are, from a base; or SAME */
	int32_t cfa;	       /* the caller's stack pointer: so far from register BY, */
	int8_t by;
	bool loads : 1;	  /* and there it lies */
	bool from_by : 1; /* the base is register BY; else the caller's stack pointer */
	bool ends : 1;	  /* there is no caller */
	bool signal : 1;  /* the kernel made this frame: it interrupted the caller */
};
enum { SAME = INT32_MIN };

/* ---- reading the tables ---- */

struct reader {
	const uint8_t *p, *end;
	bool failed;
};

static uint8_t byte(struct reader *r)
{
	if (r->p < r->end)
		return *r->p++;
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

static int32_t small(struct reader *r, int64_t v)
{
	r->failed |= v <= INT32_MIN || v > INT32_MAX;
	return (int32_t)v;
}

/* Bytes of a pointer that is written as ENCODING says (DW_EH_PE_); 0: not understood. */
static unsigned pointer_size(uint8_t encoding)
{
	static const uint8_t sizes[8] = {8, 0, 2, 4, 8, 0, 0, 0};

	return encoding == 0x50 ? 0 : sizes[encoding & 7];
}

/* ---- a place's row ---- */

struct program {
	struct row row, first; /* FIRST: as the CIE leaves it */
	struct row kept[4];
	unsigned depth;
	uint64_t code_align;
	int64_t data_align;
	uintptr_t pc, wanted;
	uint8_t encoding; /* of addresses */
	bool extra;	  /* entries have data of their own, for exceptions */
};

static void save(struct program *g, struct reader *r, uint64_t reg, int64_t at)
{
	int slot = slot_of(reg);

	if (slot < 0)
		return;
	r->failed |= g->row.from_by || slot == RSP;
	g->row.at[slot] = small(r, at);
}

static void same(struct program *g, uint64_t reg, const struct row *as)
{
	int slot = slot_of(reg);

	if (slot >= 0)
		g->row.at[slot] = as ? as->at[slot] : SAME;
	if (slot == RIP)
		g->row.ends = as && as->ends;
}

static void define_cfa(struct program *g, struct reader *r, uint64_t reg, int64_t offset)
{
	int slot = slot_of(reg);

	r->failed |= slot < 0 || slot == RIP || g->row.loads;
	g->row.by = (int8_t)slot;
	g->row.cfa = small(r, offset);
}

/* "rsp + N", and for the CFA what lies there: all that libc's signal trampoline needs. */
static int32_t from_rsp(struct reader *r, bool loads)
{
	enum { BREG7 = 0x77, DEREF = 0x06 };
	uint64_t length = uleb(r);
	const uint8_t *end = r->p + length;
	int32_t n;

	r->failed |= byte(r) != BREG7;
	n = small(r, sleb(r));
	r->failed |= loads && byte(r) != DEREF;
	r->failed |= r->p != end;
	return n;
}

static void define_cfa_there(struct program *g, struct reader *r)
{
	g->row.cfa = from_rsp(r, true);
	g->row.by = RSP;
	g->row.loads = g->row.from_by = true;
}

static void save_there(struct program *g, struct reader *r)
{
	int slot = slot_of(uleb(r));
	int32_t at = from_rsp(r, false);

	r->failed |= !g->row.from_by;
	if (slot >= 0)
		g->row.at[slot] = at;
}

static void push_or_pop(struct program *g, struct reader *r, bool back)
{
	if (back ? !g->depth : g->depth == sizeof g->kept / sizeof *g->kept)
		r->failed = true;
	else if (back)
		g->row = g->kept[--g->depth];
	else
		g->kept[g->depth++] = g->row;
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
		define_cfa(g, r, reg, g->row.cfa);
		break;
	case 0x0e: /* def_cfa_offset */
		g->row.cfa = small(r, (int64_t)uleb(r));
		break;
	case 0x0f: /* def_cfa_expression */
		define_cfa_there(g, r);
		break;
	case 0x12: /* def_cfa_sf */
		define_cfa(g, r, reg, sleb(r) * g->data_align);
		break;
	case 0x13: /* def_cfa_offset_sf */
		g->row.cfa = small(r, sleb(r) * g->data_align);
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
		g->pc += fixed(r, 1u << (op - 2)) * g->code_align;
		break;
	case 0x05: /* offset_extended */
		save(g, r, reg, (int64_t)uleb(r) * g->data_align);
		break;
	case 0x06: /* restore_extended */
		same(g, reg, &g->first);
		break;
	case 0x07: /* undefined */
		g->row.ends |= slot_of(reg) == RIP;
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
		save(g, r, reg, sleb(r) * g->data_align);
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
			g->pc += low * g->code_align;
		else if (op >> 6 == 2) /* offset */
			save(g, r, low, (int64_t)uleb(r) * g->data_align);
		else if (op >> 6 == 3) /* restore */
			same(g, low, &g->first);
		else
			extended(g, r, op);
	}
	return !r->failed;
}

/* What follows the length of an entry. */
static struct reader entry(const uint8_t *at)
{
	struct reader r = {at, at + 4, false};
	uint64_t length = fixed(&r, 4);

	r.failed = !length || length == 0xffffffff;
	r.end = r.p + (r.failed ? 0 : length);
	return r;
}

/* The augmentation of a CIE, letter by letter. */
static bool read_letters(struct program *g, struct reader *r, const uint8_t *letters)
{
	uint64_t length;
	const uint8_t *end;

	if (!*letters)
		return true;
	g->extra = *letters == 'z';
	if (!g->extra)
		return false;
	length = uleb(r);
	end = r->p + length;
	while (*++letters) {
		if (*letters == 'S')
			g->row.signal = true;
		else if (*letters == 'R')
			g->encoding = byte(r);
		else if (*letters == 'L')
			byte(r);
		else if (*letters == 'P')
			r->p += pointer_size(byte(r));
		else
			return false;
	}
	r->p = end;
	return r->p <= r->end;
}

/* The part that functions share. */
static bool run_cie(struct program *g, const uint8_t *at)
{
	struct reader r = entry(at);
	const uint8_t *letters;
	uint8_t version;

	if (fixed(&r, 4)) /* its id */
		return false;
	version = byte(&r);
	letters = r.p;
	while (byte(&r))
		;
	g->code_align = uleb(&r);
	g->data_align = sleb(&r);
	if ((version != 1 && version != 3) || slot_of(uleb(&r)) != RIP)
		return false;
	if (!read_letters(g, &r, letters) || !run(g, &r))
		return false;
	g->first = g->row;
	return true;
}

/* libgcc's: finds the entry of PC, and the start of its function. */
struct dwarf_eh_bases {
	void *tbase, *dbase, *func;
};
extern const void *_Unwind_Find_FDE(void *pc, struct dwarf_eh_bases *bases);

static PG_COLD bool read_row(uintptr_t pc, struct row *row)
{
	struct dwarf_eh_bases bases = {NULL, NULL, NULL};
	const uint8_t *fde = _Unwind_Find_FDE((void *)pc, &bases), *cie;
	struct program g = {.wanted = pc};
	struct reader r;
	uint64_t skip;

	if (!fde)
		return false;
	for (int i = 0; i < REGISTERS; i++)
		g.row.at[i] = SAME;
	r = entry(fde);
	cie = r.p;
	cie -= (int32_t)fixed(&r, 4);
	if (r.failed || !run_cie(&g, cie) || !pointer_size(g.encoding))
		return false;
	r.p += 2 * pointer_size(g.encoding); /* where it starts, and its length */
	skip = g.extra ? uleb(&r) : 0;
	r.p += skip;
	g.pc = (uintptr_t)bases.func;
	if (!run(&g, &r))
		return false;
	*row = g.row;
	return row->ends || row->at[RIP] != SAME;
}

/* ---- the rows that are known ---- */

/* A key is zero while its entry is written: a reader that sees it twice has read one whole entry.
 */
enum { WORDS = sizeof(struct row) / sizeof(uint64_t) };
struct known_row {
	uint64_t key; /* of place and module */
	uint64_t row[WORDS];
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
	if (!read_row(pc, row))
		return false;
	keep_row(k, key, row);
	return true;
}

/* ---- the walk ---- */

struct place {
	uintptr_t reg[REGISTERS];
};

/* From PLACE to its caller. */
static bool climb(struct place *place, const struct row *row)
{
	uintptr_t by = place->reg[row->by] + (uintptr_t)(intptr_t)row->cfa;
	uintptr_t cfa = row->loads ? *(const uintptr_t *)by : by;
	uintptr_t base = row->from_by ? place->reg[row->by] : cfa;

	if (!row->loads && cfa <= place->reg[RSP])
		return false;
	for (int i = 0; i < REGISTERS; i++)
		if (row->at[i] != SAME)
			place->reg[i] =
				*(const uintptr_t *)(base + (uintptr_t)(intptr_t)row->at[i]);
	place->reg[RSP] = cfa;
	return true;
}

bool pg_unwind(pg_frame_fn *visit, void *arg)
{
	struct place place;
	bool exact = true; /* nobody is told of this place, where the registers are taken */
	struct pg_module m;
	struct row row;

	__asm__ volatile("movq %%rbx,(%1)\n"
			 "	movq %%rbp,8(%1)\n"
			 "	movq %%rsp,16(%1)\n"
			 "	movq %%r12,24(%1)\n"
			 "	movq %%r13,32(%1)\n"
			 "	movq %%r14,40(%1)\n"
			 "	movq %%r15,48(%1)\n"
			 "1:	leaq 1b(%%rip),%%rax\n"
			 "	movq %%rax,56(%1)\n"
			 : "=m"(place)
			 : "r"(place.reg)
			 : "rax");
	for (bool first = true; place.reg[RIP]; first = false) {
		uintptr_t ip = place.reg[RIP];
		bool known = pg_elf_module(ip - !exact, &m);

		if (!first && !visit(ip, exact, known ? &m : NULL, arg))
			return true;
		if (!known || !find_row(ip - !exact, &m, &row))
			return false;
		if (row.ends)
			return true;
		if (!climb(&place, &row))
			return false;
		exact = row.signal;
	}
	return true;
}

#else

bool pg_unwind(pg_frame_fn *visit, void *arg)
{
	(void)visit;
	(void)arg;
	return false;
}

#endif
