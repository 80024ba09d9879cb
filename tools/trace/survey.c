/* SPDX-License-Identifier: MIT
 *
 * See survey.h; and the commands that print it: info and dump.
 */
#include "survey.h"

#include "model.h"
#include "trace.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

static int by_number(const void *a, const void *b)
{
    uint64_t left = ((const struct trace_touch *)a)->number, right = ((const struct trace_touch *)b)->number;
    return left < right ? -1 : left > right;
}

void survey(const char *path, struct trace_summary *summary, struct trace_touch **touches, size_t *count)
{
    struct reader reader;
    struct model model;
    struct trace_event event;
    struct step steps[2];
    uint32_t thread;
    reader_open(&reader, path, false);
    model_begin(&model, reader.threads);
    while (reader_next(&reader, &event, &thread)) {
        model_take(&model, thread, &event, steps);
        model_release(&model, model.held_count);
    }
    *summary = model.sums;
    summary->threads = reader.threads;
    summary->left_blocks = model.count;
    summary->left_bytes = model.live_bytes;
    summary->units_per_second = 1;
    *touches = model.touches;
    *count = model.touch_count;
    model.touches = NULL;
    if (*count != 0)
        qsort(*touches, *count, sizeof(**touches), by_number);
    model_end(&model);
    reader_close(&reader);
}

void survey_opened(struct reader *reader)
{
    if (!reader->whole) {
        fprintf(stderr, "hakmem: %s has no end: its writer was killed, or there was no room; it is read up to there\n",
                reader->path);
        survey(reader->path, &reader->summary, &reader->touches, &reader->touch_count);
    }
}

/* JSON's strings: what is not plain ASCII as \u00XX. */
static void print_text(const char *text)
{
    putchar('"');
    for (; *text != '\0'; text++) {
        unsigned char letter = (unsigned char)*text;
        if (letter < ' ' || letter > '~' || letter == '"' || letter == '\\')
            printf("\\u%04x", letter);
        else
            putchar(letter);
    }
    putchar('"');
}

/* TRACE: one JSON object. */
int trace_info(char **words)
{
    struct reader reader;
    reader_open(&reader, words[0], true);
    survey_opened(&reader);
    const struct trace_summary *sums = &reader.summary;
    printf("{\"version\": 1, \"command\": ");
    print_text(reader.header.command);
    printf(", \"pid\": %" PRIu64 ", \"recorded\": %" PRIu64 ", \"whole\": %s", sums->pid, reader.header.seconds,
           reader.whole ? "true" : "false");
    const struct {
        const char *name;
        uint64_t value;
    } figures[] = {
        {"file_bytes", reader.size},
        {"events", sums->events},
        {"threads", sums->threads},
        {"allocations", sums->allocations},
        {"resizes", sums->resizes},
        {"frees", sums->frees},
        {"peak_live_bytes", sums->peak_bytes},
        {"peak_blocks", sums->peak_blocks},
        {"most_blocks", sums->most_blocks},
        {"left_bytes", sums->left_bytes},
        {"left_blocks", sums->left_blocks},
        {"lost", sums->lost},
        {"refused", sums->refused},
        {"unknown_frees", sums->unknown},
        {"reused_addresses", sums->reused},
        {"blocks_partly_resident", reader.touch_count},
    };
    for (size_t at = 0; at < sizeof(figures) / sizeof(figures[0]); at++)
        printf(", \"%s\": %" PRIu64, figures[at].name, figures[at].value);
    if (reader.whole)
        printf(", \"seconds\": %.6f, \"peak_seconds\": %.6f", (double)sums->duration / (double)sums->units_per_second,
               (double)sums->peak_time / (double)sums->units_per_second);
    printf("}\n");
    reader_close(&reader);
    return fflush(stdout) == 0 ? 0 : 125;
}

/* TRACE: a line for each step: number, thread, what, slot, where it came from (a resize), size, alignment. */
int trace_dump(char **words)
{
    static const char *const names[] = {"malloc", "calloc", "aligned", "free", "leave", "resize", "stay", "end"};
    struct reader reader;
    struct model model;
    struct trace_event event;
    struct step steps[2];
    uint32_t thread;
    reader_open(&reader, words[0], true);
    model_begin(&model, reader.threads);
    while (reader_next(&reader, &event, &thread)) {
        unsigned count = model_take(&model, thread, &event, steps);
        model_release(&model, model.held_count);
        for (unsigned at = 0; at < count; at++) {
            const struct step *step = &steps[at];
            printf("%" PRIu64 " %" PRIu32 " %s %" PRId32 " %" PRId32 " %" PRIu64 " %u\n", event.number, thread,
                   names[step->kind], (int32_t)step->slot, (int32_t)step->from, step->size, 1U << step->align_log2);
        }
    }
    model_end(&model);
    reader_close(&reader);
    return fflush(stdout) == 0 ? 0 : 125;
}
