// SPDX-License-Identifier: Apache-2.0
// control.c: see control.h. One thread, one poll: the listener, an eventfd that says stop, and the connections, all non-blocking.
//
// While every place is taken nobody new is let in, and those who are in have a quarter of a second instead of five: a crowd of idle
// clients delays the others and cannot lock them out.
#include "cli/control.h"
#include "base/clock.h"
#include "base/threads.h"
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { LINE_BYTES = 4096, CONNECTIONS_MAX = 16, BACKLOG = 128, PATIENCE_US = 5000000, CROWDED_US = 250000, RETRY_US = 1000000 };
static const char socket_name[] = "leat.sock";

struct connection {
    int fd;                  // -1: the place is free
    int64_t since_us;
    bool answering;          // the line is read, the answer is on its way
    size_t line_bytes;
    char line[LINE_BYTES];
    struct buffer answer;
    size_t sent_bytes;
};

struct control {
    struct memory *memory;
    struct log *log;
    control_answer answer;
    void *context;
    int folder_fd;
    int listener;
    dev_t device;            // of the socket's file: what is removed in the end is what was made
    ino_t inode;
    struct notify stop;
    pthread_t thread;
    int64_t accept_again_us;  // no file descriptor was free: not before
    uint32_t count;
    struct connection connections[CONNECTIONS_MAX];
};

static void drop(struct control *c, struct connection *k) {
    close(k->fd);
    k->fd = -1;
    buffer_release(&k->answer);
    c->count--;
}

static void accept_one(struct control *c) {
    int fd = accept4(c->listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
    if (fd < 0) {
        bool passing = errno == EAGAIN || errno == EINTR || errno == ECONNABORTED;
        if (!passing) c->accept_again_us = clock_monotonic_us() + RETRY_US;
        return;
    }
    struct connection *k = c->connections;
    while (k->fd >= 0) k++;
    k->fd = fd;
    k->since_us = clock_monotonic_us();
    k->answering = false;
    k->line_bytes = k->sent_bytes = 0;
    buffer_init(&k->answer, c->memory);
    c->count++;
}

static void send_answer(struct control *c, struct connection *k) {
    while (k->sent_bytes < k->answer.size_bytes) {
        ssize_t n = send(k->fd, k->answer.data + k->sent_bytes, k->answer.size_bytes - k->sent_bytes, MSG_NOSIGNAL);
        if (n < 0 && errno == EINTR) continue;
        if (n < 0 && errno == EAGAIN) return;
        if (n < 0) break;
        k->sent_bytes += (size_t)n;
    }
    drop(c, k);
}

static void answer_line(struct control *c, struct connection *k, const char *line) {
    enum status status = line ? c->answer(c->context, line, &k->answer) : STATUS_LIMIT;
    if (status != STATUS_OK) {
        buffer_clear(&k->answer);
        const char *reason = status == STATUS_NOT_FOUND ? "there is no such request; there are `ping` and `progress`"
                             : status == STATUS_LIMIT   ? "a request is one line of at most 4,095 bytes"
                                                        : "the answer does not fit into memory";
        status = buffer_printf(&k->answer, "{\"error\":\"%s\"}", reason);
    }
    if (status == STATUS_OK) status = buffer_append_byte(&k->answer, '\n');
    k->answering = true;
    if (status == STATUS_OK) send_answer(c, k);
    else drop(c, k);
}

// A line ends with a newline or with the end of what the client sends; blanks around it do not count.
static void read_line(struct control *c, struct connection *k) {
    ssize_t n = recv(k->fd, k->line + k->line_bytes, LINE_BYTES - 1 - k->line_bytes, 0);
    if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
    if (n < 0 || (n == 0 && !k->line_bytes)) {
        drop(c, k);
        return;
    }
    k->line_bytes += (size_t)n;
    char *end = memchr(k->line, '\n', k->line_bytes);
    if (!end && n > 0 && k->line_bytes < LINE_BYTES - 1) return;
    bool too_long = !end && n > 0;
    if (!end) end = k->line + k->line_bytes;
    while (end > k->line && (unsigned char)end[-1] <= ' ') end--;
    *end = 0;
    char *begin = k->line;
    while (*begin == ' ' || *begin == '\t') begin++;
    answer_line(c, k, too_long ? NULL : begin);
}

static int64_t deadline_of(const struct control *c, const struct connection *k) {
    return k->since_us + (c->count == CONNECTIONS_MAX ? CROWDED_US : PATIENCE_US);
}

// Drops who is over time; milliseconds until the next one is, -1: nobody waits.
static int expire(struct control *c, int64_t now_us) {
    int64_t next_us = c->accept_again_us > now_us ? c->accept_again_us : INT64_MAX;
    for (struct connection *k = c->connections; k < c->connections + CONNECTIONS_MAX; k++) {
        if (k->fd >= 0 && deadline_of(c, k) <= now_us) drop(c, k);
    }
    for (const struct connection *k = c->connections; k < c->connections + CONNECTIONS_MAX; k++) {
        if (k->fd >= 0 && deadline_of(c, k) < next_us) next_us = deadline_of(c, k);
    }
    return next_us == INT64_MAX ? -1 : (int)((next_us - now_us) / 1000) + 1;
}

static void *serve(void *context) {
    struct control *c = context;
    for (;;) {
        struct pollfd polls[2 + CONNECTIONS_MAX];
        struct connection *who[2 + CONNECTIONS_MAX];
        int64_t now_us = clock_monotonic_us();
        int wait_ms = expire(c, now_us);
        bool open = c->count < CONNECTIONS_MAX && now_us >= c->accept_again_us;
        nfds_t n = 2;
        polls[0] = (struct pollfd){.fd = c->stop.fd, .events = POLLIN};
        polls[1] = (struct pollfd){.fd = open ? c->listener : -1, .events = POLLIN};
        for (struct connection *k = c->connections; k < c->connections + CONNECTIONS_MAX; k++) {
            if (k->fd < 0) continue;
            who[n] = k;
            polls[n++] = (struct pollfd){.fd = k->fd, .events = k->answering ? POLLOUT : POLLIN};
        }
        if (poll(polls, n, wait_ms) < 0 && errno != EINTR) {
            log_write(c->log, LOG_WARN, "the control socket stops answering: poll: %s", strerror(errno));
            return NULL;
        }
        if (polls[0].revents) return NULL;
        for (nfds_t i = 2; i < n; i++) {
            if (!polls[i].revents) continue;
            if (who[i]->answering) send_answer(c, who[i]);
            else read_line(c, who[i]);
        }
        if (polls[1].revents) accept_one(c);
    }
}

// What a crashed run left is in the way of bind; whatever is no socket is not ours to remove.
static enum status remove_stale(const struct control *c, const char *folder, struct error *e) {
    struct stat found;
    if (fstatat(c->folder_fd, socket_name, &found, AT_SYMLINK_NOFOLLOW) != 0) {
        return errno == ENOENT ? STATUS_OK : error_set_errno(e, errno, "cannot look at `%s/%s`", folder, socket_name);
    }
    if (!S_ISSOCK(found.st_mode)) {
        error_set(e, STATUS_CONFLICT, NULL, "`%s/%s` is not a socket", folder, socket_name);
        error_set_hint(e, "remove it, and the next run makes its control socket there");
        return STATUS_CONFLICT;
    }
    if (unlinkat(c->folder_fd, socket_name, 0) != 0) return error_set_errno(e, errno, "cannot remove the old `%s/%s`", folder, socket_name);
    return STATUS_OK;
}

// An address holds 107 bytes; a longer path is reached through the open folder.
static enum status bind_listener(struct control *c, const char *folder, struct error *e) {
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct stat made;
    c->listener = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (c->listener < 0) return error_set_errno(e, errno, "cannot make a socket");
    if (snprintf(address.sun_path, sizeof address.sun_path, "%s/%s", folder, socket_name) >= (int)sizeof address.sun_path) {
        snprintf(address.sun_path, sizeof address.sun_path, "/proc/self/fd/%d/%s", c->folder_fd, socket_name);
    }
    // The file takes the socket's own mode, so there is no moment at which others could connect.
    if (fchmod(c->listener, 0600) != 0 || bind(c->listener, (struct sockaddr *)&address, sizeof address) != 0) {
        return error_set_errno(e, errno, "cannot bind `%s/%s`", folder, socket_name);
    }
    if (fstatat(c->folder_fd, socket_name, &made, AT_SYMLINK_NOFOLLOW) != 0) return error_set_errno(e, errno, "`%s/%s` has gone", folder, socket_name);
    c->device = made.st_dev;
    c->inode = made.st_ino;
    if (listen(c->listener, BACKLOG) != 0) return error_set_errno(e, errno, "cannot listen on `%s/%s`", folder, socket_name);
    return STATUS_OK;
}

// Signals are for the thread that drives the pipeline.
static enum status start_thread(struct control *c, struct error *e) {
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int failed = pthread_create(&c->thread, NULL, serve, c);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    return failed ? error_set_errno(e, failed, "cannot start the control thread") : STATUS_OK;
}

static void release(struct control *c) {
    struct stat found;
    if (c->inode && fstatat(c->folder_fd, socket_name, &found, AT_SYMLINK_NOFOLLOW) == 0 && found.st_dev == c->device && found.st_ino == c->inode) {
        unlinkat(c->folder_fd, socket_name, 0);
    }
    for (struct connection *k = c->connections; k < c->connections + CONNECTIONS_MAX; k++) {
        if (k->fd >= 0) drop(c, k);
    }
    if (c->listener >= 0) close(c->listener);
    if (c->folder_fd >= 0) close(c->folder_fd);
    notify_release(&c->stop);
    memory_free(c->memory, c, sizeof *c);
}

enum status control_start(const char *folder, control_answer answer, void *context, struct memory *memory, struct log *log, struct control **out,
                          struct error *e) {
    struct control *c = memory_alloc_zeroed(memory, sizeof *c);
    if (!c) return error_no_memory(e);
    c->memory = memory;
    c->log = log;
    c->answer = answer;
    c->context = context;
    c->listener = c->stop.fd = -1;
    for (int i = 0; i < CONNECTIONS_MAX; i++) c->connections[i].fd = -1;
    c->folder_fd = open(folder, O_PATH | O_DIRECTORY | O_CLOEXEC);
    enum status status = c->folder_fd < 0 ? error_set_errno(e, errno, "cannot open the folder `%s`", folder) : STATUS_OK;
    if (status == STATUS_OK) status = notify_init(&c->stop, e);
    if (status == STATUS_OK) status = remove_stale(c, folder, e);
    if (status == STATUS_OK) status = bind_listener(c, folder, e);
    if (status == STATUS_OK) status = start_thread(c, e);
    if (status == STATUS_OK) *out = c;
    else release(c);
    return status;
}

void control_stop(struct control *c) {
    if (!c) return;
    notify_raise(&c->stop);
    pthread_join(c->thread, NULL);
    release(c);
}
