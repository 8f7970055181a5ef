// SPDX-License-Identifier: Apache-2.0
// curl_library.h: libcurl, loaded when the first URL is looked at. It brings about thirty libraries along, which would triple the start of
// every other command.
#pragma once
#include "base/status.h"
#include <curl/curl.h>

#define CURL_FUNCTIONS(F)                                                                                                                     \
    F(global_init, curl_global_init)                                                                                                          \
    F(free, curl_free)                                                                                                                        \
    F(url, curl_url)                                                                                                                          \
    F(url_set, curl_url_set)                                                                                                                  \
    F(url_get, curl_url_get)                                                                                                                  \
    F(url_cleanup, curl_url_cleanup)                                                                                                          \
    F(slist_append, curl_slist_append)                                                                                                        \
    F(slist_free_all, curl_slist_free_all)                                                                                                    \
    F(easy_init, curl_easy_init)                                                                                                              \
    F(easy_setopt, curl_easy_setopt)                                                                                                          \
    F(easy_getinfo, curl_easy_getinfo)                                                                                                        \
    F(easy_strerror, curl_easy_strerror)                                                                                                      \
    F(easy_cleanup, curl_easy_cleanup)                                                                                                        \
    F(multi_init, curl_multi_init)                                                                                                            \
    F(multi_cleanup, curl_multi_cleanup)                                                                                                      \
    F(multi_add_handle, curl_multi_add_handle)                                                                                                \
    F(multi_remove_handle, curl_multi_remove_handle)                                                                                          \
    F(multi_perform, curl_multi_perform)                                                                                                      \
    F(multi_poll, curl_multi_poll)                                                                                                            \
    F(multi_wakeup, curl_multi_wakeup)                                                                                                        \
    F(multi_info_read, curl_multi_info_read)

// libcurl's functions under their own names without the prefix. Valid after curl_library_load returned OK.
struct curl_library {
#define MEMBER(name, symbol) __typeof__(symbol) *name;
    CURL_FUNCTIONS(MEMBER)
#undef MEMBER
};
extern struct curl_library curl;

// Loads it and initialises it, once; any thread. STATUS_NOT_FOUND: the machine has none; the hint says what to install.
enum status curl_library_load(struct error *e) WARN_UNUSED;
