/* SPDX-License-Identifier: MIT
 *
 * stopped [TIMES]: does each of many wrong things to blocks of each of many sizes, with whatever malloc the program has
 * (LD_PRELOAD), each in a child process, TIMES times, and prints how far the children came: a line for each wrong
 * thing, in it a field for each size. It knows nothing of hakmem, and no allocator's messages: that a child ended by a
 * signal is all that counts. tests/named/stopped.py makes a table of it.
 *
 * A field is a letter, and behind it of how many children it is true where not of all:
 *
 *   w  the wrong write or call itself ended the process
 *   f  the free of that block
 *   n  the free of its neighbours
 *   r  what came later: blocks of that size were taken until it came again, and the end of the process
 *   -  nothing
 *   o  nothing, and nothing was wrong: the bytes were the block's own (malloc_usable_size says so)
 *
 * Where children came differently far the field has the furthest of those, the least good one.
 */
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <malloc.h>
#include <new>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

namespace
{

enum Stage { WRITING, FREEING, NEIGHBOURS, LATER, PASSED, HARMLESS };
const char letters[] = "wfnr-o";

enum { AROUND = 20, MANY = 4000, LARGE = 32768 };
const size_t sizes[] = {8, 24, 48, 1000, 4096, 262144};

volatile int *stage; /* shared with the parent */
char *volatile blocks[AROUND];
char *volatile block; /* the one that is used wrongly; volatile: no compiler knows what is done to it */

/* Each byte changes, whatever it is. */
void spoil(char *at, size_t bytes)
{
    for (volatile char *byte = at; bytes-- > 0; byte++)
        *byte = static_cast<char>(~*byte);
}

char *take(size_t size)
{
    char *taken = static_cast<char *>(malloc(size));
    if (taken == nullptr)
        _exit(2);
    memset(taken, 1, size);
    return taken;
}

/* Blocks as a program has them: some were there before, some went. */
void take_around(size_t size)
{
    for (auto &one : blocks)
        one = take(size);
    block = blocks[AROUND / 2];
}

void free_it()
{
    *stage = FREEING;
    free(block);
}

void free_neighbours()
{
    *stage = NEIGHBOURS;
    for (auto &one : blocks) {
        if (one != block)
            free(one);
    }
}

/* Blocks of that size come and go, so often that what was freed comes again, also from a quarantine. */
void use_on(size_t size)
{
    static char *taken[MANY];
    int many = size > LARGE ? 100 : MANY;
    *stage = LATER;
    for (int turn = 0; turn < 3; turn++) {
        for (int i = 0; i < many; i++)
            taken[i] = take(size);
        for (int i = 0; i < many; i++)
            free(taken[i]);
    }
}

void free_all(size_t size)
{
    free_it();
    free_neighbours();
    use_on(size);
}

bool is_own(size_t size, size_t bytes)
{
    return malloc_usable_size(block) >= size + bytes;
}

template <size_t bytes> void past(size_t size)
{
    take_around(size);
    bool own = is_own(size, bytes);
    spoil(block + size, bytes);
    free_all(size);
    if (own)
        *stage = HARMLESS;
}

/* What ends a string that is one too long. */
void past_zero(size_t size)
{
    take_around(size);
    bool own = is_own(size, 1);
    const_cast<volatile char *>(block)[size] = 0;
    free_all(size);
    if (own)
        *stage = HARMLESS;
}

template <size_t bytes> void before(size_t size)
{
    take_around(size);
    spoil(block - bytes, bytes);
    free_all(size);
}

template <size_t at> void freed(size_t size)
{
    take_around(size);
    free(block);
    spoil(block + (at < size ? at : size - 1), 1);
    free_neighbours();
    use_on(size);
}

void freed_all_over(size_t size)
{
    take_around(size);
    free(block);
    memset(block, 'A', size);
    free_neighbours();
    use_on(size);
}

void twice(size_t size)
{
    take_around(size);
    free(block);
    free(block);
    free_neighbours();
    use_on(size);
}

void twice_later(size_t size)
{
    take_around(size);
    char *volatile more[200];
    for (auto &one : more)
        one = take(size);
    free(block);
    for (auto &one : more)
        free(one);
    free(block);
    free_neighbours();
    use_on(size);
}

void twice_written(size_t size)
{
    take_around(size);
    free(block);
    memset(block, 0, size);
    free(block);
    free_neighbours();
    use_on(size);
}

/* What C++ says of the size on its way. */
template <int less, int times> void sized(size_t size)
{
    take_around(size);
    void *object = ::operator new(size);
    ::operator delete(object, (size - less) * times);
    free_neighbours();
    use_on(size);
}

void inside(size_t size)
{
    take_around(size);
    free(block + (size > 16 ? 16 : size / 2));
    use_on(size);
}

void elsewhere(size_t size)
{
    take_around(size);
    char on_stack[64];
    char *volatile wrong = on_stack + 16;
    free(wrong);
    use_on(size);
}

/* For an allocator a free like any other. */
void twice_reused(size_t size)
{
    take_around(size);
    free(block);
    void *volatile again = nullptr;
    for (int i = 0; i < MANY && again != block; i++)
        again = take(size);
    if (again != block)
        return; /* late enough: nothing was done */
    free(block);
    use_on(size);
}

/* Between two blocks that live, past all ends. */
void far_past(size_t size)
{
    take_around(size);
    char *other = blocks[AROUND / 2 + 1];
    spoil(other, 1);
    free_all(size);
}

struct Wrong {
    const char *name;
    void (*body)(size_t size);
};

const Wrong wrongs[] = {
    {"1 byte past the end", past<1>},
    {"a zero past the end", past_zero},
    {"8 bytes past the end", past<8>},
    {"32 bytes past the end", past<32>},
    {"1 MiB past the end", past<1048576>},
    {"1 byte before the start", before<1>},
    {"8 bytes before the start", before<8>},
    {"write after free, byte 0", freed<0>},
    {"write after free, byte 12", freed<12>},
    {"write after free, byte 40", freed<40>},
    {"write after free, all bytes", freed_all_over},
    {"second free at once", twice},
    {"second free 200 frees later", twice_later},
    {"second free of what was overwritten", twice_written},
    {"sized delete, 1 byte less", sized<1, 1>},
    {"sized delete, 4 times the size", sized<0, 4>},
    {"free of a pointer into a block", inside},
    {"free of a pointer to the stack", elsewhere},
    {"second free after it was handed out again", twice_reused},
    {"write into another live block", far_past},
};

/* How far a child came. */
int run(const Wrong &wrong, size_t size)
{
    *stage = WRITING;
    pid_t child = fork();
    if (child == 0) {
        alarm(20);
        wrong.body(size);
        if (*stage != HARMLESS)
            *stage = LATER;
        exit(0);
    }
    int status = 0;
    waitpid(child, &status, 0);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
        return *stage == HARMLESS ? HARMLESS : PASSED;
    return *stage == HARMLESS ? LATER : *stage;
}

void print_field(const Wrong &wrong, size_t size, int times)
{
    int count[HARMLESS + 1] = {}, worst = 0;
    for (int i = 0; i < times; i++)
        count[run(wrong, size)]++;
    for (int i = 0; i <= HARMLESS; i++)
        worst = count[i] != 0 ? i : worst;
    printf("\t%c", letters[worst]);
    if (count[worst] != times)
        printf("%d", count[worst]);
}

} // namespace

int main(int argc, char **argv)
{
    int times = argc > 1 ? atoi(argv[1]) : 10;
    void *shared = mmap(nullptr, sizeof(*stage), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (shared == MAP_FAILED || freopen("/dev/null", "w", stderr) == nullptr)
        return 1;
    stage = static_cast<volatile int *>(shared);
    setvbuf(stdout, nullptr, _IOLBF, 0);
    for (size_t size : sizes)
        printf("\t%zu", size);
    for (const Wrong &wrong : wrongs) {
        printf("\n%s", wrong.name);
        fflush(stdout);
        for (size_t size : sizes) {
            print_field(wrong, size, times);
            fflush(stdout);
        }
    }
    putchar('\n');
}
