/* SPDX-License-Identifier: MIT
 *
 * A small service that grows, for docs/tutorials/my-service-grows.md: two threads answer requests that clients made up.
 * One mistake loses memory, another keeps it. Try to find both before you read the code.
 *
 * usage: growing [SECONDS]
 */
#include <pthread.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#define BUCKETS 4096u

struct session {
    struct session *next;
    char user[24];
    char page[1000]; /* the last answer, to be sent again */
};

static struct session *sessions[BUCKETS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static double seconds = 10;

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void *get(size_t size)
{
    void *block = malloc(size);
    if (block == NULL)
        exit(1);
    return block;
}

/* The session of a user, made where there is none. */
static struct session *find_session(const char *user)
{
    unsigned bucket = 0;
    for (const char *c = user; *c != 0; c++)
        bucket = bucket * 31 + (unsigned char)*c;
    pthread_mutex_lock(&lock);
    struct session *found = sessions[bucket % BUCKETS];
    while (found != NULL && strcmp(found->user, user) != 0)
        found = found->next;
    if (found == NULL) {
        found = get(sizeof *found);
        snprintf(found->user, sizeof found->user, "%s", user);
        found->next = sessions[bucket % BUCKETS];
        sessions[bucket % BUCKETS] = found;
    }
    pthread_mutex_unlock(&lock);
    return found;
}

/* A request as the service keeps it while it answers. */
static char *read_request(unsigned client, unsigned number)
{
    char *request = get(2000);
    const char *what = number % 50 == 0 ? "DELETE" : "GET";
    snprintf(request, 2000, "%s user-%u-%u", what, client, number / 10);
    return request;
}

static int answer(unsigned client, unsigned number)
{
    char *request = read_request(client, number);
    if (strncmp(request, "GET ", 4) != 0)
        return 405;
    struct session *session = find_session(request + 4);
    snprintf(session->page, sizeof session->page, "hello, %s", session->user);
    free(request);
    return 200;
}

static void *serve(void *arg)
{
    unsigned client = (unsigned)(uintptr_t)arg, number = 0;
    const struct timespec pause = {.tv_nsec = 4000000};
    for (double end = now() + seconds; now() < end; nanosleep(&pause, NULL))
        for (unsigned i = 0; i < 100; i++)
            answer(client, number++);
    return NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1)
        seconds = strtod(argv[1], NULL);
    pthread_t threads[2];
    for (uintptr_t i = 0; i < 2; i++)
        if (pthread_create(&threads[i], NULL, serve, (void *)i) != 0)
            return 1;
    for (unsigned i = 0; i < 2; i++)
        pthread_join(threads[i], NULL);
    return 0;
}
