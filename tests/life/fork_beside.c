/* SPDX-License-Identifier: MIT
 *
 * fork_beside FORKS WORKING MODULE WHAT...: the main thread forks while other threads are in those parts of the C
 * library that allocate while they hold locks which fork takes too, or that a child needs. WORKING threads work on the
 * heap. WHAT is any of the names in `companions`, or `all`; each has a thread of its own. MODULE is a library to open
 * and close. With an odd number of FORKS the fork handlers of another library allocate.
 */
#include "check.h"
#include "needs.h"
#include "fork_library.h"
#include "forking.h"
#include "proc.h"

#include <dlfcn.h>
#include <iconv.h>
#include <locale.h>
#include <netdb.h>
#include <pthread.h>
#include <spawn.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { WORKING_MAX = 16, LINE = 100000, HANDLERS = 40 };

extern char **environ;
static atomic_bool stop;
static const char *module;
static FILE *long_line;

static void read_lines(unsigned turn)
{
    (void)turn;
    char *line = NULL;
    size_t size = 0;
    rewind(long_line);
    CHECK(getline(&line, &size, long_line) == LINE);
    free(line);
}

static void flush_all(unsigned turn)
{
    (void)turn;
    fflush(NULL);
}

static void print(unsigned turn)
{
    static _Thread_local FILE *file;
    if (turn % 20 == 0) {
        if (file)
            fclose(file);
        file = fopen("/dev/null", "w");
        CHECK(file && setvbuf(file, NULL, _IOFBF, 64u << turn / 20 % 12) == 0);
    }
    fprintf(file, "%u %s %*d %.*f\n", turn, "text", 300, 7, 1200, 1.0 / (turn + 1));
}

static void open_module(unsigned turn)
{
    void *library = dlopen(module, turn % 2 ? RTLD_NOW : RTLD_LAZY);
    CHECKF(library, "%s", dlerror());
    void *(*space)(size_t *);
    void *address = dlsym(library, "tls_space");
    size_t size;
    CHECK(address);
    memcpy(&space, &address, sizeof(address));
    memset(space(&size), 1, 1);
    CHECK(dlclose(library) == 0);
    CHECK(!dlopen("/no/such/library", RTLD_NOW) && dlerror());
}

/* Answers are not looked at: not every machine knows localhost. */
static void resolve(unsigned turn)
{
    const struct addrinfo numeric = {.ai_flags = AI_NUMERICHOST};
    struct addrinfo *found = NULL;
    const char *name = turn % 2 ? "127.0.0.1" : "localhost";
    if (getaddrinfo(name, "80", turn % 2 ? &numeric : NULL, &found) == 0)
        freeaddrinfo(found);
}

static void convert(unsigned turn)
{
    static const char *const names[] = {"ISO-8859-7", "EUC-JP", "UTF-16", "KOI8-R"};
    iconv_t converter = iconv_open("UTF-8", names[turn % 4]);
    if (converter == (iconv_t)-1)
        return; /* not installed */
    char in[] = "abcdef", out[100], *from = in, *to = out;
    size_t left = sizeof(in) - 1, room = sizeof(out);
    iconv(converter, &from, &left, &to, &room);
    iconv_close(converter);
}

static void change_locale(unsigned turn)
{
    locale_t locale = newlocale(LC_ALL_MASK, turn % 2 ? "C.UTF-8" : "C", NULL);
    if (locale)
        freelocale(locale);
    setlocale(LC_TIME, turn % 2 ? "C" : "C.UTF-8");
}

static void handler(void)
{
    free(malloc(50000));
}

static void register_handlers(unsigned turn)
{
    if (turn < HANDLERS)
        CHECK(pthread_atfork(handler, handler, handler) == 0);
    proc_sleep_ms(10);
}

static void tell_time(unsigned turn)
{
    time_t now = (time_t)turn * 1000000;
    struct tm parts;
    char text[200];
    tzset();
    CHECK(localtime_r(&now, &parts) && strftime(text, sizeof(text), "%c %Z", &parts) > 0);
    mktime(&parts);
}

static void *take_block(void *size)
{
    return malloc((uintptr_t)size);
}

static void start_thread(unsigned turn)
{
    pthread_t thread;
    CHECK(pthread_create(&thread, NULL, take_block, (void *)(uintptr_t)(turn * 100)) == 0);
    void *block;
    CHECK(pthread_join(thread, &block) == 0);
    free(block);
}

static void spawn(unsigned turn)
{
    pid_t pid;
    char name[] = "true", *const words[] = {name, NULL};
    CHECK(posix_spawnp(&pid, "true", NULL, NULL, words, environ) == 0);
    forking_wait(pid, (int)turn);
}

static void hold_lock_of_handlers(unsigned turn)
{
    fork_library_hold((int)(turn % 4), NULL);
}

static void fork_too(unsigned turn)
{
    forking_once((int)turn + 1000000);
}

static const struct {
    const char *name;
    void (*act)(unsigned turn);
} companions[] = {
    {"getline", read_lines},
    {"flush", flush_all},
    {"print", print},
    {"dlopen", open_module},
    {"resolve", resolve},
    {"iconv", convert},
    {"locale", change_locale},
    {"atfork", register_handlers},
    {"time", tell_time},
    {"threads", start_thread},
    {"spawn", spawn},
    {"fork", fork_too},
    {"handlers", hold_lock_of_handlers},
};
enum { COMPANIONS = sizeof(companions) / sizeof(companions[0]) };

static void *accompany(void *argument)
{
    void (*act)(unsigned) = companions[(uintptr_t)argument].act;
    for (unsigned turn = 0; !stop; turn++) {
        act(turn);
        proc_sleep_ms(1); /* glibc's locks are not fair: who takes one again and again starves the fork */
    }
    return NULL;
}

static void *work(void *argument)
{
    for (uint64_t seed = (uint64_t)(uintptr_t)argument; !stop; seed++)
        forking_work(seed, 500);
    return NULL;
}

static FILE *make_long_line(void)
{
    int fd = memfd_create("line", MFD_CLOEXEC);
    CHECK(fd >= 0);
    FILE *file = fdopen(fd, "w+");
    CHECK(file);
    for (int i = 1; i < LINE; i++)
        fputc('x', file);
    fputc('\n', file);
    CHECK(fflush(file) == 0);
    return file;
}

static bool is_wanted(const char *name, int count, char **names)
{
    for (int i = 0; i < count; i++) {
        if (!strcmp(names[i], name) || !strcmp(names[i], "all"))
            return true;
    }
    return false;
}

int main(int count, char **arguments)
{
    CHECK(count > 4);
    int forks = (int)check_fewer((size_t)atoi(arguments[1])), working = atoi(arguments[2]);
    CHECK(working >= 0 && working <= WORKING_MAX);
    module = arguments[3];
    if (is_wanted("spawn", count - 4, arguments + 4))
        need_own_memory(); /* else its locks are held by other threads that fork */
    fork_library_set(malloc, realloc, free, forks % 2);
    long_line = make_long_line();
    forking_share();
    pthread_t threads[COMPANIONS + WORKING_MAX];
    size_t started = 0;
    for (uintptr_t i = 0; i < COMPANIONS; i++) {
        if (is_wanted(companions[i].name, count - 4, arguments + 4))
            CHECK(pthread_create(&threads[started++], NULL, accompany, (void *)i) == 0);
    }
    CHECKF(started > 0, "no such companion");
    for (uintptr_t i = 0; i < (uintptr_t)working; i++)
        CHECK(pthread_create(&threads[started++], NULL, work, (void *)i) == 0);
    for (int i = 0; i < forks; i++)
        forking_once(i);
    stop = true;
    for (size_t i = 0; i < started; i++)
        CHECK(pthread_join(threads[i], NULL) == 0);
    return 0;
}
