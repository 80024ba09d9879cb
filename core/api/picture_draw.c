/* SPDX-License-Identifier: MIT
 *
 * The rows, the strips and the table of large blocks.
 */
#include "api/picture.h"

#include "box/hot_cold.h"
#include "os/os.h"

/* Units of a row's drawing: the distance from cell to cell, and a cell of one slab. */
#define PITCH 21u
#define WIDTH 18u
#define HEIGHT 18u

/* SuperSlabs that are looked for at a time. */
#define BATCH 128u

/* ---- a cell ---- */

static const char *const state_names[] = {"", "active", "partial", "full"};

/* How a used slab looks: a filled block where it is hot, a frame filled more or less where it is cold. */
static const char *shade_of(const struct hk_cell *c)
{
    if (hk_temperature(c->used, c->capacity) == HK_TEMP_HOT)
        return "h";
    return c->used == 0 ? "s0" : c->used * 4 <= c->capacity ? "s1" : c->used * 2 <= c->capacity ? "s2" : "s3";
}

static void draw_tooltip(struct hk_fmt *f, const struct hk_row *row, unsigned index, const struct hk_cell *c)
{
    static const char *const names[] = {"UNUSED: never used", "UNUSED: purged", "EMPTY"};
    char *base = row->base + index * HK_SLAB_SIZE;
    size_t resident = hk_os_resident(base, c->slabs * HK_SLAB_SIZE);
    hk_fmt(f, "<title>slab %u", index);
    if (c->slabs > 1)
        hk_fmt(f, "-%u", index + c->slabs - 1);
    if (c->kind < HK_CELL_OWNED) {
        hk_fmt(f, ": %s", names[c->kind]);
    } else {
        unsigned capacity = (unsigned)hk_max(c->capacity, 1);
        hk_fmt(f, ": blocks of %zu bytes, %u of %u used (%u %%), %s, %s%s", hk_class_size(c->cls), c->used, c->capacity,
               c->used * 100 / capacity, hk_temperature(c->used, c->capacity) == HK_TEMP_HOT ? "hot" : "cold",
               state_names[c->state % HK_COUNT(state_names)],
               c->kind == HK_CELL_ABANDONED ? ", ABANDONED: its thread has ended" : "");
    }
    hk_fmt(f, "; %zu KiB resident</title>", resident / HK_KIB);
}

static void draw_cell(struct hk_fmt *f, const struct hk_row *row, unsigned index, const struct hk_cell *c, bool told)
{
    static const char *const classes[] = {"u", "d", "e"};
    unsigned x = index * PITCH + 1, width = (c->slabs - 1u) * PITCH + WIDTH;
    hk_fmt(f, "<rect class=\"");
    if (c->kind >= HK_CELL_OWNED)
        hk_fmt(f, "g%u %s", hk_class_group(c->cls), shade_of(c));
    else
        hk_fmt(f, "%s", classes[c->kind]);
    hk_fmt(f, "\" x=\"%u\" y=\"1\" width=\"%u\" height=\"%u\"", x, width, HEIGHT);
    if (told) {
        hk_fmt(f, ">");
        draw_tooltip(f, row, index, c);
        hk_fmt(f, "</rect>");
    } else {
        hk_fmt(f, "/>");
    }
    if (c->kind == HK_CELL_ABANDONED)
        hk_fmt(f, "<path class=\"x\" d=\"M%u %uL%u 1\"/>", x, HEIGHT + 1, x + width);
    hk_fmt(f, "\n");
}

/* ---- a SuperSlab ---- */

static void draw_row(struct hk_fmt *f, const struct hk_row *row, bool told)
{
    size_t used = 0;
    unsigned slabs[HK_CELL_KINDS] = {0};
    for (unsigned i = 0; i < row->cells; i++) {
        const struct hk_cell *c = &row->cell[i];
        slabs[c->kind] += c->slabs;
        used += c->kind >= HK_CELL_OWNED ? c->used * hk_class_size(c->cls) : 0;
    }
    hk_fmt(f, "<div class=\"row\"><code>%p</code><svg viewBox=\"0 0 %u %u\" role=\"img\"><title>SuperSlab %p",
           row->base, HK_SLABS * PITCH - 1, HEIGHT + 2, row->base);
    if (row->node != 0)
        hk_fmt(f, " on node %u", row->node);
    hk_fmt(f, ": %u slabs owned, %u abandoned, %u EMPTY, %u purged, %u never used</title>\n", slabs[HK_CELL_OWNED],
           slabs[HK_CELL_ABANDONED], slabs[HK_CELL_EMPTY], slabs[HK_CELL_PURGED], slabs[HK_CELL_UNUSED]);
    for (unsigned i = 0, index = 0; i < row->cells; index += row->cell[i++].slabs)
        draw_cell(f, row, index, &row->cell[i], told);
    hk_fmt(f, "</svg><b>%zu %%</b></div>\n", used * 100 / HK_SUPERSLAB_SIZE);
}

/* Few rows are drawn large and below each other, many small and side by side. */
static const char *grid_class(size_t rows)
{
    return rows <= 24 ? "few" : rows <= 128 ? "some" : "many";
}

static void draw_superslabs(struct hk_fmt *f, size_t expected)
{
    char *base[BATCH], *last = NULL;
    struct hk_row row;
    size_t drawn = 0;
    unsigned n;
    hk_fmt(f, "<div class=\"grid %s\">\n", grid_class(expected));
    do {
        n = hk_picture_superslabs(last, base, BATCH);
        for (unsigned i = 0; i < n && drawn < HK_ROWS_MOST; i++) {
            last = base[i];
            if (hk_picture_row(base[i], &row))
                draw_row(f, &row, drawn++ < HK_ROWS_TOLD);
        }
    } while (n == BATCH && drawn < HK_ROWS_MOST);
    hk_fmt(f, "</div>\n");
    if (expected > drawn && drawn == HK_ROWS_MOST)
        hk_fmt(f, "<p id=\"more\">and %zu SuperSlabs more at higher addresses, which the totals count.</p>\n",
               expected - drawn);
    if (drawn > HK_ROWS_TOLD)
        hk_fmt(f, "<p>Cells of the first %u rows tell what they are when they are pointed at.</p>\n", HK_ROWS_TOLD);
    if (drawn == 0)
        hk_fmt(f, "<p>There is none.</p>\n");
}

/* ---- arenas ---- */

#define STRIP_HEIGHT 24u

static bool same_part(const struct hk_strip *s, unsigned a, unsigned b)
{
    return s->part[a].superslab == s->part[b].superslab && s->part[a].run == s->part[b].run &&
           s->part[a].resident == s->part[b].resident;
}

/* Parts a to b-1, which are the same: what lies in them, stacked. */
static void draw_parts(struct hk_fmt *f, const struct hk_strip *s, unsigned a, unsigned b)
{
    static const char *const classes[] = {"ss", "run", "e"};
    const uint32_t kib[] = {s->part[a].superslab, s->part[a].run, s->part[a].resident};
    size_t whole = s->step / HK_KIB;
    size_t y = STRIP_HEIGHT;
    for (unsigned i = 0; i < HK_COUNT(kib); i++) {
        size_t height = hk_min(((size_t)kib[i] * STRIP_HEIGHT + whole - 1) / whole, y); /* anything can be seen */
        y -= height;
        if (height != 0)
            hk_fmt(f, "<rect class=\"%s\" x=\"%u\" y=\"%zu\" width=\"%u\" height=\"%zu\"/>\n", classes[i], a * 4, y,
                   (b - a) * 4, height);
    }
}

static void draw_strip(struct hk_fmt *f, const struct hk_strip *s)
{
    hk_fmt(f,
           "<div class=\"row\"><code>%p</code><svg class=\"strip\" viewBox=\"0 0 %u %u\" preserveAspectRatio=\"none\" "
           "role=\"img\"><title>arena ",
           s->base, s->parts * 4, STRIP_HEIGHT);
    hk_stats_put_bytes(f, s->size);
    hk_fmt(f, ": SuperSlabs ");
    hk_stats_put_bytes(f, s->superslabs);
    hk_fmt(f, ", live page runs ");
    hk_stats_put_bytes(f, s->runs);
    hk_fmt(f, ", free ");
    hk_stats_put_bytes(f, s->free);
    hk_fmt(f, " of which resident ");
    hk_stats_put_bytes(f, s->resident);
    hk_fmt(f, "</title>\n<rect class=\"u\" width=\"%u\" height=\"%u\"/>\n", s->parts * 4, STRIP_HEIGHT);
    for (unsigned a = 0, b; a < s->parts; a = b) {
        for (b = a + 1; b < s->parts && same_part(s, a, b);)
            b++;
        draw_parts(f, s, a, b);
    }
    hk_fmt(f, "</svg><b>");
    hk_stats_put_bytes(f, s->size);
    hk_fmt(f, "</b></div>\n");
}

#define ARENAS_MOST 64u

static void draw_arenas(struct hk_fmt *f)
{
    struct hk_strip strip;
    unsigned number = 0;
    hk_fmt(f, "<h2>Arenas</h2>\n<p class=\"wide\">What SuperSlabs and page runs are cut from, in address order. ");
    hk_fmt(f, "<i class=\"k\"><svg viewBox=\"0 0 20 20\"><rect class=\"ss\" width=\"20\" height=\"20\"/></svg></i> "
              "SuperSlabs <i class=\"k\"><svg viewBox=\"0 0 20 20\"><rect class=\"run\" width=\"20\" height=\"20\"/>"
              "</svg></i> live page runs <i class=\"k\"><svg viewBox=\"0 0 20 20\"><rect class=\"e\" width=\"20\" "
              "height=\"20\"/></svg></i> free, resident <i class=\"k\"><svg viewBox=\"0 0 20 20\"><rect class=\"u\" "
              "width=\"20\" height=\"20\"/></svg></i> address space only</p>\n<div class=\"grid few\">\n");
    while (number < ARENAS_MOST && hk_picture_arena(number, &strip)) {
        draw_strip(f, &strip);
        number++;
    }
    hk_fmt(f, "</div>\n");
    if (number == ARENAS_MOST)
        hk_fmt(f, "<p>Arenas after the first %u are not drawn.</p>\n", ARENAS_MOST);
}

/* ---- large blocks ---- */

static void draw_large(struct hk_fmt *f)
{
    struct hk_large large;
    size_t most = 0, count = 0;
    hk_picture_large(&large);
    for (unsigned i = 0; i < HK_LARGE_KINDS; i++) {
        most = hk_max(most, large.bytes[i]);
        count += large.count[i];
    }
    hk_fmt(
        f,
        "<h2>Large blocks</h2>\n<p>Page runs above 32 KiB, and above 32 MiB mappings of their own: %zu blocks.</p>\n",
        count);
    if (count == 0)
        return;
    hk_fmt(f, "<table id=\"large\"><tr><th>up to</th><th>blocks</th><th>together</th><th></th></tr>\n");
    for (unsigned i = 0; i < HK_LARGE_KINDS; i++) {
        if (large.count[i] == 0)
            continue;
        hk_fmt(f, "<tr><td>");
        hk_stats_put_bytes(f, i + 1 < HK_LARGE_KINDS ? (64 * HK_KIB) << i : SIZE_MAX);
        hk_fmt(f, "</td><td>%zu</td><td>", large.count[i]);
        hk_stats_put_bytes(f, large.bytes[i]);
        hk_fmt(f,
               "</td><td><svg viewBox=\"0 0 400 12\"><rect class=\"run\" width=\"%zu\" height=\"12\"/></svg></td>"
               "</tr>\n",
               hk_max(large.bytes[i] / hk_max(most / 400, 1), 1));
    }
    hk_fmt(f, "</table>\n");
}

void hk_picture_draw(struct hk_fmt *f, const char *moment)
{
    struct hk_usage u;
    struct hk_slab_sums sums;
    hk_usage_read(&u, HK_USAGE_RESIDENT);
    hk_picture_sum(&sums);
    hk_picture_head(f, moment);
    hk_picture_totals(f, &u, &sums);
    hk_picture_legend(f, &u, &sums);
    draw_superslabs(f, sums.superslabs);
    draw_arenas(f);
    draw_large(f);
    hk_picture_tail(f);
}
