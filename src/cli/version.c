// SPDX-License-Identifier: Apache-2.0
// version.c: leat version: its own, and those of the libraries it runs with.
#include "cli/cli.h"
#include <openssl/crypto.h>
#include <pcre2.h>
#include <sqlite3.h>
#include <stdio.h>
#include <utf8proc.h>
#include <xxhash.h>

static int version_main(struct host *h, int argc, char **argv) {
    char pcre[64] = "";
    (void)h, (void)argc, (void)argv;
    pcre2_config(PCRE2_CONFIG_VERSION, pcre);
    printf("leat %s\nSQLite %s\nPCRE2 %s\nutf8proc %s\nxxHash %u.%u.%u\n%s\n", LEAT_VERSION, sqlite3_libversion(), pcre, utf8proc_version(),
           XXH_versionNumber() / 10000, XXH_versionNumber() / 100 % 100, XXH_versionNumber() % 100, OpenSSL_version(OPENSSL_VERSION));
    return EXIT_OK;
}

const struct command version_command = {"version", "version", "versions of leat and of its libraries", "  leat version\n", version_main};
