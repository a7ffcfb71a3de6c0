/* SPDX-License-Identifier: MIT */
/* The structure: text to rules, a rule to its id, its set and its fields. */
#include "rules/rule_check.h"
#include "rules/rule_fields.h"
#include "rules/rule_parse.h"
#include "rules/rule_words.h"

/* ---- one rule ---- */

static bool id_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '_' || c == '-' || c == '.';
}

/* Is ID perhaps that of an earlier rule? Most are none by their hash. */
static bool may_be_taken(struct pg_parse *p, const char id[16])
{
	uint64_t half[2], hash, *word, bit;

	__builtin_memcpy(half, id, sizeof half);
	hash = pg_mix(half[0], half[1]) >> 32;
	word = &p->out->work.ids[hash / 64 % 4];
	bit = PG_BIT(hash % 64);
	if (*word & bit)
		return true;
	*word |= bit;
	return false;
}

/* Ids are what logs call rules by: two must not share one. */
static bool check_id(struct pg_parse *p, struct pg_word id, const char *what)
{
	const struct pg_rule *earlier = p->out->rule, *end = earlier + p->out->n;

	if (!may_be_taken(p, p->rule->id))
		return true;
	for (; earlier < end; earlier++) {
		if (__builtin_memcmp(earlier->id, p->rule->id, sizeof earlier->id) != 0)
			continue;
		pg_parse_fail(p, id, what);
		pg_copy(p->error->word, sizeof p->error->word, p->rule->id);
		return false;
	}
	return true;
}

/* r1, r2, ... */
static bool default_id(struct pg_parse *p, struct pg_word head)
{
	struct pg_text t = {p->rule->id, 0, sizeof p->rule->id - 1};

	pg_put_char(&t, 'r');
	pg_put_u64(&t, p->number);
	return check_id(p, head, "this rule needs an id, an earlier one is called");
}

/* HEAD: [ID=]SET, with its first '=' at EQUAL, or none up to there. Leaves the set in it. */
static bool read_id(struct pg_parse *p, struct pg_word *head, size_t equal)
{
	size_t end = head->at + head->len;
	struct pg_word id = pg_word(head->at, equal);

	if (equal == end)
		return default_id(p, *head);
	for (size_t i = id.at; i < equal; i++)
		if (!id_char(p->text[i]))
			return pg_parse_fail(p, id, "not an id (letters, digits, '_', '-', '.'):");
	if (!id.len)
		return pg_parse_fail_at(p, id.at, "an id is missing before '='");
	if (id.len >= sizeof p->rule->id)
		return pg_parse_fail(p, id, "an id of more than 15 bytes:");
	pg_copy(p->rule->id, id.len + 1u, p->text + id.at);
	*head = pg_word(equal + 1, end);
	return check_id(p, id, "an id that is given twice:");
}

/* In the order of their bits. */
static void add_field(struct pg_parse *p, enum pg_field f, struct pg_word field)
{
	uint64_t later = p->rule->fields & ~(PG_BIT(f) - 1);
	unsigned at = p->fields - (later ? (unsigned)__builtin_popcountll(later) : 0);

	for (unsigned i = p->fields++; i > at; i--) {
		p->out->field[i] = p->out->field[i - 1];
		__asm__ volatile("" ::: "memory"); /* no call of memmove */
	}
	p->out->field[at] = field;
	p->rule->fields |= PG_BIT(f);
}

/* FIELD: WORD[=VALUE], the '=' at EQUAL, or none up to there. */
static bool read_field(struct pg_parse *p, struct pg_word field, size_t equal)
{
	size_t end = field.at + field.len;
	struct pg_word name = pg_word(field.at, equal), value;
	enum pg_field f = pg_field_of(p, name);
	bool given = equal < end;

	value = given ? pg_word(equal + 1, end) : pg_word(end, end);
	if (!name.len)
		return pg_parse_fail_at(p, field.at,
					given ? "a word is missing before '='" : "an empty field");
	if (f == PG_F_COUNT)
		return pg_parse_fail_near(p, name, given ? "unknown field" : "unknown action",
					  pg_nearest_field(p, name));
	if (pg_has(p->rule, f))
		return pg_parse_fail(p, name, "given twice:");
	if (given && !pg_value_taken(f))
		return pg_parse_fail(p, name, "takes no value:");
	if (given && !value.len)
		return pg_parse_fail_at(
			p, value.at,
			f == PG_F_PEER
				? "the value is empty (IPv6 addresses stand in brackets: [::1])"
				: "the value is empty");
	if (!given && pg_value_taken(f) && !pg_value_optional(f))
		return pg_parse_fail(p, name, "needs a value:");
	add_field(p, f, field);
	if (pg_field_is(f, PG_IS_FINAL) && p->rule->terminal != PG_F_COUNT)
		return pg_parse_fail(p, name, "a second final action:");
	if (pg_field_is(f, PG_IS_FINAL))
		p->rule->terminal = f;
	return !pg_value_taken(f) || pg_field_readers[f](p, &pg_field_rows[f], value);
}

static void start_rule(struct pg_rule *r)
{
	__builtin_memset(r, 0, sizeof *r);
	r->terminal = PG_F_COUNT;
	r->first = r->step = 1;
	r->last = r->limit = UINT64_MAX;
	r->prob = PG_PROB_ALWAYS;
}

/* The piece of a rule from AT on: up to the next ':', or to END. EQUAL: its first '=', or its end.
 */
static struct pg_word cut_piece(const struct pg_parse *p, size_t at, size_t end, size_t *equal)
{
	size_t stop = pg_find_either(p->text, at, end, '=', ':');

	*equal = stop;
	if (stop < end && p->text[stop] == '=')
		stop = pg_find(p->text, stop + 1, end, ':');
	return pg_word(at, stop);
}

static bool read_rule(struct pg_parse *p, struct pg_word whole)
{
	size_t end = whole.at + whole.len, equal, at;
	struct pg_word set = cut_piece(p, whole.at, end, &equal);

	start_rule(p->rule);
	p->rule->raw = (uint16_t)p->fields;
	at = set.at + set.len;
	if (!read_id(p, &set, equal) || !pg_set_read(p, set))
		return false;
	p->rule->set = set;
	while (at < end) {
		struct pg_word field = cut_piece(p, at + 1, end, &equal);

		if (!read_field(p, field, equal))
			return false;
		at = field.at + field.len;
	}
	return pg_rule_check(p, whole);
}

/* ---- the text ---- */

static bool blank(char c)
{
	return c == ' ' || c == '\t' || c == '\r';
}

static size_t skip_blanks(const char *text, size_t at, size_t end)
{
	while (at < end && blank(text[at]))
		at++;
	return at;
}

/* The piece of a rule from AT to END, which pg_step() found. */
static bool check_piece(struct pg_parse *p, size_t at, size_t end)
{
	if (p->text[at] == '[' && end == at + 1)
		return pg_parse_fail_at(p, at, "'[' without ']' (to mean it, write '\\[')");
	if (p->text[at] == '\\' && end == at + 1)
		return pg_parse_fail_at(p, at, "a '\\' with nothing to protect");
	for (; at < end; at++)
		if ((unsigned char)p->text[at] < 0x20 || p->text[at] == 0x7f)
			return pg_parse_fail(p, pg_word(at, at + 1), "a control byte:");
	return true;
}

/*
 * The rule that starts at AT, in a line that ends at EOL: it goes to *END, what follows it starts
 * at *NEXT. False: something in it that no rule may hold.
 */
static bool cut_rule(struct pg_parse *p, size_t at, size_t eol, size_t *end, size_t *next)
{
	const char *text = p->text;

	for (;;) {
		size_t step, word;

		while (!pg_is_mark(text[at], PG_MARKS_RULE)) /* the line's end is one */
			at++;
		if (at >= eol || text[at] == ';')
			break;
		if (!blank(text[at])) {
			step = pg_step(text, at, eol);
			if (!check_piece(p, at, step))
				return false;
			at = step;
			continue;
		}
		word = skip_blanks(text, at, eol);
		if (word < eol && text[word] != ';' && text[word] != '#')
			return pg_parse_fail_at(p, at, "a blank inside a rule");
		*end = at;
		*next = word < eol && text[word] == ';' ? word + 1 : eol;
		return true;
	}
	*end = at;
	*next = at < eol ? at + 1 : eol;
	return true;
}

/* All rules of the line from AT to EOL. */
static bool read_line(struct pg_parse *p, size_t at, size_t eol)
{
	struct pg_rule_set *out = p->out;
	size_t end = eol, next = eol;

	for (; (at = skip_blanks(p->text, at, eol)) < eol && p->text[at] != '#'; at = next) {
		p->number = out->n + 1;
		if (!cut_rule(p, at, eol, &end, &next))
			return false;
		if (end == at)
			continue;
		if (out->n == PG_RULES_MAX)
			return pg_parse_fail_at(p, at, "more than 64 rules");
		p->rule = &out->rule[out->n];
		if (!read_rule(p, pg_word(at, end)))
			return false;
		p->rule->serial = out->n;
		out->calls |= p->rule->calls;
		out->fields |= p->rule->fields;
		out->n++;
	}
	return true;
}

/* Where the line of AT ends. Eight bytes at a time: one of them is the end if it becomes 0. */
static size_t end_of_line(const char *text, size_t at, size_t len)
{
	const uint64_t ones = UINT64_MAX / 255;
	uint64_t eight;

	for (; at + sizeof eight <= len; at += sizeof eight) {
		__builtin_memcpy(&eight, text + at, sizeof eight);
		eight ^= ones * '\n';
		if ((eight - ones) & ~eight & ones << 7)
			break;
	}
	while (at < len && text[at] != '\n')
		at++;
	return at;
}

bool pg_rules_parse(struct pg_rule_set *rules, const char *text, struct pg_rule_error *error)
{
	struct pg_parse p = {.out = rules, .text = rules->text, .error = error, .number = 1};
	size_t len = pg_len(text);

	rules->n = 0;
	rules->calls = rules->fields = 0;
	__builtin_memset(&rules->work, 0, sizeof rules->work);
	__builtin_memcpy(rules->text, text, len < sizeof rules->text ? len + 1 : 0);
	if (len >= sizeof rules->text)
		return pg_parse_fail_at(&p, 0, "the rules are longer than 16383 bytes");
	for (size_t at = 0; at < len; at = p.line_start) {
		size_t eol = end_of_line(text, at, len);

		p.line_start = at;
		p.line += eol + 1 < len || p.line; /* said only where there are several */
		if (!read_line(&p, at, eol))
			return false;
		p.line_start = eol + 1;
	}
	p.line = 0;
	p.line_start = 0;
	return rules->n ? true : pg_parse_fail_at(&p, 0, "there is no rule");
}
