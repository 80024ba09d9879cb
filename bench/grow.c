/* SPDX-License-Identifier: MIT
 *
 * Grow: strings and vectors that grow by realloc until they have reached their length, log-uniform up to 1 MiB, and are
 * freed; many at once. They double, as vectors do, or get a little longer each time, as a string to which lines are
 * added. What is measured is how often an allocator copies, and where it leaves what a grown block was before.
 */
#include "sizes.h"

enum { STEPS, LIVE, HOW, MAX, TOUCH, SEED };
enum { DOUBLE, LITTLE, BOTH };
#define FIRST 16  /* the least that is added */
#define LINE 241u /* and what of it is random: up to 256 bytes in all */

struct string {
    char *bytes;
    size_t length, goal;
    bool doubles;
};

int main(int argc, char **argv)
{
    static const char *const how_words[] = {"double", "little", "both", NULL};
    struct bench_arg args[] = {
        [STEPS] = {.name = "steps", .value = 250000, .max = BENCH_MAX_ITERATIONS, .help = "calls of realloc"},
        [LIVE] = {.name = "live", .value = 64, .min = 1, .max = 1 << 28, .help = "strings at once"},
        [HOW] = {.name = "how", .value = BOTH, .choices = how_words, .help = "they grow"},
        [MAX] = {.name = "max", .value = 1 << 20, .min = FIRST * 2, .max = BENCH_MAX_SIZE, .help = "longest, bytes"},
        [TOUCH] = {.name = "touch", .value = BENCH_PAGES, .choices = bench_touch_words, .help = "what is written"},
        [SEED] = {.name = "seed", .value = 42, .max = UINT64_MAX, .help = "of the random numbers"},
    };
    bench_args(argc, argv, "strings that grow by realloc and are freed", args, BENCH_COUNT(args));
    struct bench_sizes goals = bench_sizes(FIRST * 2, args[MAX].value);
    uint64_t random = bench_seed(args[SEED].value);
    size_t stride = bench_stride(args[TOUCH].value);
    uint32_t live = (uint32_t)args[LIVE].value;
    bench_pin(0);
    struct string *strings = bench_table(live, sizeof(*strings));
    uint64_t start = bench_clock();
    for (uint64_t i = 0; i < args[STEPS].value; i++) {
        uint64_t bits = bench_next(&random);
        struct string *string = &strings[bench_scale(bits, live)];
        if (string->length >= string->goal) { /* or there is none yet */
            free(string->bytes);
            *string = (struct string){
                .goal = bench_draw(goals, bits >> 32),
                .doubles = args[HOW].value == DOUBLE || (args[HOW].value == BOTH && (bits & 1) != 0),
            };
        }
        size_t more = string->doubles && string->length != 0 ? string->length : FIRST + bench_scale(bits >> 32, LINE);
        char *bytes = realloc(string->bytes, string->length + more);
        if (string->length != 0 && (bytes[0] != (char)string->goal || bytes[string->length - 1] != (char)string->goal))
            bench_die("realloc lost what was in a string");
        bench_write(bytes + string->length, more, string->goal, stride);
        string->bytes = bytes;
        string->length += more;
    }
    bench_result(start, args[STEPS].value);
    for (uint32_t i = 0; i < live; i++)
        free(strings[i].bytes);
    return 0;
}
