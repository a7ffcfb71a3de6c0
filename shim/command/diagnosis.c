/* SPDX-License-Identifier: MIT */
#include "command/diagnosis.h"

#include "command/places.h"
#include "command/say.h"

#include "outside/kernel.h"
#include "rules/rule.h"

#include <string.h>

/* ---- what could serve ---- */

static const char *strace_line(const struct pg_diagnosis *d, const char *options)
{
	const char *path;

	if (d->outside)
		return NULL;
	return pg_text_of("%s -f -e trace=write,sendto -e "
			  "inject=write:error=EPIPE:signal=PIPE:when=3 %s%s",
			  options, pg_quoted(d->word),
			  pg_find_program("strace", &path) ? " (strace is not installed)" : "");
}

static const char *privileged(const struct pg_diagnosis *d, unsigned n)
{
	if (!d->x.obeyed)
		n++;
	if (n == 0)
		return pg_text_of("as %s, to whom the file gives nothing new: LD_PRELOAD=%s %s",
				  d->x.obeyed, d->library, pg_quoted(d->word));
	return n == 1 ? strace_line(d, "as root: strace -u USER") : NULL;
}

static const char *other_machine(const struct pg_diagnosis *d, unsigned n)
{
	const char *build = d->x.build;

	if (n == 0)
		return pg_text_of("a library for %s%s%s%s: LD_PRELOAD=build/%slibpipeguard.so %s",
				  d->x.machine, *build ? " (" : "", *build ? build + 2 : "",
				  *build ? ")" : "",
				  strstr(build, "32")	   ? "32/"
				  : strstr(build, "arm64") ? "arm64/"
							   : "",
				  pg_quoted(d->word));
	return n == 1 ? strace_line(d, "strace") : NULL;
}

/* A process is traced as it runs, without a fault. */
static const char *for_process(const struct pg_diagnosis *d, unsigned n)
{
	if (d->outside)
		return n ? NULL : pg_text_of("pipeguard attach %u", d->process.pid);
	if (d->x.reach == PG_R_YES || !d->process.path)
		return NULL;
	if (n == 0 && (d->anew == PG_R_YES || d->anew == PG_R_PARTLY))
		return pg_text_of("start it anew: pipeguard %s", pg_quoted(d->program));
	return n == (d->anew == PG_R_YES || d->anew == PG_R_PARTLY)
		       ? pg_text_of("strace -f -e trace=write,sendto -e signal=PIPE -p %u",
				    d->process.pid)
		       : NULL;
}

const char *pg_diagnosis_instead(const struct pg_diagnosis *d, unsigned n)
{
	if (d->is_process)
		return for_process(d, n);
	if (d->x.reach == PG_R_YES || d->x.reach == PG_R_MISSING || !d->program)
		return NULL;
	if (d->outside && d->x.instead == PG_I_PRIVILEGED) /* root loses nothing by it */
		return NULL;
	switch (d->x.instead) {
	case PG_I_SANITIZER:
		return n ? NULL
			 : pg_text_of("LD_PRELOAD=%s pipeguard %s", d->x.sanitizer,
				      pg_quoted(d->word));
	case PG_I_MACHINE:
		return other_machine(d, n);
	case PG_I_PRIVILEGED:
		return privileged(d, n);
	case PG_I_STRACE:
		break;
	}
	return n ? NULL : strace_line(d, "strace");
}

/* ---- lines ---- */

static void print_calls(const char *head, uint64_t calls, const char *otherwise, const char *tail)
{
	const char *text = head;

	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_imports_has(calls, (enum pg_call)call))
			text = pg_text_of("%s %s", text, pg_call_name((enum pg_call)call));
	pg_line("%s%s%s", text, calls ? "" : otherwise, tail);
}

static uint64_t ruled_calls(void)
{
	uint64_t calls = 0;

	for (int call = 1; call < PG_CALL_COUNT; call++)
		if (pg_call_has_rules((enum pg_call)call))
			calls |= PG_BIT(call);
	return calls;
}

/* GATE: is there one for stdio? */
static void print_imports(const struct pg_imports *im, bool gate)
{
	uint64_t rest = ruled_calls() & ~im->calls;

	if (!im->known) {
		pg_line("imports: not known (there is no table of its symbols)");
		return;
	}
	print_calls("imports:", im->calls, " none of the calls that rules name", "");
	if (im->stdio)
		pg_line("stdio: it writes by libc's FILEs, which %s",
			gate ? "%stdio and %out reach" : "no rule reaches");
	for (unsigned i = 0; i < im->libraries; i++)
		print_calls(pg_text_of("library %s:", im->library[i].name), im->library[i].calls,
			    " none of them", im->library[i].stdio ? ", and stdio" : "");
	if (rest)
		print_calls("not imported:", rest, "",
			    " (a rule for these fires in its libraries alone)");
}

static const char *reach_word(enum pg_reach reach)
{
	return reach == PG_R_YES ? "yes" : reach == PG_R_PARTLY ? "partly" : "no";
}

static void print_verdict(const struct pg_diagnosis *d)
{
	const struct pg_examined *x = &d->x;

	if (x->reach == PG_R_YES && d->is_process)
		pg_line("reached: yes, inside: the library is in process %u (%s)", d->process.pid,
			d->process.name);
	else if (x->reach == PG_R_YES)
		pg_line("reached: yes, inside: by the gates %s", x->gates);
	else if (d->outside)
		pg_line("reached: yes, from outside: %s", d->outside);
	else
		pg_line("reached: %s: %s", reach_word(x->reach), x->why);
}

static void print_process(const struct pg_diagnosis *d)
{
	const struct pg_process_view *p = &d->process;

	pg_line("process: %u %s%s%s", p->pid, p->name, p->sigpipe ? ", SIGPIPE " : "",
		p->sigpipe ? p->sigpipe : "");
	if (p->path && d->x.reach != PG_R_YES && d->outside_anew)
		pg_line("started anew: yes, from outside: %s", d->outside_anew);
	else if (p->path && d->x.reach != PG_R_YES)
		pg_line("started anew: %s: %s", reach_word(d->anew),
			d->anew == PG_R_YES ? pg_text_of("inside: by the gates %s", d->x.gates)
					    : d->why_anew);
}

static void print_file(const struct pg_examined *x, const char *library)
{
	if (!x->machine)
		return;
	pg_line("file: %s: %s%s%s", x->path, x->machine, x->linking ? ", " : "",
		x->linking ? x->linking : "");
	pg_line("library: %s: %s%s%s", library, x->library_machine, x->library_libc ? ", for " : "",
		x->library_libc ? x->library_libc : "");
	pg_line("privileges: %s", x->privileges);
	if (x->runtime)
		pg_line("runtime: %s", x->runtime);
	if (x->sanitizer)
		pg_line("sanitizer: %s (%s)",
			!strncmp(x->sanitizer, "liblsan", 7) ? "LSan" : "ASan", x->sanitizer);
}

void pg_diagnosis_lines(const struct pg_diagnosis *d)
{
	const struct pg_examined *x = &d->x;
	const char *instead;

	print_verdict(d);
	if (d->outside)
		pg_line("not inside: %s", x->why);
	if (d->is_process)
		print_process(d);
	if (d->program)
		pg_line("program: %s%s%s", d->program, d->leads_to ? " -> " : "",
			d->leads_to ? d->leads_to : "");
	for (unsigned i = 0; i < x->script_count; i++)
		pg_line("script: %s", x->scripts[i]);
	print_file(x, d->library);
	if (d->outside)
		pg_line("gates: signal");
	else if (x->gates)
		pg_line("gates: %s", x->gates);
	if (d->listened)
		pg_line("listener: another one's seccomp notifications stand over what is started "
			"here (a container's, say): rules from outside stop every system call");
	for (unsigned lack = 1; lack <= PG_LACKS_TURNS; lack *= 2)
		if (d->lacks & lack)
			pg_line("kernel: %s", pg_kernel_line((enum pg_lack)lack));
	if (x->gates && x->loader)
		print_imports(&d->imports, strstr(x->gates, "stdio"));
	for (unsigned n = 0; (instead = pg_diagnosis_instead(d, n)); n++)
		pg_line("instead: %s", instead);
}
