# SPDX-License-Identifier: Apache-2.0
# leat: make demo | make test | make check | make | make install. Nothing but `make deps` (and what calls it) installs anything.
SHELL := /bin/bash
BUILD ?= build
CC ?= gcc
SANITIZE ?=
PREFIX ?= /usr/local
VERSION := 0.1.0

WARNINGS = -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla -Wwrite-strings -Wimplicit-fallthrough
OPTIMIZE ?= -O2
HARDEN = -fstack-protector-strong -fPIE $(if $(SANITIZE),,$(if $(filter -O0,$(OPTIMIZE)),,-D_FORTIFY_SOURCE=2))
CFLAGS_ALL = -std=gnu11 -g $(OPTIMIZE) $(WARNINGS) $(if $(WERROR),-Werror) $(HARDEN) -fno-math-errno -ffp-contract=off -pthread -Isrc -D_GNU_SOURCE \
             -DLEAT_VERSION='"$(VERSION)"' -DPCRE2_CODE_UNIT_WIDTH=8 $(if $(SANITIZE),-fsanitize=$(SANITIZE) -fno-omit-frame-pointer) $(CFLAGS)
LIBS = -lsqlite3 -lpcre2-8 -lutf8proc -lxxhash -lcrypto -ledit -lm -ldl
LINK = -pthread -pie -Wl,-z,relro,-z,now $(if $(SANITIZE),-fsanitize=$(SANITIZE)) $(LDFLAGS)

SOURCES := $(sort $(shell find src -name '*.c'))
OBJECTS := $(SOURCES:src/%.c=$(BUILD)/obj/%.o)
LIBRARY_OBJECTS := $(filter-out $(BUILD)/obj/cli/main.o,$(OBJECTS))

all: $(BUILD)/leat

$(BUILD)/leat: $(OBJECTS)
	$(CC) $(LINK) -o $@ $^ $(LIBS)

$(BUILD)/obj/%.o: src/%.c Makefile
	@mkdir -p $(@D)
	$(CC) $(CFLAGS_ALL) -include src/base/banned.h -MMD -MP -c -o $@ $<

# Everything but main, for unit tests and fuzzers.
$(BUILD)/libleat.a: $(LIBRARY_OBJECTS)
	@rm -f $@
	ar rcs $@ $^

-include $(OBJECTS:.o=.d)

clean:
	rm -rf $(BUILD)

.PHONY: all clean
