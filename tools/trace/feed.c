/* SPDX-License-Identifier: MIT
 *
 * `hakmem-trace feed`: reads a trace and cuts it into turns (feed.h) for the process that replays it.
 *
 * How far a turn may go. Whatever order its queues run in, live bytes are at most those at its beginning and the sum,
 * over its threads, of the most that each has more than it began with. A turn ends before that would pass the peak of
 * the trace. Of one thread it never does; of many, turns are short where the program is near its peak.
 */
#define _GNU_SOURCE

#include "feed.h"

#include "futex.h"
#include "model.h"
#include "survey.h"
#include "trace.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>

void feed_hand_over(struct feed *feed, enum feed_turn to)
{
    atomic_store_explicit(&feed->turn, to, memory_order_release); /* feed_await */
    futex_wake(&feed->turn, 1);
}

void feed_await(struct feed *feed, enum feed_turn mine, void (*alive)(void))
{
    uint32_t now;
    while ((now = atomic_load_explicit(&feed->turn, memory_order_acquire)) != mine && now != FEED_OVER) {
        alive();
        futex_wait(&feed->turn, now);
    }
}

/* What a thread has in the turn that is being made. */
struct lane {
    uint32_t turn; /* the number of the last turn that it is in */
    uint32_t at;   /* of its queue */
    int64_t more;  /* live bytes now, less those at the beginning */
    int64_t most;  /* that this was */
};

struct cutter {
    struct feed *feed;
    struct model model;
    struct lane *lanes;  /* by thread */
    struct feed_op *ops; /* of this turn, in the order of the trace */
    uint32_t *queues;    /* the queue of each */
    uint32_t count, turn;
    size_t touch;                    /* in the reader's list: the first whose block is still to come */
    uint64_t begin_bytes, now_bytes; /* live at the beginning of the turn, and after its last step */
    uint64_t most_more;              /* the sum of `most` */
};

static void begin_turn(struct cutter *cutter)
{
    cutter->count = 0;
    cutter->turn++;
    cutter->feed->queues = 0;
    cutter->begin_bytes = cutter->now_bytes;
    cutter->most_more = 0;
}

static int64_t change_of(const struct step *step)
{
    int64_t size = (int64_t)step->size;
    return step->kind == STEP_FREE || step->kind == STEP_LEAVE ? -size : size;
}

/* How much of a large block the program touched. */
static void set_touched(struct cutter *cutter, const struct reader *reader, uint64_t number, struct step *step)
{
    while (cutter->touch < reader->touch_count && reader->touches[cutter->touch].number < number)
        cutter->touch++;
    bool found = cutter->touch < reader->touch_count && reader->touches[cutter->touch].number == number;
    uint64_t pages = found ? reader->touches[cutter->touch].pages : UINT32_MAX;
    if (step->kind == STEP_RESIZE)
        step->align_log2 =
            (uint8_t)(found && step->size != 0 ? (pages * 4096 * 255 + step->size - 1) / step->size : 255);
    else if (step->kind <= STEP_ALIGNED)
        step->from = pages < UINT32_MAX ? (uint32_t)pages : UINT32_MAX;
}

/* Does the turn have room for these steps, and keep below the peak with them? */
static bool has_room(const struct cutter *cutter, uint32_t thread, const struct step *steps, unsigned count)
{
    const struct lane *lane = &cutter->lanes[thread];
    bool is_in = lane->turn == cutter->turn;
    int64_t more = is_in ? lane->more : 0, most = is_in ? lane->most : 0;
    uint64_t all = cutter->begin_bytes + cutter->most_more - (uint64_t)most;
    for (unsigned at = 0; at < count; at++) {
        more += change_of(&steps[at]);
        most = more > most ? more : most;
    }
    return cutter->count + count <= FEED_OPS && all + (uint64_t)most <= cutter->feed->peak_bytes;
}

static void add(struct cutter *cutter, uint32_t thread, const struct step *step)
{
    struct lane *lane = &cutter->lanes[thread];
    struct feed *feed = cutter->feed;
    if (lane->turn != cutter->turn) {
        *lane = (struct lane){.turn = cutter->turn, .at = feed->queues};
        feed->queue[feed->queues++] = (struct feed_queue){.thread = thread};
    }
    int64_t change = change_of(step);
    lane->more += change;
    cutter->now_bytes += (uint64_t)change;
    if (lane->more > lane->most) {
        cutter->most_more += (uint64_t)(lane->more - lane->most);
        lane->most = lane->more;
    }
    if (step->slot != MODEL_NONE && step->slot >= feed->slots)
        trace_die("the trace has more blocks than it says");
    feed->queue[lane->at].count++;
    feed->queue[lane->at].last |= step->kind == STEP_END;
    cutter->queues[cutter->count] = lane->at;
    cutter->ops[cutter->count++] = (struct feed_op){
        .size_kind = step->size << 16 | (uint64_t)step->align_log2 << 8 | step->kind,
        .slot = step->slot,
        .from = step->from,
    };
}

static void player_lives(void)
{
    if (getppid() == 1)
        _exit(0);
}

/* Sorts the steps by queue, and has the turn run. */
static void end_turn(struct cutter *cutter)
{
    struct feed *feed = cutter->feed;
    uint32_t first = 0;
    if (cutter->count == 0)
        return;
    for (uint32_t at = 0; at < feed->queues; at++) {
        feed->queue[at].first = first;
        first += feed->queue[at].count;
        feed->queue[at].count = 0;
    }
    for (uint32_t at = 0; at < cutter->count; at++) {
        struct feed_queue *queue = &feed->queue[cutter->queues[at]];
        feed->op[queue->first + queue->count++] = cutter->ops[at];
    }
    feed_hand_over(feed, FEED_PLAYER);
    feed_await(feed, FEED_READER, player_lives);
    begin_turn(cutter);
}

static void cut(struct cutter *cutter, struct reader *reader)
{
    struct trace_event event;
    struct step steps[2];
    uint32_t thread;
    begin_turn(cutter);
    while (reader_next(reader, &event, &thread)) {
        size_t before = cutter->model.held_count;
        unsigned count = model_take(&cutter->model, thread, &event, steps);
        if (!has_room(cutter, thread, steps, count)) {
            end_turn(cutter);
            model_release(&cutter->model, before); /* what this event frees is used in the turn that begins */
        }
        for (unsigned at = 0; at < count; at++) {
            set_touched(cutter, reader, event.number, &steps[at]);
            add(cutter, thread, &steps[at]);
        }
        if (event.number == reader->summary.peak_number) {
            end_turn(cutter);
            model_release(&cutter->model, cutter->model.held_count);
        }
    }
    end_turn(cutter);
}

/* DESCRIPTOR TRACE */
int trace_feed(char **words)
{
    struct reader reader;
    struct cutter cutter = {.count = 0};
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    cutter.feed = mmap(NULL, sizeof(*cutter.feed), PROT_READ | PROT_WRITE, MAP_SHARED, atoi(words[0]), 0);
    if (cutter.feed == MAP_FAILED)
        trace_die("feed: no shared memory");
    reader_open(&reader, words[1], true);
    survey_opened(&reader);
    if (reader.summary.most_blocks > MODEL_NONE - 4 * FEED_OPS)
        trace_die("the trace has too many blocks");
    cutter.feed->slots = (uint32_t)reader.summary.most_blocks + 4 * FEED_OPS;
    cutter.feed->threads = reader.threads;
    cutter.feed->peak_bytes = reader.summary.peak_bytes;
    cutter.feed->events = reader.summary.events;
    model_begin(&cutter.model, reader.threads);
    cutter.lanes = calloc((size_t)reader.threads + 1, sizeof(*cutter.lanes));
    cutter.ops = malloc(FEED_OPS * sizeof(*cutter.ops));
    cutter.queues = malloc(FEED_OPS * sizeof(*cutter.queues));
    if (cutter.lanes == NULL || cutter.ops == NULL || cutter.queues == NULL)
        trace_die("feed: no memory");
    cut(&cutter, &reader);
    model_end(&cutter.model);
    reader_close(&reader);
    free(cutter.lanes);
    free(cutter.ops);
    free(cutter.queues);
    feed_hand_over(cutter.feed, FEED_OVER);
    return 0;
}
