/* SPDX-License-Identifier: MIT
 *
 * refusals EVERY ERROR...: a program is run again and again, and of the system calls that the library makes in it after
 * its start the first is refused, then the second alone, and so on (EVERY 7: then the eighth), until a run ends before
 * its turn comes. ERROR+ refuses all that follow, too. Whatever is refused, the program ends as it should: malloc may
 * be NULL, blocks keep what is in them, all is freed.
 *
 * A seccomp filter asks this process about each call; those of libc, which ends the process over some refusals, are
 * told by the address that they come from. What no kernel refuses is not refused: to wake who sleeps on a word.
 */
#include "check.h"
#include "needs.h"
#include "pattern.h"
#include "proc.h"

#include <errno.h>
#include <link.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/seccomp.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- the program ---- */

enum { SLOTS = 300, STEPS = 300 };

struct user {
    unsigned char *block[SLOTS];
    size_t size[SLOTS];
    uint64_t random;
};

static struct user users[3]; /* the main thread's, and what two threads leave behind */

static void *allocate(struct user *u, size_t size)
{
    unsigned way = (unsigned)random_below(&u->random, 4);
    void *p = way == 0 ? calloc(1, size) : way == 1 ? aligned_alloc(way << 12, size) : malloc(size);
    CHECKF(p || errno == ENOMEM, "refused with errno %d", errno);
    CHECK(!p || way != 0 || pattern_nonzero(p, size) == size);
    return p;
}

static void release(struct user *u, size_t slot)
{
    unsigned char *block = u->block[slot];
    CHECK(!block || pattern_check(block, u->size[slot], slot) == u->size[slot]);
    errno = 0;
    free(block);
    CHECK(errno == 0);
    u->block[slot] = NULL;
}

static void resize(struct user *u, size_t slot, size_t size)
{
    unsigned char *block = u->block[slot];
    size_t kept = u->size[slot] < size ? u->size[slot] : size;
    unsigned char *resized = realloc(block, size);
    if (!resized) {
        CHECK(errno == ENOMEM && (!block || pattern_check(block, u->size[slot], slot) == u->size[slot]));
        return;
    }
    CHECK(!block || memcmp(resized, &(uint64_t){pattern_word(slot, 0)}, kept < 8 ? 0 : 8) == 0);
    u->block[slot] = resized;
    u->size[slot] = size;
    pattern_fill(resized, size, slot);
}

static size_t any_size(uint64_t *random)
{
    uint64_t kind = random_below(random, 100);
    return 1 + random_below(random, kind < 70 ? 1000 : kind < 97 ? 40 * KIB : MIB);
}

static void *use(void *argument)
{
    struct user *u = argument;
    for (int i = 0; i < STEPS; i++) {
        size_t slot = random_below(&u->random, SLOTS), size = any_size(&u->random);
        errno = 0;
        if (random_below(&u->random, 4) == 0) {
            resize(u, slot, size);
            continue;
        }
        release(u, slot);
        u->block[slot] = allocate(u, size);
        u->size[slot] = size;
        if (u->block[slot])
            pattern_fill(u->block[slot], size, slot);
    }
    return NULL;
}

static void use_huge(void)
{
    unsigned char *huge = malloc(40 * MIB);
    if (huge)
        huge[0] = huge[40 * MIB - 1] = 7;
    unsigned char *larger = huge ? realloc(huge, 90 * MIB) : NULL;
    CHECK(!larger || (larger[0] == 7 && larger[40 * MIB - 1] == 7));
    free(larger ? larger : huge);
    free(aligned_alloc(4 * MIB, 33 * MIB));
}

static int program(void)
{
    pthread_t thread[2];
    bool is_there[2];
    for (int i = 0; i < 3; i++)
        users[i].random = (uint64_t)i + 1;
    use(&users[0]);
    for (int i = 0; i < 2; i++)
        is_there[i] = pthread_create(&thread[i], NULL, use, &users[i + 1]) == 0;
    use(&users[0]);
    for (int i = 0; i < 2; i++)
        CHECK(!is_there[i] || pthread_join(thread[i], NULL) == 0);
    use_huge();
    for (int i = 0; i < 3; i++) {
        for (size_t slot = 0; slot < SLOTS; slot++)
            release(&users[i], slot);
        malloc_trim(0);
    }
    /* The refusal is long past, or this is what it meets. */
    use(&users[0]);
    for (size_t slot = 0; slot < SLOTS; slot++)
        release(&users[0], slot);
    void *again = malloc(50 * MIB), *small = malloc(100);
    free(again);
    free(small);
    return 0;
}

/* ---- who asks ---- */

struct range {
    uintptr_t from, to; /* the code that malloc is in */
};

static int find_code(struct dl_phdr_info *info, size_t size, void *range)
{
    (void)size;
    for (int i = 0; i < info->dlpi_phnum; i++) {
        const ElfW(Phdr) *p = &info->dlpi_phdr[i];
        uintptr_t from = info->dlpi_addr + p->p_vaddr;
        if (p->p_type == PT_LOAD && (uintptr_t)malloc_trim - from < p->p_memsz)
            *(struct range *)range = (struct range){from, from + p->p_memsz};
    }
    return 0;
}

static int listen_to_calls(void)
{
#define ASK(call) \
    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (uint32_t)(call), 0, 1), BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF)
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        ASK(SYS_mmap),
        ASK(SYS_munmap),
        ASK(SYS_mprotect),
        ASK(SYS_madvise),
        ASK(SYS_mremap),
        ASK(SYS_futex),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog code = {.len = sizeof filter / sizeof filter[0], .filter = filter};
    if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0)
        return -1;
    return (int)syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_NEW_LISTENER, &code);
}

union control {
    struct cmsghdr head;
    char room[CMSG_SPACE(sizeof(int))];
};

/* The first argument is where to send the listener. Without one it sends only the range. */
static int program_with_listener(int to)
{
    struct range range = {0, 0};
    union control control;
    memset(&control, 0, sizeof control);
    dl_iterate_phdr(find_code, &range);
    struct iovec data = {&range, sizeof range};
    struct msghdr message = {.msg_iov = &data, .msg_iovlen = 1};
    int listener = listen_to_calls();
    if (listener >= 0) {
        message.msg_control = control.room;
        message.msg_controllen = sizeof control.room;
        struct cmsghdr *head = CMSG_FIRSTHDR(&message);
        *head = (struct cmsghdr){.cmsg_len = CMSG_LEN(sizeof(int)), .cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS};
        memcpy(CMSG_DATA(head), &listener, sizeof listener);
    }
    if (sendmsg(to, &message, 0) < 0 || listener < 0)
        return 3;
    close(listener); /* or nobody would see that the process is gone */
    close(to);
    return program();
}

/* ---- who answers ---- */

static int receive(int from, struct range *range)
{
    union control control;
    struct iovec data = {range, sizeof *range};
    struct msghdr message = {
        .msg_iov = &data, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room};
    int listener;
    CHECK(recvmsg(from, &message, MSG_CMSG_CLOEXEC) == sizeof *range);
    const struct cmsghdr *head = CMSG_FIRSTHDR(&message);
    if (head == NULL)
        check_skip("no filter here that asks");
    memcpy(&listener, CMSG_DATA(head), sizeof listener);
    return listener;
}

static bool is_wish(const struct seccomp_data *call, const struct range *range)
{
    bool wakes = call->nr == SYS_futex && (call->args[1] & FUTEX_CMD_MASK) != FUTEX_WAIT;
    return call->instruction_pointer - range->from < range->to - range->from && !wakes;
}

struct refusal {
    unsigned n;
    int error;
    bool lasting;
};

/* Until the process is gone. Returns how many calls there were. */
static unsigned answer(int listener, const struct range *range, const struct refusal *refusal)
{
    unsigned calls = 0;
    struct pollfd fd = {.fd = listener, .events = POLLIN};
    while (poll(&fd, 1, -1) >= 0 && (fd.revents & POLLIN) != 0) {
        struct seccomp_notif asked;
        memset(&asked, 0, sizeof asked);
        if (ioctl(listener, SECCOMP_IOCTL_NOTIF_RECV, &asked) != 0)
            continue;
        struct seccomp_notif_resp reply = {.id = asked.id, .flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE};
        bool wish = is_wish(&asked.data, range);
        calls += wish;
        if (wish && (refusal->lasting ? calls >= refusal->n : calls == refusal->n))
            reply = (struct seccomp_notif_resp){.id = asked.id, .error = -refusal->error};
        ioctl(listener, SECCOMP_IOCTL_NOTIF_SEND, &reply); /* refused where the process is gone */
    }
    return calls;
}

/* False: the program ended before the call. */
static bool run_refused(const char *self, const struct refusal *refusal, unsigned *calls)
{
    int ends[2], status = -1;
    char to[16];
    struct range range;
    CHECK(socketpair(AF_UNIX, SOCK_STREAM, 0, ends) == 0);
    snprintf(to, sizeof to, "%d", ends[1]);
    pid_t child = fork();
    CHECK(child >= 0);
    if (child == 0) {
        close(ends[0]);
        check_alarm(120); /* stays over exec */
        execl("/proc/self/exe", self, "program", to, (char *)NULL);
        _exit(2);
    }
    close(ends[1]);
    int listener = receive(ends[0], &range);
    *calls = answer(listener, &range, refusal);
    close(listener);
    close(ends[0]);
    CHECK(waitpid(child, &status, 0) == child);
    CHECKF(status == 0, "call %u%s refused with errno %d: status 0x%x", refusal->n,
           refusal->lasting ? " and all that follow" : "", refusal->error, (unsigned)status);
    CHECKF(*calls > 20, "only %u calls came from the library", *calls);
    return *calls >= refusal->n;
}

int main(int count, char **arguments)
{
    if (count == 3 && strcmp(arguments[1], "program") == 0)
        return program_with_listener(atoi(arguments[2]));
    CHECK(count > 2);
    need_execution();
    unsigned every = (unsigned)atoi(arguments[1]);
    for (int i = 2; i < count; i++) {
        unsigned runs = 1, calls;
        struct refusal refusal = {1, atoi(arguments[i]), strchr(arguments[i], '+') != NULL};
        for (; run_refused(arguments[0], &refusal, &calls); refusal.n += every)
            runs++;
        printf("errno %s: %u runs, of some %u calls each\n", arguments[i], runs, calls);
    }
    return 0;
}
