# SPDX-License-Identifier: MIT
# pipeguard: `make help` lists the targets.

VERSION := 0.1.0
PREFIX  ?= /usr/local
LIBDIR  ?= $(PREFIX)/lib
BINDIR  ?= $(PREFIX)/bin
MANDIR  ?= $(PREFIX)/share/man
COMPDIR ?= $(PREFIX)/share/bash-completion/completions
ZSHDIR  ?= $(PREFIX)/share/zsh/site-functions
FISHDIR ?= $(PREFIX)/share/fish/vendor_completions.d
PCDIR   ?= $(LIBDIR)/pkgconfig
CFLAGS  ?= -O2 -g
# These are given on make's command line: BUILD, T, S and ROOT of somebody's environment mean something else.
BUILD   = build
T       = tests
S       =
ROOT    =
# However it is written: the flags, and what objects depend on, name it.
override BUILD := $(patsubst $(CURDIR)/%,%,$(BUILD))
ifeq ($(origin CC),default)
CC := gcc
endif

# The folders of shim/ are floors: shim/README.md lists them, scripts/dev/check-layers keeps them.
OUTER    := shim/outside/% shim/command/%
SHIM     := $(filter-out $(OUTER),$(sort $(wildcard shim/*/*.c)))
LIB      := $(BUILD)/libpipeguard.so
FIXTURES := $(patsubst tests/fixtures/%.c,$(BUILD)/fixtures/%,$(sort $(wildcard tests/fixtures/*.c))) $(BUILD)/fixtures/steps

# What the compiler aims at: its libc and its machine.
TARGET := $(shell $(CC) $(CFLAGS) -dM -E -include stdlib.h -x c /dev/null 2>/dev/null | \
	sed -n 's/^.define \(__GLIBC__\|__x86_64__\|__i386__\|__aarch64__\) .*/\1/p')

# Ours come last, whatever the packager's CFLAGS say. The -U: they would rename the very calls we define.
# Debug information names this folder as ".": two clones give the same bytes. The shell knows where it is, whatever characters
# are in there.
PG_CPPFLAGS := -ffile-prefix-map="$$PWD"=. -Ishim -D_GNU_SOURCE -DPG_VERSION=$(VERSION) -U_FORTIFY_SOURCE -U_FILE_OFFSET_BITS -U_TIME_BITS
PG_CFLAGS := -std=gnu11 -fno-lto -fPIC -fdata-sections -fvisibility=hidden -fexceptions -fasynchronous-unwind-tables \
	-ftls-model=initial-exec -fno-stack-protector -Wall -Wextra -Wshadow -Wconversion \
	-Wmissing-prototypes -Wstrict-prototypes -Wvla -Wundef -Wpointer-arith -Wframe-larger-than=1024
PG_LDFLAGS := -shared -static-libgcc -Wl,--sort-section=alignment -Wl,-soname,libpipeguard.so -Wl,-z,defs,-z,now,-z,relro \
	-Wl,-z,noexecstack,-z,nodelete,-z,noseparate-code -Wl,--eh-frame-hdr -Wl,--exclude-libs,ALL \
	-Wl,--version-script=$(BUILD)/exports.map
PG_LIBS :=
ifneq ($(filter __x86_64__ __i386__,$(TARGET)),)
PG_CFLAGS += -fcf-protection=full
endif
ifneq ($(filter __aarch64__,$(TARGET)),)
PG_CFLAGS += -mbranch-protection=standard
endif
ifneq ($(filter __GLIBC__,$(TARGET)),)
# The compiler's own start and end have nothing to do in it.
PG_LDFLAGS += -Wl,-z,initfirst -nostartfiles
else
# musl's libc is its loader, which is there. A glibc program that a musl program starts inherits the library: its
# loader ends a program for which it finds no libc.so.
PG_LDFLAGS += -nostdlib -Wl,-z,undefs
PG_LIBS += -lgcc -lgcc_eh
endif
COMPILE = $(CC) $(CPPFLAGS) $(CFLAGS) $(PG_CPPFLAGS) $(PG_CFLAGS)
# Of all machines: the others' are empty.
ARCH_S   := $(sort $(wildcard shim/arch/*.S))
ARCH_O   := $(ARCH_S:shim/%.S=$(BUILD)/%.o)
OBJECTS := $(SHIM:shim/%.c=$(BUILD)/%.o) $(ARCH_O) $(ARCH_O:.o=.jumps.o)
# What every start runs comes first: side by side it lies in fewer pages.
STARTS  := $(addprefix $(BUILD)/,base/%.o arch/%.o who/module.o who/symbol.o $(addsuffix .o,$(addprefix inside/,init ends \
	stdio_gate sigpipe flush passed report reach calls_process) log/log log/site object/connection rules/config rules/match rules/turn))
OBJECTS := $(filter $(STARTS),$(OBJECTS)) $(filter-out $(STARTS),$(OBJECTS))

# What is in Python: the verbs, and below them in lib/ what they share; installed, it lies the same.
PYTHON  := $(addprefix scripts/pipeguard-,bundle replay report sweep)
PYLIB   := $(sort $(wildcard scripts/lib/*.py))

.PHONY: all fixtures bench bench-readme bench-programs compat demo sweep-demo test check load install install-library install-32 uninstall clean distclean \
	32 musl clang arm64 riscv64 matrix distros ubsan asan tsan fuzz fuzz-probe fuzz-rules fuzz-log fuzz-elf fuzz-rust fuzz-page fuzz-readers lint log-sources page-sources \
	format format-check dist deb rpm portable packages-test help FORCE
.DELETE_ON_ERROR:

COMMAND   := $(BUILD)/pipeguard
COMMAND_C := $(sort $(wildcard shim/command/*.c))
COMMAND_O := $(COMMAND_C:shim/%.c=$(BUILD)/%.o)

all: $(LIB) $(COMMAND) ## build build/libpipeguard.so and build/pipeguard (the default)

# The lower floors in an ordinary program: the same parser for the command, for tests and the fuzzer.
PURE := $(patsubst shim/%.c,$(BUILD)/%.o,$(wildcard shim/rules/rule*.c)) \
	$(addprefix $(BUILD)/base/,text.o ip.o names.o call.o sys.o) $(ARCH_O)
# What the outside engine shares with the library; it has its own module, symbol and reseat, and unwinds by itself.
OUTSIDE_C := $(sort $(wildcard shim/outside/*.c))
OUTSIDE_O := $(OUTSIDE_C:shim/%.c=$(BUILD)/%.o)
SHARED_C := $(addprefix shim/,$(addsuffix .c,base/dl base/loader base/next base/clock base/mapped base/peek base/process who/stack)) \
	$(filter-out shim/rules/rule% shim/log/room.c,$(wildcard shim/object/*.c shim/rules/*.c shim/fault/*.c shim/log/*.c))
SHARED := $(sort $(SHARED_C:shim/%.c=$(BUILD)/%.o))
$(COMMAND): $(COMMAND_O) $(OUTSIDE_O) $(PURE) $(SHARED)
	$(COMPILE) $(LDFLAGS) -o $@ $^ -ldl

# It is an ordinary program itself, which may read large files and have room on its stack.
COMMAND_FLAGS := -D_FILE_OFFSET_BITS=64 $(filter-out -fexceptions -fasynchronous-unwind-tables -ftls-model=% \
	-fno-stack-protector -Wframe-larger-than=%,$(PG_CFLAGS))
# musl-gcc leaves the kernel's headers out with glibc's.
ifeq ($(filter __GLIBC__,$(TARGET)),)
KERNEL_HEADERS := -idirafter /usr/include -idirafter /usr/include/$(shell gcc -print-multiarch 2>/dev/null)
endif
COMMAND_FLAGS += $(KERNEL_HEADERS)
COMMAND_CPP := -I$(BUILD)
$(BUILD)/command/%.o: shim/command/%.c $(BUILD)/flags | $(BUILD)/command/where.h $(BUILD)/command/completion.h
	$(CC) $(CPPFLAGS) $(CFLAGS) $(PG_CPPFLAGS) $(COMMAND_FLAGS) $(COMMAND_CPP) -MMD -MP -c -o $@ $<

# Addresses of other processes are of 64 bits; where the command has 32, so have they.
OUTSIDE_FLAGS := $(if $(filter __i386__,$(TARGET)),-Wno-conversion)
$(BUILD)/outside/%.o: shim/outside/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) $(CFLAGS) $(PG_CPPFLAGS) $(COMMAND_FLAGS) $(OUTSIDE_FLAGS) -MMD -MP -c -o $@ $<

# Where make install puts it, whatever characters are in there. One object is made anew if that changes.
WHERE = printf '%s\n' "$$PG_WHERE_BIN" "$$PG_WHERE_LIB" | sed -e 's/[\\"]/\\&/g' \
	-e '1s/.*/\#define PG_WHERE_BIN "&"/' -e '2s/.*/\#define PG_WHERE_LIB "&"/'
$(BUILD)/command/where.h: export PG_WHERE_BIN = $(BINDIR)
$(BUILD)/command/where.h: export PG_WHERE_LIB = $(LIBDIR)
$(BUILD)/command/where.h: FORCE
	@mkdir -p $(@D)
	@$(WHERE) | cmp -s - $@ || $(WHERE) > $@

# The shells' scripts as strings of C.
$(BUILD)/command/completion.h: scripts/completion.bash scripts/completion.zsh scripts/completion.fish
	@mkdir -p $(@D)
	@for shell in BASH:bash ZSH:zsh FISH:fish; do \
		printf '#define PG_COMPLETION_%s \\\n' "$${shell%:*}"; \
		sed -e 's/[\\"]/\\&/g' -e 's/.*/"&\\n" \\/' "scripts/completion.$${shell#*:}" && echo; \
	done > $@

$(LIB): $(OBJECTS) $(BUILD)/exports.map
	$(COMPILE) $(LDFLAGS) $(PG_LDFLAGS) -o $@ $(OBJECTS) $(PG_LIBS)

$(BUILD)/%.o: shim/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(COMPILE) -MMD -MP -c -o $@ $<

# -g0: an older gcc does not give the assembler -ffile-prefix-map, and the folder would be in the file.
ASSEMBLE = $(CC) $(CPPFLAGS) $(CFLAGS) -g0 $(PG_CPPFLAGS) $(filter -fcf-protection% -mbranch-protection%,$(PG_CFLAGS))
$(BUILD)/%.o: shim/%.S $(wildcard shim/arch/*.h) $(BUILD)/flags
	@mkdir -p $(@D)
	$(ASSEMBLE) -c -o $@ $<
$(BUILD)/%.jumps.o: shim/%.S $(wildcard shim/arch/*.h) $(BUILD)/flags
	@mkdir -p $(@D)
	$(ASSEMBLE) -DPG_JUMPS -c -o $@ $<

# Exported is what calls.def lists, and nothing else.
$(BUILD)/exports.map: shim/calls.def $(BUILD)/flags
	@{ echo '{ global:'; printf '#define CALL(name, ...) name;\n#include "calls.def"\n' | \
		$(COMPILE) -E -P -x c -; echo 'local: *; };'; } > $@

# Other flags, or other lists of what is linked: other objects.
FLAGS = $(COMPILE) $(LDFLAGS) $(PG_LDFLAGS) $(PG_LIBS) $(OBJECTS) $(PURE) $(SHARED) $(CLIMB)
$(BUILD)/flags: FORCE
	@mkdir -p $(BUILD)/fixtures
	@echo '$(FLAGS)' | cmp -s - $@ || echo '$(FLAGS)' > $@

fixtures: $(FIXTURES) ## build the programs that the tests run

# A fixture may ask for more in its first lines: /* CFLAGS: ... */ and /* LDFLAGS: ... */
WANTS = $(shell sed -n '1,10s/^.*$(2): \(.*[^ ]\) *\*\/.*/\1/p' $(1))
$(BUILD)/fixtures/%.so: tests/fixtures/%.so.c $(BUILD)/flags
	$(CC) -O1 -g -Wall -Wextra -D_GNU_SOURCE -U_FORTIFY_SOURCE $(filter -m%,$(CFLAGS)) -shared -fPIC -pthread \
		-Ishim $(call WANTS,$<,CFLAGS) -o $@ $< $(ROOMS) $(call WANTS,$<,LDFLAGS) -ldl
CLIMB := $(addprefix $(BUILD)/,$(addsuffix .o,who/unwinder who/module base/dl base/loader base/names base/peek base/process base/sys base/text)) $(ARCH_O)
$(BUILD)/fixtures/climb.so: ROOMS = $(CLIMB)
$(BUILD)/fixtures/climb.so: $(CLIMB)
# NAME.pure.c is linked with the lower floors, and preloads nothing.
$(BUILD)/fixtures/%.pure: tests/fixtures/%.pure.c $(PURE)
	$(COMPILE) $(LDFLAGS) -o $@ $< $(PURE) -ldl
$(BUILD)/fixtures/%: tests/fixtures/%.c $(wildcard tests/fixtures/*.h) $(BUILD)/flags
	$(CC) -O1 -g -Wall -Wextra -D_GNU_SOURCE -U_FORTIFY_SOURCE $(filter -m%,$(CFLAGS)) -pthread \
		$(call WANTS,$<,CFLAGS) $(KERNEL_HEADERS) -o $@ $< $(call WANTS,$<,LDFLAGS) -ldl
$(BUILD)/fixtures/rust: shim/outside/rust.c shim/outside/rust.h

# The one of several files.
STEPS_C := $(sort $(wildcard tests/fixtures/steps/*.c))
$(BUILD)/fixtures/steps $(BUILD)/fixtures/static/steps: $(STEPS_C) $(wildcard tests/fixtures/steps/*.[hd]*) tests/fixtures/newer.h $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -O1 -g -Wall -Wextra -D_GNU_SOURCE -U_FORTIFY_SOURCE $(filter -m%,$(CFLAGS)) -pthread \
		$(if $(filter %/static/steps,$@),-static) -o $@ $(STEPS_C)

# The same programs, linked statically, for the engine that looks from outside.
STILL := $(addprefix $(BUILD)/fixtures/static/,sigdfl steps held paged)
fixtures: $(STILL)
$(BUILD)/fixtures/static/%: tests/fixtures/%.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) -O1 -g -Wall -Wextra -D_GNU_SOURCE -U_FORTIFY_SOURCE $(filter -m%,$(CFLAGS)) -pthread -static -o $@ $<

# The programs of scripts/dev/bench: tests need them only where they measure.
bench-programs: all $(BUILD)/bench/bench $(BUILD)/bench/passthrough.so
BENCH_CFLAGS := -O2 -g -Wall -Wextra -Wshadow -Wconversion -D_GNU_SOURCE -U_FORTIFY_SOURCE -Wl,-z,now
$(BUILD)/bench/bench: tests/bench/bench.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -pthread -o $@ $<
$(BUILD)/bench/passthrough.so: tests/bench/passthrough.c $(BUILD)/flags
	@mkdir -p $(@D)
	$(CC) $(BENCH_CFLAGS) -shared -fPIC -fcf-protection -Wl,-z,initfirst -o $@ $< -ldl

bench: bench-programs ## what it costs, beside its peers (some five minutes)
	@BUILD='$(BUILD)' scripts/dev/bench --json '$(BUILD)/bench/result.json'
	@BUILD='$(BUILD)' scripts/dev/bench-outside

bench-readme: bench ## the same, and README's table is made of it: on a machine that does nothing else
	@scripts/dev/bench --markdown '$(BUILD)/bench/result.json' --into README.md

demo: all ## show the main job on real programs
	@BUILD='$(BUILD)' scripts/dev/demo

sweep-demo: all fixtures ## sweep real programs, and planted bugs, into build/sweep
	@scripts/dev/sweep-real

test: ## install what is missing, build, run every test (T=tests/log/log.bats: one file)
	@scripts/dev/install-deps
	@$(MAKE) --no-print-directory check

check: all fixtures ## the same, without installing
	@BUILD='$(BUILD)' scripts/dev/suite --timing --tap --recursive $(T)

load: all fixtures ## ten thousand connections broken at once, a minute of them, and of rules that change (some eight minutes)
	LOAD=full BATS_TEST_TIMEOUT=240 BUILD='$(BUILD)' bats --timing --tap tests/calls/load.bats
	LOAD=full BUILD='$(BUILD)' bats --timing --tap -f changes tests/rules/control.bats

compat: all $(BUILD)/fixtures/sigdfl ## other people's test suites, with and without (S=cpython: one; half an hour; not in make test)
	BUILD='$(BUILD)' scripts/dev/compat $(S)

# The page of bundle is that of replay, too.
MAN1 := $(sort $(wildcard scripts/*.1))
install: all install-library ## into DESTDIR, PREFIX, LIBDIR, BINDIR, MANDIR, COMPDIR, ZSHDIR, FISHDIR, PCDIR
	install -d '$(DESTDIR)$(LIBDIR)/pipeguard/lib' '$(DESTDIR)$(BINDIR)' '$(DESTDIR)$(MANDIR)/man1' '$(DESTDIR)$(PCDIR)' \
		'$(DESTDIR)$(MANDIR)/man7' '$(DESTDIR)$(COMPDIR)' '$(DESTDIR)$(ZSHDIR)' '$(DESTDIR)$(FISHDIR)'
	install -m 644 $(PYTHON) shim/log.schema.json '$(DESTDIR)$(LIBDIR)/pipeguard'
	install -m 644 $(PYLIB) '$(DESTDIR)$(LIBDIR)/pipeguard/lib'
	install -m 755 $(COMMAND) '$(DESTDIR)$(BINDIR)/.pipeguard.new'
	mv -f '$(DESTDIR)$(BINDIR)/.pipeguard.new' '$(DESTDIR)$(BINDIR)/pipeguard'
	install -m 644 $(MAN1) '$(DESTDIR)$(MANDIR)/man1'
	printf '.so man1/pipeguard-bundle.1\n' >'$(DESTDIR)$(MANDIR)/man1/pipeguard-replay.1'
	install -m 644 shim/libpipeguard.7 '$(DESTDIR)$(MANDIR)/man7/libpipeguard.7'
	install -m 644 scripts/completion.bash '$(DESTDIR)$(COMPDIR)/pipeguard'
	install -m 644 scripts/completion.zsh '$(DESTDIR)$(ZSHDIR)/_pipeguard'
	install -m 644 scripts/completion.fish '$(DESTDIR)$(FISHDIR)/pipeguard.fish'
	$(PC) > '$(DESTDIR)$(PCDIR)/pipeguard.pc'

# pkg-config takes a path as a shell does.
PC = { printf 'libdir=%s\nbindir=%s\n' "$$PG_WHERE_LIB" "$$PG_WHERE_BIN" | sed 's|[^A-Za-z0-9_./=+-]|\\&|g' && \
	sed 's/@VERSION@/$(VERSION)/' scripts/pipeguard.pc.in; }
install install-library uninstall: export PG_WHERE_BIN = $(BINDIR)
install install-library uninstall: export PG_WHERE_LIB = $(LIBDIR)

# The loader's $$LIB is lib/x86_64-linux-gnu on Debian: in PREFIX it leads to the library as well.
MULTIARCH = $(shell $(CC) $(CFLAGS) -print-multiarch 2>/dev/null)
LINKDIR   = $(if $(filter file,$(origin LIBDIR)),$(if $(MULTIARCH),$(PREFIX)/lib/$(MULTIARCH)))
# Who installs into a stage has no loader to update.
TELL_LOADER = $(if $(DESTDIR),,@scripts/dev/loader "$$PG_WHERE_LIB")
install-library: $(LIB) ## the library alone, into LIBDIR: with BUILD=build/32 and a LIBDIR, of another build
	install -d '$(DESTDIR)$(LIBDIR)'
	install -m 644 $(LIB) '$(DESTDIR)$(LIBDIR)/.libpipeguard.so.new'
	mv -f '$(DESTDIR)$(LIBDIR)/.libpipeguard.so.new' '$(DESTDIR)$(LIBDIR)/libpipeguard.so'
	$(if $(LINKDIR),install -d '$(DESTDIR)$(LINKDIR)' && ln -sf ../libpipeguard.so '$(DESTDIR)$(LINKDIR)')
	$(TELL_LOADER)

install-32: ## beside it the library for 32-bit programs: PREFIX/$$LIB/libpipeguard.so names both
	$(MAKE) install-library BUILD=build/32 CFLAGS='$(CFLAGS) -m32' LIBDIR='$(LIBDIR32)'
	$(if $(LINKDIR32),install -d '$(DESTDIR)$(LINKDIR32)' && ln -sf '../lib/$(MULTIARCH32)/libpipeguard.so' '$(DESTDIR)$(LINKDIR32)')
MULTIARCH32 = $(or $(shell $(CC) $(CFLAGS) -m32 -print-multiarch 2>/dev/null),i386-linux-gnu)
LIBDIR32 ?= $(PREFIX)/lib/$(MULTIARCH32)
# $$LIB is lib32 in the loader of Debian's libc6-i386, which comes with gcc-multilib.
LINKDIR32 = $(if $(filter file,$(origin LIBDIR32)),$(PREFIX)/lib32)

uninstall: ## what install put there
	rm -f '$(DESTDIR)$(LIBDIR)/libpipeguard.so' '$(DESTDIR)$(BINDIR)/pipeguard' '$(DESTDIR)$(PCDIR)/pipeguard.pc' \
		$(patsubst scripts/%,'$(DESTDIR)$(LIBDIR)/pipeguard/%',$(PYTHON) $(PYLIB)) '$(DESTDIR)$(LIBDIR)/pipeguard/log.schema.json' \
		$(patsubst scripts/%,'$(DESTDIR)$(MANDIR)/man1/%',$(MAN1) scripts/pipeguard-replay.1) '$(DESTDIR)$(MANDIR)/man7/libpipeguard.7' \
		'$(DESTDIR)$(COMPDIR)/pipeguard' '$(DESTDIR)$(ZSHDIR)/_pipeguard' '$(DESTDIR)$(FISHDIR)/pipeguard.fish'
	$(if $(LINKDIR),[ ! -L '$(DESTDIR)$(LINKDIR)/libpipeguard.so' ] || rm '$(DESTDIR)$(LINKDIR)/libpipeguard.so')
	rm -f '$(DESTDIR)$(LIBDIR32)/libpipeguard.so'
	$(if $(LINKDIR32),[ ! -L '$(DESTDIR)$(LINKDIR32)/libpipeguard.so' ] || rm '$(DESTDIR)$(LINKDIR32)/libpipeguard.so')
	rmdir '$(DESTDIR)$(LIBDIR)/pipeguard/lib' '$(DESTDIR)$(LIBDIR)/pipeguard' 2>/dev/null || :
	$(TELL_LOADER)

clean: ## remove what was built
	rm -rf build
distclean: clean

32: ## for 32-bit programs, into build/32
	$(MAKE) all BUILD=build/32 CFLAGS='$(CFLAGS) -m32'
musl: ## for musl's programs, into build/musl
	$(MAKE) all BUILD=build/musl CC=musl-gcc
clang: ## with clang, into build/clang
	$(MAKE) all BUILD=build/clang CC=clang CFLAGS='$(CFLAGS) -Werror'
riscv64: ## for riscv64's programs, into build/riscv64 (clang, and libc6-dev-riscv64-cross)
	$(MAKE) all BUILD=build/riscv64 CC='$(or $(shell command -v riscv64-linux-gnu-gcc),clang --target=riscv64-linux-gnu)'
arm64: ## for aarch64's programs, into build/arm64 (CC=aarch64-linux-gnu-gcc where it is installed)
	$(MAKE) all BUILD=build/arm64 CC='$(or $(shell command -v aarch64-linux-gnu-gcc),clang --target=aarch64-linux-gnu)'
ubsan: ## with the undefined-behaviour sanitizer, into build/ubsan, and the tests with it
	$(MAKE) check BUILD=build/ubsan CFLAGS='-O1 -g -fsanitize=undefined -fsanitize-undefined-trap-on-error'

# The lower floors with sanitizers need none of the flags of a library.
SANITIZE = -g -O1 -fno-omit-frame-pointer -fno-sanitize-recover=all
PURE_C   = $(patsubst $(BUILD)/%.o,shim/%.c,$(filter-out $(ARCH_O),$(PURE))) $(ARCH_S)
LOG_C    = $(PURE_C) shim/base/dl.c shim/base/loader.c shim/base/next.c $(addprefix shim/log/,again.c event_json.c event_text.c facts.c journal.c line.c) \
	$(addprefix shim/,who/stack.c who/unwinder.c object/fd.c object/look.c object/story.c \
	object/ending.c object/listener.c object/addr.c base/mapped.c base/process.c base/peek.c)
log-sources:
	@echo $(LOG_C)
asan: ## the parser, the log writer and the readers of ELF files and Rust's names with the address and undefined-behaviour sanitizers
	@mkdir -p $(BUILD)/asan
	$(CC) -std=gnu11 $(PG_CPPFLAGS) $(SANITIZE) -fsanitize=address,undefined -o $(BUILD)/asan/rules \
		tests/fixtures/rules.pure.c $(PURE_C) -ldl
	$(CC) -std=gnu11 $(PG_CPPFLAGS) $(SANITIZE) -fsanitize=address,undefined -o $(BUILD)/asan/log \
		tests/fuzz/run.c tests/fuzz/log.c $(LOG_C) -ldl
	$(CC) -std=gnu11 $(PG_CPPFLAGS) $(SANITIZE) -fsanitize=address,undefined -o $(BUILD)/asan/elf \
		tests/fuzz/run.c tests/fuzz/elf.c shim/outside/elf_file.c
	$(CC) -std=gnu11 $(PG_CPPFLAGS) $(SANITIZE) -fsanitize=address,undefined -o $(BUILD)/asan/rust \
		tests/fuzz/run.c tests/fuzz/rust.c shim/outside/rust.c
	$(BUILD)/asan/rules
	$(BUILD)/asan/log 20000 <tests/fuzz/log.seeds
	$(BUILD)/asan/elf 20000 <tests/fuzz/elf.seeds
	$(BUILD)/asan/rust 20000 <tests/fuzz/rust.seeds

# All but the wrappers, what they look up late, and the records of descriptors, which the kernel
# orders: the sanitizer's own sigaltstack, pipe and close are these, before it has begun.
TSAN = clang -std=gnu11 -I$(CURDIR)/shim $(PG_CPPFLAGS) -g -O1 -fPIE -fexceptions -fasynchronous-unwind-tables -ftls-model=initial-exec
TSAN_PLAIN = $(wildcard shim/inside/calls_*.c) $(addprefix shim/base/,next.c dl.c loader.c text.c) shim/object/fd.c
tsan: ## eight threads through the library under the thread sanitizer (needs clang)
	@rm -rf $(BUILD)/tsan && mkdir -p $(BUILD)/tsan
	cd $(BUILD)/tsan && $(TSAN) -c $(abspath $(TSAN_PLAIN))
	cd $(BUILD)/tsan && $(TSAN) -fsanitize=thread -c $(abspath $(filter-out $(TSAN_PLAIN),$(SHIM)) tests/fuzz/races.c)
	cd $(BUILD)/tsan && $(TSAN) -c $(abspath $(ARCH_S)) && for s in $(abspath $(ARCH_S)); do \
		$(TSAN) -DPG_JUMPS -c -o jumps.$$(basename $$s).o $$s; done
	clang -fsanitize=thread -rdynamic -o $(BUILD)/tsan/races $(BUILD)/tsan/*.o -ldl -lgcc_eh
	tests/fuzz/races $(BUILD)/tsan/races
matrix: ## every build, and the part of the suite that fits it (make matrix-ROW: one; scripts/dev/matrix names them)
	@scripts/dev/matrix
matrix-%:
	@scripts/dev/matrix $*
distros: ## the demo and the suite in fresh systems of each distribution (ROOT=trixie: one; needs root, half an hour)
	@scripts/dev/distros $(ROOT)

# At most so many inputs, and so many seconds; what it finds becomes a row of a table, a seed or a check.
FUZZ_RUNS ?= 1000000
FUZZ_SECONDS ?= 60
FUZZER = clang -std=gnu11 $(PG_CPPFLAGS) $(SANITIZE) -fsanitize=fuzzer,address,undefined
FUZZ_BOUNDS = -runs=$(FUZZ_RUNS) -max_total_time=$(FUZZ_SECONDS) -timeout=5 -seed=$(shell echo $$(($(FUZZ_SEED) % 2000000000 + 1))) \
	-artifact_prefix=$(BUILD)/fuzz/ -print_final_stats=1
fuzz: fuzz-rules fuzz-log fuzz-elf fuzz-rust fuzz-page fuzz-readers fuzz-diff ## the parser, the page, the log, ELF files and Rust's names under libFuzzer, what reads logs, the library against native (FUZZ_RUNS=1000000 FUZZ_SECONDS=60 each)
fuzz-probe:
	@rm -rf $(BUILD)/fuzz/corpus $(BUILD)/fuzz/events $(BUILD)/fuzz/files
	@mkdir -p $(BUILD)/fuzz/corpus $(BUILD)/fuzz/events $(BUILD)/fuzz/files
	@echo 'int LLVMFuzzerTestOneInput(void); int LLVMFuzzerTestOneInput(void) { return 0; }' | \
		clang -fsanitize=fuzzer -x c -o $(BUILD)/fuzz/probe - 2>$(BUILD)/fuzz/why || { \
		echo 'fuzz: no libFuzzer: install clang and its runtime (Debian 12: clang libclang-rt-14-dev)' >&2; exit 1; }
fuzz-rules: $(COMMAND) fuzz-probe
	$(FUZZER) -o $(BUILD)/fuzz/rules tests/fuzz/rules.c $(PURE_C) -ldl
	@sed 's/ => .*//' tests/fixtures/rules.wrong tests/fixtures/rules.right | \
		awk -v dir=$(BUILD)/fuzz/corpus '{ f = dir "/" NR; printf "%s", $$0 > f; close(f); \
			f = dir "/many" int(NR / 9); printf "%s%s", $$0, NR % 2 ? ";" : "\n" >> f; close(f) }'
	@for list in calls groups fields errnos; do $(COMMAND) list $$list; done | \
		sed 's/ .*//;s/.*/"&"/' | sort -u > $(BUILD)/fuzz/words
	$(BUILD)/fuzz/rules $(FUZZ_BOUNDS) -max_len=1000 -dict=$(BUILD)/fuzz/words $(BUILD)/fuzz/corpus
fuzz-log: fuzz-probe
	$(FUZZER) -o $(BUILD)/fuzz/log tests/fuzz/log.c $(LOG_C) -ldl
	@perl -ne 'chomp; open F, ">", "$(BUILD)/fuzz/events/$$."; print F pack "H*", $$_' tests/fuzz/log.seeds
	$(BUILD)/fuzz/log $(FUZZ_BOUNDS) -max_len=2500 $(BUILD)/fuzz/events
# All of the library but what is inside of a program.
PAGE_C = $(filter-out shim/inside/% shim/log/%,$(SHIM)) $(ARCH_S) shim/outside/reseat.c
page-sources:
	@echo $(PAGE_C)
fuzz-page: fuzz-probe
	$(FUZZER) -ftls-model=initial-exec -Wno-unknown-warning-option -o $(BUILD)/fuzz/page tests/fuzz/page.c $(PAGE_C) -ldl
	@mkdir -p $(BUILD)/fuzz/pages
	@sed 's/ => .*//' tests/fixtures/rules.right | awk -v dir=$(BUILD)/fuzz/pages '{ f = dir "/" NR; printf "\001\001\002\001%s", $$0 > f; close(f) }'
	$(BUILD)/fuzz/page $(FUZZ_BOUNDS) -max_len=2000 $(BUILD)/fuzz/pages
fuzz-elf: fuzz-probe
	$(FUZZER) -o $(BUILD)/fuzz/elf tests/fuzz/elf.c shim/outside/elf_file.c
	@perl -ne 'chomp; open F, ">", "$(BUILD)/fuzz/files/$$."; print F pack "H*", $$_' tests/fuzz/elf.seeds
	$(BUILD)/fuzz/elf $(FUZZ_BOUNDS) -max_len=4096 $(BUILD)/fuzz/files
fuzz-rust: fuzz-probe
	$(FUZZER) -o $(BUILD)/fuzz/rust tests/fuzz/rust.c shim/outside/rust.c
	@mkdir -p $(BUILD)/fuzz/names
	@perl -ne 'chomp; open F, ">", "$(BUILD)/fuzz/names/$$."; print F pack "H*", $$_' tests/fuzz/rust.seeds
	$(BUILD)/fuzz/rust $(FUZZ_BOUNDS) -max_len=1000 $(BUILD)/fuzz/names
fuzz-readers: all $(BUILD)/fixtures/planted_ways
	BUILD='$(BUILD)' tests/fuzz/readers --seed $$(date +%s)000 --rounds $(FUZZ_RUNS) --seconds $(FUZZ_SECONDS)
# Random programs, natively and under the library: other ones each time, unless FUZZ_SEED says which. FUZZ_DIFF:
# more of run.py's options, as --without nest,jump (classes of operations) or --ignore peer_pid (kinds of difference).
FUZZ_SEED ?= $(shell date +%s)000
.PHONY: fuzz-diff
fuzz-diff: all $(BUILD)/fuzz/diff
	tests/fuzz/diff/run.py --seed $(FUZZ_SEED) --runs $(FUZZ_RUNS) --seconds $(FUZZ_SECONDS) --shrink --uses \
		$(FUZZ_DIFF) $(BUILD)/fuzz/diff $(LIB)
$(BUILD)/fuzz/diff: $(wildcard tests/fuzz/diff/*.c) tests/fuzz/diff/diff.h
	@mkdir -p $(@D)
	$(CC) -O2 -g -Wall -Wextra -Wshadow -Wconversion -D_GNU_SOURCE -U_FORTIFY_SOURCE $(filter -m%,$(CFLAGS)) \
		-pthread -o $@ $(filter %.c,$^) -lutil

C_FILES = $(filter-out shim/arch/marks.h shim/arch/function.h,$(wildcard shim/*/*.[ch] tests/fixtures/*.c tests/fixtures/steps/*.[ch] tests/fuzz/*.c tests/fuzz/diff/*.[ch] tests/bench/*.c))
lint: format-check all ## everything that can be checked without running
	scripts/dev/check-layers
	shellcheck scripts/completion.bash tests/fuzz/races .ci/run $$(grep -lE '^#!/bin/(ba)?sh' scripts/dev/*)
	shellcheck -x tests/compat/*.sh
	shellcheck -s bats $(wildcard tests/*.bash tests/*.bats tests/*/*.bats)
	clang-tidy --quiet $(SHIM) -- $(PG_CPPFLAGS) -std=gnu11 2>/dev/null
	clang-tidy --quiet $(COMMAND_C) $(OUTSIDE_C) -- $(PG_CPPFLAGS) -std=gnu11 $(COMMAND_CPP) 2>/dev/null
	$(MAKE) all BUILD=build/werror CFLAGS='$(CFLAGS) -Werror'
	$(MAKE) clang
format: ## lay the C files out
	clang-format -i $(C_FILES)
format-check:
	clang-format --dry-run -Werror $(C_FILES)

# What make was given, for scripts that call it again; CFLAGS and CC are the packager's.
PACKAGE = CC='$(CC)' CFLAGS='$(CFLAGS)' VERSION='$(VERSION)' scripts/dev/packages
deb: ## packages for dpkg, into build/packages
	@$(PACKAGE) deb
rpm: ## packages for rpm (needs rpmbuild)
	@$(PACKAGE) rpm
portable: ## a tarball that needs no installation, for containers (needs musl-gcc, gcc-multilib for all of it)
	@$(PACKAGE) portable
packages-test: ## each of these, and make install, in a fresh system: installed, used, removed (needs root; some minutes)
	@scripts/dev/packages-test $(S)

DIST := pipeguard-$(VERSION)
dist: ## a tarball of what is committed, and what it consists of (SPDX, an SBOM), into build
	@mkdir -p build
	git archive --prefix=$(DIST)/ HEAD | gzip -9n > build/$(DIST).tar.gz
	scripts/dev/sbom build/$(DIST).tar.gz > build/$(DIST).spdx.json

help: ## this
	@sed -n 's/^\([a-z0-9-]*\):.*## \(.*\)/\1|\2/p' Makefile | awk -F'|' '{ printf "  %-12s %s\n", $$1, $$2 }'

-include $(OBJECTS:.o=.d) $(COMMAND_O:.o=.d) $(OUTSIDE_O:.o=.d)
