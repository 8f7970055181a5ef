// SPDX-License-Identifier: Apache-2.0
// curl_library.c: see curl_library.h. The library stays loaded.
#include "connector/http/curl_library.h"
#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>

struct curl_library curl;
static char reason[256];  // why it cannot be had; "": it is there

static void *find(void *library, const char *symbol) {
    void *found = dlsym(library, symbol);
    if (!found && !reason[0]) snprintf(reason, sizeof reason, "libcurl.so.4 has no %s", symbol);
    return found;
}

static void load(void) {
    void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
    if (!library) {
        snprintf(reason, sizeof reason, "%s", dlerror());
        return;
    }
    void *found;
#define LOAD(name, symbol)           \
    found = find(library, #symbol);  \
    memcpy(&curl.name, &found, sizeof found);
    CURL_FUNCTIONS(LOAD)
#undef LOAD
    if (!reason[0] && curl.global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK) snprintf(reason, sizeof reason, "libcurl cannot be initialised");
}

enum status curl_library_load(struct error *e) {
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, load);
    if (!reason[0]) return STATUS_OK;
    error_set(e, STATUS_NOT_FOUND, "LEAT_LIBRARY_MISSING", "the http source needs libcurl: %s", reason);
    error_set_hint(e, "apt-get install libcurl4");
    return STATUS_NOT_FOUND;
}
