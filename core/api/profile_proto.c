/* SPDX-License-Identifier: MIT
 *
 * pprof's profile.proto, which pprof, speedscope, Grafana and others open, as a gzip file. What is inside is stored and
 * not compressed: the library needs libc alone.
 *
 * Messages are written as their parts become known: a repeated field may stand anywhere, so strings get their numbers
 * in the order in which they are written.
 */
#include "api/profile_report.h"
#include "hakmem/hakmem.h"
#include "os/os.h"
#include "os/whole_file.h"

#include <string.h>

/* ---- gzip ---- */

#define BLOCK 32768u

struct zip {
    int fd;
    bool failed;
    uint32_t crc, size; /* of what was put, the size modulo 2^32 */
    size_t used;
    uint32_t table[256];
    uint8_t head[5]; /* of a block: last or not, its length, the complement */
    uint8_t block[BLOCK];
};

static void start_zip(struct zip *z, int fd)
{
    static const uint8_t start[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3};
    z->fd = fd;
    z->crc = ~0u;
    for (uint32_t i = 0; i < 256; i++) {
        uint32_t c = i;
        for (unsigned bit = 0; bit < 8; bit++)
            c = (c & 1) != 0 ? c >> 1 ^ 0xedb88320u : c >> 1;
        z->table[i] = c;
    }
    z->failed = !hk_file_write(fd, start, sizeof start);
}

static void write_block(struct zip *z, bool last)
{
    uint16_t n = (uint16_t)z->used;
    z->head[0] = last;
    z->head[1] = (uint8_t)n;
    z->head[2] = (uint8_t)(n >> 8);
    z->head[3] = (uint8_t)~n;
    z->head[4] = (uint8_t)(~n >> 8);
    z->failed = z->failed || !hk_file_write(z->fd, z->head, sizeof z->head + z->used);
    z->used = 0;
}

static void put_byte(struct zip *z, uint8_t byte)
{
    if (z->used == BLOCK)
        write_block(z, false);
    z->block[z->used++] = byte;
    z->crc = z->table[(z->crc ^ byte) & 255] ^ z->crc >> 8;
    z->size++;
}

static bool end_zip(struct zip *z)
{
    write_block(z, true);
    uint32_t tail[2] = {~z->crc, z->size};
    z->failed = z->failed || !hk_file_write(z->fd, tail, sizeof tail);
    return !z->failed;
}

/* ---- protocol buffers ---- */

/* A message that lies in another one, whose length must be known first. Each is small. */
#define MESSAGE_BYTES 2048u

struct message {
    size_t used;
    uint8_t bytes[MESSAGE_BYTES];
};

static void add_byte(struct message *m, uint8_t byte)
{
    if (m->used < MESSAGE_BYTES)
        m->bytes[m->used++] = byte;
}

static void add_number(struct message *m, uint64_t n)
{
    for (; n >= 128; n >>= 7)
        add_byte(m, (uint8_t)(n | 128));
    add_byte(m, (uint8_t)n);
}

/* A number in a field; 0 is the default, and left out. */
static void add_field(struct message *m, unsigned field, uint64_t n)
{
    if (n == 0)
        return;
    add_number(m, field << 3);
    add_number(m, n);
}

static void add_message(struct message *m, unsigned field, const struct message *part)
{
    add_number(m, field << 3 | 2);
    add_number(m, part->used);
    for (size_t i = 0; i < part->used; i++)
        add_byte(m, part->bytes[i]);
}

/* ---- the profile ---- */

struct writer {
    struct zip zip;
    const struct hk_report *report;
    uint64_t strings; /* written so far */
    struct {
        char text[HK_PROFILE_NAME];
        uint64_t number; /* 0: none */
    } thread[64];        /* names of threads that were written last, by their hash */
};

static void put_number(struct zip *z, uint64_t n)
{
    for (; n >= 128; n >>= 7)
        put_byte(z, (uint8_t)(n | 128));
    put_byte(z, (uint8_t)n);
}

static void put_bytes(struct zip *z, unsigned field, const void *bytes, size_t n)
{
    put_number(z, field << 3 | 2);
    put_number(z, n);
    for (size_t i = 0; i < n; i++)
        put_byte(z, ((const uint8_t *)bytes)[i]);
}

static void put_message(struct zip *z, unsigned field, const struct message *m)
{
    put_bytes(z, field, m->bytes, m->used);
}

static void put_field(struct zip *z, unsigned field, uint64_t n)
{
    put_number(z, field << 3);
    put_number(z, n);
}

/* Returns its number. It may have to be UTF-8: what is no ASCII becomes a question mark. */
static uint64_t put_string(struct writer *w, const char *text)
{
    size_t n = strlen(text);
    put_number(&w->zip, 6 << 3 | 2);
    put_number(&w->zip, n);
    for (size_t i = 0; i < n; i++)
        put_byte(&w->zip, (uint8_t)text[i] < 128 ? (uint8_t)text[i] : '?');
    return w->strings++;
}

static uint64_t put_thread(struct writer *w, const char *text)
{
    unsigned hash = 0;
    for (const char *c = text; *c != 0; c++)
        hash = hash * 31 + (uint8_t)*c;
    hash %= HK_COUNT(w->thread);
    if (w->thread[hash].number == 0 || strcmp(w->thread[hash].text, text) != 0) {
        memcpy(w->thread[hash].text, text, HK_PROFILE_NAME);
        w->thread[hash].number = put_string(w, text);
    }
    return w->thread[hash].number;
}

static void put_value_type(struct writer *w, unsigned field, const char *type, const char *unit)
{
    struct message m = {.used = 0};
    add_field(&m, 1, put_string(w, type));
    add_field(&m, 2, put_string(w, unit));
    put_message(&w->zip, field, &m);
}

static void put_mappings(struct writer *w)
{
    for (unsigned i = 0; i < w->report->modules; i++) {
        const struct hk_module *module = &w->report->module[i];
        struct message m = {.used = 0};
        add_field(&m, 1, i + 1);
        add_field(&m, 2, module->from);
        add_field(&m, 3, module->to);
        add_field(&m, 4, module->offset);
        add_field(&m, 5, put_string(w, module->path));
        add_field(&m, 6, put_string(w, module->build_id));
        add_field(&m, 7, module->named);
        put_message(&w->zip, 3, &m);
    }
}

/* The function of a place that is the first of its function. */
static void put_function(struct writer *w, const struct hk_place *place)
{
    char name[HK_NAME_BYTES];
    struct message m = {.used = 0};
    hk_report_name(w->report, place, name);
    add_field(&m, 1, place->function);
    add_field(&m, 2, put_string(w, name));
    add_field(&m, 3, put_string(w, place->name != NULL ? place->name : name));
    put_message(&w->zip, 5, &m);
}

/* The address is one inside the call, and not the one behind it: tools look its line up as it is. */
static void put_places(struct writer *w)
{
    const struct hk_report *r = w->report;
    for (size_t i = 0; i < r->places; i++) {
        const struct hk_place *place = &r->place[i];
        struct message m = {.used = 0}, line = {.used = 0};
        if (i == 0 || r->place[i - 1].function != place->function)
            put_function(w, place);
        add_field(&line, 1, place->function);
        add_field(&m, 1, i + 1);
        add_field(&m, 2, place->module);
        add_field(&m, 3, place->pc - 1);
        add_message(&m, 4, &line);
        put_message(&w->zip, 4, &m);
    }
}

static void add_label(struct message *m, uint64_t key, uint64_t text, uint64_t number, uint64_t unit)
{
    struct message label = {.used = 0};
    add_field(&label, 1, key);
    add_field(&label, 2, text);
    add_field(&label, 3, number);
    add_field(&label, 4, unit);
    add_message(m, 3, &label);
}

static void put_samples(struct writer *w)
{
    const struct hk_report *r = w->report;
    uint64_t thread = put_string(w, "thread"), size = put_string(w, "bytes"), unit = put_string(w, "bytes");
    for (size_t i = 0; i < r->result.rows && !w->zip.failed; i++) {
        const struct hk_profile_row *row = &r->result.row[i];
        const struct hk_profile_sums *s = &row->sums;
        const double values[] = {s->total, s->total_bytes, s->live, s->live_bytes, s->peak, s->peak_bytes};
        struct message m = {.used = 0}, ids = {.used = 0}, numbers = {.used = 0};
        for (unsigned d = 0; d < row->stack->depth; d++)
            add_number(&ids, hk_report_place(r, row->stack->pc[d]) + 1);
        for (unsigned v = 0; v < HK_COUNT(values); v++)
            add_number(&numbers, hk_profile_whole(values[v]));
        add_message(&m, 1, &ids);
        add_message(&m, 2, &numbers);
        add_label(&m, size, 0, row->bytes, unit);
        if (row->stack->thread[0] != 0)
            add_label(&m, thread, put_thread(w, row->stack->thread), 0, 0);
        put_message(&w->zip, 2, &m);
    }
}

/* The names that pprof knows of Go's heaps, and two more. */
static void put_head(struct writer *w)
{
    const struct hk_profile_result *result = &w->report->result;
    put_string(w, ""); /* the first must be */
    put_value_type(w, 1, "alloc_objects", "count");
    put_value_type(w, 1, "alloc_space", "bytes");
    put_value_type(w, 1, "inuse_objects", "count");
    put_value_type(w, 1, "inuse_space", "bytes");
    put_value_type(w, 1, "peak_objects", "count");
    put_value_type(w, 1, "peak_space", "bytes");
    put_field(&w->zip, 14, w->strings - 2);
    put_value_type(w, 11, "space", "bytes");
    put_field(&w->zip, 12, result->interval);
    put_field(&w->zip, 9, hk_os_date() * 1000000000u);
    put_field(&w->zip, 10, (hk_os_date() - result->began) * 1000000000u);
    put_field(&w->zip, 7,
              put_string(w, "hk_.*|hak_.*|malloc|calloc|realloc|reallocarray|operator new.*|aligned_alloc|"
                            "memalign|posix_memalign|malloc_counted|resize_or_move|move_to_new"));
    if (result->lost != 0)
        put_field(&w->zip, 13, put_string(w, "hakmem had no memory for some records: what they held is missing"));
}

bool hk_profile_write_proto(const struct hk_report *r, int fd)
{
    size_t room = hk_align_up(sizeof(struct writer), hk_os_page_size());
    struct writer *w = hk_os_map(room);
    if (w == NULL)
        return false;
    w->report = r;
    start_zip(&w->zip, fd);
    put_head(w);
    put_mappings(w);
    put_places(w);
    put_samples(w);
    bool written = end_zip(&w->zip);
    hk_os_unmap(w, room);
    return written;
}
