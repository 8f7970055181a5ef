# SPDX-License-Identifier: Apache-2.0
# leat: `make help` lists what there is. Only `deps` and what calls it (demo, test) install anything; `make` alone never does.
#
#     BUILD=folder   where everything made goes (default build)      CC=gcc|clang      WERROR=1   warnings are errors
#     SANITIZE=address,undefined    OPTIMIZE=-O1                      each set of flags wants a BUILD of its own
#     LIBRDKAFKA=system             the system's Kafka client, though ours is built
SHELL := /bin/bash
BUILD ?= build
ifeq ($(origin CC),default)
CC := gcc
endif
SANITIZE ?=
OPTIMIZE ?= -O2
PREFIX ?= /usr/local
VERSION := 0.1.0
JOBS := $(shell nproc 2>/dev/null || echo 2)

# What `make demo` and `make` need, and what the tests need on top. Debian's names.
PACKAGES := gcc libc6-dev make pkg-config libsqlite3-dev sqlite3 libpcre2-dev libutf8proc-dev libxxhash-dev libssl-dev libedit-dev tzdata \
            libcurl4-openssl-dev librdkafka-dev zlib1g-dev libzstd-dev liblz4-dev libmongoc-dev
PACKAGES_TEST := python3 python3-venv libcmocka-dev clang llvm libclang-rt-14-dev git openssl openjdk-17-jre-headless maven

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings -Wimplicit-fallthrough

# The Kafka client: the one `make deps` builds, if it is there; else, or with LIBRDKAFKA=system, the system's.
LIBRDKAFKA ?= deps/librdkafka-2.15.1
ifneq ($(wildcard $(LIBRDKAFKA)/lib/librdkafka.a),)
KAFKA_COMPILE := -isystem $(LIBRDKAFKA)/include
KAFKA_LIBS := $(LIBRDKAFKA)/lib/librdkafka.a -lssl -lz -lzstd
else
KAFKA_COMPILE := $(shell pkg-config --cflags rdkafka 2>/dev/null)
KAFKA_LIBS := $(or $(shell pkg-config --libs rdkafka 2>/dev/null),-lrdkafka)
endif
# Headers alone: the library is loaded when a pipeline names it.
MONGO_COMPILE := $(patsubst -I%,-isystem %,$(shell pkg-config --cflags libmongoc-1.0 2>/dev/null))
LIBS := $(KAFKA_LIBS) -lssl -llz4 -lsqlite3 -lpcre2-8 -lutf8proc -lxxhash -lcrypto -ledit -lm -ldl

# HARDEN_COMPILE and HARDEN_LINK: what this compiler takes, asked once per build folder.
CONFIG := $(BUILD)/config-$(notdir $(CC)).mk
-include $(CONFIG)
FORTIFY := $(if $(SANITIZE)$(filter -O0,$(OPTIMIZE)),,$(HARDEN_FORTIFY))
COMPILE = $(CC) -std=gnu11 -g $(OPTIMIZE) $(WARNINGS) $(HARDEN_COMPILE) $(FORTIFY) -fno-math-errno -ffp-contract=off -ffunction-sections -fdata-sections -pthread -Isrc -D_GNU_SOURCE \
          $(KAFKA_COMPILE) $(MONGO_COMPILE) -DLEAT_VERSION='"$(VERSION)"' -DPCRE2_CODE_UNIT_WIDTH=8 $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer \
          $(if $(findstring undefined,$(SANITIZE)),-fno-sanitize-recover=undefined)) $(CFLAGS)
STRICT = $(if $(WERROR),-Werror)
LINK = $(CC) -pthread $(HARDEN_LINK) $(if $(SANITIZE),-fsanitize=$(subst fuzzer-no-link,,$(SANITIZE))) $(LDFLAGS)

SOURCES := $(sort $(shell find src -name '*.c'))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
LIBRARY_OBJECTS := $(filter-out $(BUILD)/obj/cli/main.o,$(OBJECTS))
UNIT_TESTS := $(patsubst test/unit/%.c,$(BUILD)/test/%,$(sort $(wildcard test/unit/*_test.c)))
FUZZERS := $(patsubst test/fuzz/%.c,$(BUILD)/fuzz/%,$(sort $(wildcard test/fuzz/fuzz_*.c)))

all: $(BUILD)/leat

$(CONFIG): Makefile
	@command -v $(CC) >/dev/null || exit 0; mkdir -p $(@D); \
	takes() { printf '#include <string.h>\nint main(void) { return 0; }\n' | $(CC) -O2 -Werror "$$@" -x c - -o $(@D)/probe.$$$$ 2>/dev/null; local r=$$?; rm -f $(@D)/probe.$$$$; return $$r; }; \
	keep() { local out=; for f in "$$@"; do takes $$f && out+=" $$f"; done; echo "$$out"; }; \
	fortify=; takes -U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3 && fortify='-U_FORTIFY_SOURCE -D_FORTIFY_SOURCE=3'; \
	{ echo "HARDEN_COMPILE :=$$(keep -fPIE -fstack-protector-strong -fstack-clash-protection)"; echo "HARDEN_FORTIFY := $$fortify"; \
	  echo "HARDEN_LINK :=$$(keep -pie -Wl,-z,relro -Wl,-z,now -Wl,-z,noexecstack -Wl,--gc-sections -Wl,-z,pack-relative-relocs)"; } >$@.part; mv $@.part $@

# Written anew only when the flags change, so that everything is built anew only then.
FLAGS_FILE := $(BUILD)/flags
ifneq ($(HARDEN_LINK),)
$(shell mkdir -p $(BUILD); printf '%s\n' '$(subst ','\'',$(COMPILE) $(LINK) $(LIBS))' >$(FLAGS_FILE).part.$$$$; \
        cmp -s $(FLAGS_FILE).part.$$$$ $(FLAGS_FILE) && rm -f $(FLAGS_FILE).part.$$$$ || mv $(FLAGS_FILE).part.$$$$ $(FLAGS_FILE))
endif
$(FLAGS_FILE): ;

$(BUILD)/leat: $(OBJECTS) $(FLAGS_FILE)
	$(LINK) -o $@ $(OBJECTS) $(LIBS)

# What runs once, at the start, is built for size.
$(BUILD)/obj/%.o: src/%.c $(FLAGS_FILE)
	@mkdir -p $(@D)
	$(COMPILE) $(if $(filter -O2,$(OPTIMIZE)),$(if $(filter cli/% sql/% plan/%,$*),-Os)) $(STRICT) -include src/base/banned.h -MMD -MP -c -o $@ $<

# Everything but main, for unit tests and fuzzers.
$(BUILD)/libleat.a: $(LIBRARY_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

# cmocka.h needs setjmp, so banned.h is not for tests.
$(BUILD)/test/%: test/unit/%.c $(BUILD)/libleat.a
	@mkdir -p $(@D)
	$(COMPILE) $(STRICT) -Itest/unit -MMD -MP -MF $@.d -o $@ $< $(LDFLAGS) $(BUILD)/libleat.a -lcmocka $(LIBS)

$(BUILD)/fuzz/%: test/fuzz/%.c $(BUILD)/libleat.a
	@mkdir -p $(@D)
	$(subst fuzzer-no-link,fuzzer,$(COMPILE)) $(STRICT) -MMD -MP -MF $@.d -o $@ $< $(LDFLAGS) $(BUILD)/libleat.a $(LIBS)

# Writes the Nexmark events of the benchmarks as a file.
$(BUILD)/nexmark_file: bench/nexmark_file.c $(BUILD)/libleat.a
	$(COMPILE) $(STRICT) -MMD -MP -MF $@.d -o $@ $< $(LDFLAGS) $(BUILD)/libleat.a $(LIBS)

# Prints a golden test with the example of every function.
$(BUILD)/function_examples: test/functions/function_examples.c $(BUILD)/libleat.a
	$(COMPILE) $(STRICT) -MMD -MP -MF $@.d -o $@ $< $(LDFLAGS) $(BUILD)/libleat.a $(LIBS)

# Cassandra's client by hand: tokens of keys, loads (test/cassandra, bench/stores.sh).
$(BUILD)/cql_tool: test/cql/cql_tool.c test/cql/cql_roundtrip.c $(BUILD)/libleat.a
	$(COMPILE) $(STRICT) -Itest/cql -o $@ $(filter %.c,$^) $(LDFLAGS) $(BUILD)/libleat.a $(LIBS)

-include $(OBJECTS:.o=.d) $(UNIT_TESTS:=.d) $(FUZZERS:=.d) $(BUILD)/function_examples.d $(BUILD)/nexmark_file.d

library: $(BUILD)/libleat.a
unit: $(UNIT_TESTS)
fuzzers: $(FUZZERS)

deps:
	@tools/deps.sh $(PACKAGES)
	@tools/librdkafka.sh
deps-test:
	@tools/deps.sh $(PACKAGES) $(PACKAGES_TEST)
	@tools/librdkafka.sh

demo: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@LEAT=$(BUILD)/leat tools/demo.sh $(ROWS)
demo-full: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@LEAT=$(BUILD)/leat tools/demo-full.sh $(ROWS)

check: deps-test
	@python3 test/run.py check
test: deps-test
	@python3 test/run.py test
long: deps-test
	@python3 test/run.py long
tidy:
	@python3 tools/tidy.py
bench: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all
	@BUILD=$(BUILD) bench/run.sh
bench-kafka: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all library
	@BUILD=$(BUILD) bench/kafka.sh $(ARGS)
bench-stores: deps
	@$(MAKE) --no-print-directory -s -j$(JOBS) all library
	@BUILD=$(BUILD) bench/stores.sh $(ARGS)

install: all
	install -d $(DESTDIR)$(PREFIX)/bin $(DESTDIR)$(PREFIX)/share/doc/leat
	install -m 755 -s $(BUILD)/leat $(DESTDIR)$(PREFIX)/bin/leat
	install -m 644 LICENSE NOTICE $(DESTDIR)$(PREFIX)/share/doc/leat
	$(if $(filter %.a,$(KAFKA_LIBS)),install -m 644 $(LIBRDKAFKA)/LICENSES.txt $(DESTDIR)$(PREFIX)/share/doc/leat/LICENSES-librdkafka.txt)

clean:
	rm -rf $(BUILD)

help:
	@printf '%s\n' \
	'make               build $(BUILD)/leat; installs nothing' \
	'make demo          users, live, until Ctrl-C; make demo ROWS=100000 as fast as it can' \
	'make demo-full     Kafka, Cassandra, MongoDB and leat, the whole pipeline; ROWS=100000 as fast as it can' \
	'make deps          install what is missing to build (Debian packages, root or sudo); build librdkafka into deps/' \
	'make check         unit and golden tests, under a minute' \
	'make test          everything: sanitizers, kills, fuzzing, style; closes with one line of counts' \
	'make long          the same, with kills and fuzzing for an hour' \
	'make bench         the benchmarks; make bench-kafka ARGS=--peers: on a Kafka topic, beside Spark and Flink; make bench-stores: Cassandra, MongoDB' \
	'make tidy          style and structure' \
	'make install       PREFIX=$(PREFIX) DESTDIR=' \
	'make clean'

.PHONY: all library unit fuzzers deps deps-test demo demo-full check test long tidy bench bench-kafka bench-stores install clean help
.DELETE_ON_ERROR:
