/* SPDX-License-Identifier: MIT */
/* The doctor's findings as one JSON object: every key is there, null where it means nothing. */
#include "command/diagnosis.h"
#include "command/say.h"

#include "rules/rule.h"

#include <stdio.h>
#include <string.h>

static void put_string(const char *s)
{
	struct pg_text t = {NULL, 0, s ? 6 * strlen(s) + 3 : 5};

	t.buf = pg_room(t.cap + 1);
	pg_put_json(&t, s, t.cap);
	fputs(t.buf, stdout);
}

static void put_key(const char *key, const char *value)
{
	printf(",\"%s\":", key);
	put_string(value);
}

static void put_calls(const char *key, uint64_t calls)
{
	const char *comma = "";

	printf(",\"%s\":[", key);
	for (int call = 1; call < PG_CALL_COUNT; call++) {
		if (!pg_imports_has(calls, (enum pg_call)call))
			continue;
		printf("%s\"%s\"", comma, pg_call_name((enum pg_call)call));
		comma = ",";
	}
	putchar(']');
}

/* The words of TEXT, which ends before a bracket. */
static void put_words(const char *key, const char *text)
{
	const char *comma = "", *end = text + strcspn(text, "(");

	printf(",\"%s\":[", key);
	while (text < end) {
		size_t n = strcspn(text, " (");

		if (n) {
			printf("%s\"%.*s\"", comma, (int)n, text);
			comma = ",";
		}
		text += n + 1;
	}
	putchar(']');
}

static void put_scripts(const struct pg_examined *x)
{
	fputs(",\"scripts\":[", stdout);
	for (unsigned i = 0; i < x->script_count; i++) {
		fputs(i ? "," : "", stdout);
		put_string(x->scripts[i]);
	}
	putchar(']');
}

static void put_imports(const struct pg_diagnosis *d)
{
	const struct pg_imports *im = &d->imports;

	if (!im->known) {
		fputs(",\"imports\":null,\"stdio\":null,\"libraries\":null", stdout);
		return;
	}
	put_calls("imports", im->calls);
	printf(",\"stdio\":%s,\"libraries\":[", im->stdio ? "true" : "false");
	for (unsigned i = 0; i < im->libraries; i++) {
		printf("%s{\"name\":", i ? "," : "");
		put_string(im->library[i].name);
		put_calls("imports", im->library[i].calls);
		printf(",\"stdio\":%s}", im->library[i].stdio ? "true" : "false");
	}
	putchar(']');
}

static void put_process(const struct pg_diagnosis *d)
{
	if (!d->is_process) {
		fputs(",\"process\":null", stdout);
		return;
	}
	printf(",\"process\":{\"pid\":%u", d->process.pid);
	put_key("comm", d->process.name);
	put_key("sigpipe", d->process.sigpipe);
	printf(",\"guarded\":%s}", d->process.guarded ? "true" : "false");
}

static void put_instead(const struct pg_diagnosis *d)
{
	const char *line;

	fputs(",\"instead\":[", stdout);
	for (unsigned n = 0; (line = pg_diagnosis_instead(d, n)); n++) {
		fputs(n ? "," : "", stdout);
		put_string(line);
	}
	putchar(']');
}

static const char *reached(enum pg_reach reach)
{
	return reach == PG_R_YES ? "yes" : reach == PG_R_PARTLY ? "partly" : "no";
}

void pg_diagnosis_object(const struct pg_diagnosis *d)
{
	const struct pg_examined *x = &d->x;
	bool inside = x->reach == PG_R_YES || x->reach == PG_R_PARTLY;

	printf("{\"v\":1,\"reached\":\"%s\"", d->outside ? "yes" : reached(x->reach));
	put_key("engine", d->outside ? "outside" : inside ? "inside" : NULL);
	put_key("why", x->reach == PG_R_YES ? NULL : x->why);
	printf(",\"status\":%d", d->status);
	put_words("gates", d->outside ? "signal" : inside && x->gates && x->loader ? x->gates : "");
	put_key("program", d->program);
	put_process(d);
	put_scripts(x);
	put_key("file", x->path);
	put_key("machine", x->machine);
	put_key("linking", x->linking);
	put_key("libc", x->libc);
	put_key("privileges", x->privileges);
	put_key("runtime", x->runtime);
	put_key("sanitizer", x->sanitizer);
	put_key("library", d->library);
	put_key("library_machine", x->library_machine);
	put_key("library_libc", x->library_libc);
	put_imports(d);
	put_instead(d);
	puts("}");
}
