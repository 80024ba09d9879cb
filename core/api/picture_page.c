/* SPDX-License-Identifier: MIT
 *
 * What stands around the drawings: style, headings, totals and legend.
 */
#include "api/picture.h"

#include "hakmem/hakmem.h"
#include "os/os.h"

#include <errno.h>
#include <string.h>

/* Colours are named once for light and once for dark. Groups go round the colour wheel from small blocks to large ones;
 * what is free is grey. */
static const char style[] =
    ":root{color-scheme:light "
    "dark;--bg:#ffffff;--ink:#1c2433;--dim:#5d6678;--line:#dfe3ea;--card:#f5f7fa;--faint:#e9ecf1;"
    "--grey:#9aa3b2;--mark:#1c2433;--g0:#8e46c9;--g1:#4663dc;--g2:#1f87d8;--g3:#0a9fae;--g4:#1d9d5b;--g5:#7f9f12;"
    "--g6:#c99400;--g7:#e8711a;--g8:#d23c6c;--run:#8a6552;--ss:#6b7fa6;--live:#34446a;--front:#6f83b0;--slack:#b9c4da}"
    "\n"
    "@media (prefers-color-scheme:dark){:root{--bg:#12161d;--ink:#e4e8ef;--dim:#9aa5b5;--line:#2a323e;--card:#1a2029;"
    "--faint:#232b36;--grey:#66707f;--mark:#ffffff;--g0:#b681f0;--g1:#7d93f7;--g2:#52adf2;--g3:#35c3cf;--g4:#44c283;"
    "--g5:#a9c93c;--g6:#e6b93a;--g7:#f7924a;--g8:#f06a94;--run:#b98d76;--ss:#8496bd;--live:#c3cfea;--front:#8496bd;--"
    "slack:#4d5b76}}\n"
    "body{margin:0 auto;padding:24px 32px 48px;max-width:1560px;background:var(--bg);color:var(--ink);"
    "font:15px/1.5 system-ui,sans-serif}\n"
    "h1{font-size:26px;font-weight:650;margin:0 0 2px}h2{font-size:18px;margin:34px 0 4px}p{margin:4px 0 12px;"
    "color:var(--dim);max-width:75em}p.wide{max-width:none}h1+p{margin-bottom:18px}b,code,td,dd{font-variant-numeric:"
    "tabular-nums}\n"
    "code{font:12px/1 ui-monospace,monospace;color:var(--dim)}\n"
    ".bar{display:block;width:100%;height:34px;border-radius:6px;background:var(--faint)}\n"
    "dl{display:grid;grid-template-columns:repeat(auto-fill,minmax(180px,1fr));gap:8px;margin:8px 0}.more{"
    "grid-template-columns:repeat(auto-fill,minmax(152px,1fr))}.more dd{font-size:16px}\n"
    "dl div{background:var(--card);border-radius:8px;padding:8px 12px}dt{font-size:13px;color:var(--dim)}"
    "dd{margin:0;font-size:19px;font-weight:600}dd small,li small{font-size:13px;font-weight:400;color:var(--dim)}\n"
    "ul{list-style:none;margin:8px 0;padding:0;display:grid;grid-template-columns:repeat(auto-fill,minmax(248px,1fr));"
    "gap:6px "
    "20px}#states{grid-template-columns:repeat(auto-fill,minmax(180px,1fr));margin-top:14px}li{display:flex;gap:9px;"
    "align-items:flex-start;line-height:1.35}li small{display:block}\n"
    ".k svg{width:20px;height:20px;flex:none;vertical-align:-4px;margin-left:6px}li .k svg{margin:1px 0 0}\n"
    ".k.w svg{width:84px}\n"
    ".grid{display:grid;gap:3px 30px;margin:16px 0 12px}.few{grid-template-columns:minmax(0,1180px)}\n"
    ".some{grid-template-columns:repeat(auto-fill,minmax(min(100%,560px),1fr))}"
    ".many{grid-template-columns:repeat(auto-fill,minmax(min(100%,420px),1fr));gap:1px 26px}\n"
    ".row{display:grid;grid-template-columns:8.4em minmax(0,1fr) 4.2em;gap:10px;align-items:center}"
    ".row svg{display:block;width:100%}.row b{font-size:12px;font-weight:500;color:var(--dim);text-align:right}\n"
    ".many .row{grid-template-columns:minmax(0,1fr) 3em}.many code{display:none}.row "
    ".strip{height:26px;border-radius:4px}\n"
    "rect{stroke-width:1.6}.u{fill:var(--faint)}.d{fill:url(#dot)}.e{fill:url(#hatch)}.ss{fill:var(--ss)}"
    ".run{fill:var(--run)}.x{stroke:var(--mark);stroke-width:2}\n"
    ".s0{fill-opacity:0}.s1{fill-opacity:.16}.s2{fill-opacity:.34}.s3{fill-opacity:.56}\n";

/* The groups' rules, and the patterns that rects without a colour of their own are filled with. */
static void put_groups(struct hk_fmt *f)
{
    for (unsigned g = 0; g < HK_CLASS_GROUPS; g++)
        hk_fmt(f, ".g%u{fill:var(--g%u);stroke:var(--g%u)}", g, g, g);
    hk_fmt(f, "\ntable{border-collapse:collapse;margin:8px 0}td,th{padding:3px 18px 3px 0;text-align:right;"
              "font-weight:400}th{color:var(--dim);font-size:13px}td svg{width:400px;height:12px;display:block}\n");
}

static void put_patterns(struct hk_fmt *f)
{
    hk_fmt(f, "<svg width=\"0\" height=\"0\" style=\"position:absolute\" aria-hidden=\"true\"><defs>"
              "<pattern id=\"hatch\" width=\"5\" height=\"5\" patternUnits=\"userSpaceOnUse\" "
              "patternTransform=\"rotate(45)\"><rect width=\"5\" height=\"5\" fill=\"var(--faint)\"/>"
              "<rect width=\"2.4\" height=\"5\" fill=\"var(--grey)\"/></pattern>"
              "<pattern id=\"cross\" width=\"7\" height=\"7\" patternUnits=\"userSpaceOnUse\" "
              "patternTransform=\"rotate(-45)\"><rect width=\"7\" height=\"7\" fill=\"var(--faint)\"/>"
              "<rect width=\"2\" height=\"7\" fill=\"var(--ss)\"/></pattern>"
              "<pattern id=\"dot\" width=\"1\" height=\"1\"><rect width=\"19\" height=\"19\" fill=\"var(--faint)\"/>"
              "<circle cx=\"9\" cy=\"9\" r=\"3\" fill=\"var(--grey)\"/></pattern></defs></svg>\n");
}

/* ---- heading ---- */

/* A text from outside, in a page that must stay well-formed. */
static void put_text(struct hk_fmt *f, const char *text)
{
    for (; *text != 0; text++)
        hk_fmt(f, "%c", *text < ' ' || *text > '~' || *text == '<' || *text == '&' ? '?' : *text);
}

/* The date of a moment of the clock in UTC (gmtime may allocate): years begin in March, so that leap days end them. */
static void put_date(struct hk_fmt *f, uint64_t seconds)
{
    uint64_t days = seconds / 86400 + 719468; /* since the first of March of the year 0 */
    uint64_t era = days / 146097, of_era = days % 146097;
    uint64_t year = (of_era - of_era / 1460 + of_era / 36524 - of_era / 146096) / 365;
    unsigned day = (unsigned)(of_era - (365 * year + year / 4 - year / 100));
    unsigned month = (5 * day + 2) / 153;
    day -= (153 * month + 2) / 5;
    month = month < 10 ? month + 3 : month - 9;
    hk_fmt(f, "%zu-%02u-%02u %02u:%02u:%02u UTC", (size_t)(era * 400 + year + (month <= 2)), month, day + 1,
           (unsigned)(seconds / 3600 % 24), (unsigned)(seconds / 60 % 60), (unsigned)(seconds % 60));
}

void hk_picture_head(struct hk_fmt *f, const char *moment)
{
    hk_fmt(f,
           "<!DOCTYPE html>\n<html xmlns=\"http://www.w3.org/1999/xhtml\" lang=\"en\"><head><meta charset=\"utf-8\"/>"
           "<meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n<title>Heap of ");
    put_text(f, program_invocation_short_name);
    hk_fmt(f, " (%d)</title>\n<style>\n%s", hk_os_pid(), style);
    put_groups(f);
    hk_fmt(f, "</style></head>\n<body>\n");
    put_patterns(f);
    hk_fmt(f, "<h1>Heap of ");
    put_text(f, program_invocation_short_name);
    hk_fmt(f, "</h1>\n<p>process %d, %s, ", hk_os_pid(), moment);
    put_date(f, hk_os_date());
    hk_fmt(f, ", hakmem %s</p>\n", hak_version());
}

void hk_picture_tail(struct hk_fmt *f)
{
    hk_fmt(f, "</body></html>\n");
}

/* ---- totals ---- */

static void put_share(struct hk_fmt *f, size_t part, size_t whole, const char *before, const char *after)
{
    size_t tenths = part * 1000 / hk_max(whole, 1);
    if (tenths >= 1000)
        hk_fmt(f, "%s100 %%%s", before, after);
    else
        hk_fmt(f, "%s%zu.%zu %%%s", before, tenths / 10, tenths % 10, after);
}

/* A figure, and how it is filled in the bar, if it is a part of the resident bytes. */
struct part {
    const struct hk_statistic *what;
    const char *fill;
    size_t bytes;
};

#define PART(name, fill) ((struct part){&hk_statistics[HK_STAT_##name], fill, s.name})

/* live_resident_bytes: live resident */
static void put_name(struct hk_fmt *f, const struct hk_statistic *what)
{
    size_t n = strlen(what->name) - strlen("_bytes");
    for (size_t i = 0; i < n; i++)
        hk_fmt(f, "%c", what->name[i] == '_' ? ' ' : what->name[i]);
}

static void put_bar(struct hk_fmt *f, const struct part *part, unsigned n, size_t resident)
{
    size_t x = 0;
    hk_fmt(f, "<svg class=\"bar\" role=\"img\"><title>resident memory</title>\n");
    for (unsigned i = 0; i < n; i++) {
        size_t width = part[i].bytes * 1000 / hk_max(resident, 1); /* tenths of a percent */
        hk_fmt(f, "<rect style=\"fill:%s\" x=\"%zu.%zu%%\" width=\"%zu.%zu%%\" height=\"34\"><title>", part[i].fill,
               x / 10, x % 10, width / 10, width % 10);
        put_name(f, part[i].what);
        hk_fmt(f, ": ");
        hk_stats_put_bytes(f, part[i].bytes);
        hk_fmt(f, "</title></rect>\n");
        x += width;
    }
    hk_fmt(f, "</svg>\n");
}

static void put_part(struct hk_fmt *f, const struct part *p, size_t resident)
{
    hk_fmt(f, "<div title=\"%s\"><dt>", p->what->sentence);
    if (p->fill != NULL)
        hk_fmt(f,
               "<i class=\"k\"><svg viewBox=\"0 0 20 20\" style=\"margin:0 6px 0 0\"><rect style=\"fill:%s\" "
               "width=\"20\" height=\"20\"/></svg></i>",
               p->fill);
    put_name(f, p->what);
    hk_fmt(f, "</dt><dd id=\"%s\" data-bytes=\"%zu\">", p->what->name, p->bytes);
    hk_stats_put_bytes(f, p->bytes);
    if (p->fill != NULL)
        put_share(f, p->bytes, resident, " <small>", "</small>");
    hk_fmt(f, "</dd></div>\n");
}

/* Slabs are no statistic of the process; a picture shows them one by one. */
static const struct hk_statistic unused_bytes = {
    "unused_bytes", "address space of SuperSlabs without pages", HK_IN_BYTES, false, 0, sizeof(size_t)};

void hk_picture_totals(struct hk_fmt *f, const struct hk_usage *u, const struct hk_slab_sums *sums)
{
    struct hak_stats s = {0};
    hk_stats_fill(&s, u);
    size_t unused = (sums->slabs[HK_CELL_UNUSED] + sums->slabs[HK_CELL_PURGED]) * HK_SLAB_SIZE;
    const struct part parts[] = {
        PART(live_resident_bytes, "var(--live)"), PART(front_bytes, "var(--front)"),
        PART(slab_free_bytes, "var(--slack)"),    PART(empty_bytes, "url(#hatch)"),
        PART(run_free_bytes, "url(#cross)"),      PART(metadata_bytes, "var(--dim)"),
    };
    const struct part others[] = {
        PART(resident_bytes, NULL),    PART(live_bytes, NULL),   PART(run_bytes, NULL),    PART(huge_bytes, NULL),
        {&unused_bytes, NULL, unused}, PART(purged_bytes, NULL), PART(mapped_bytes, NULL),
    };
    put_bar(f, parts, HK_COUNT(parts), s.resident_bytes);
    hk_fmt(f, "<dl>\n");
    for (unsigned i = 0; i < HK_COUNT(parts); i++)
        put_part(f, &parts[i], s.resident_bytes);
    hk_fmt(f, "</dl>\n<dl class=\"more\">\n");
    for (unsigned i = 0; i < HK_COUNT(others); i++)
        put_part(f, &others[i], s.resident_bytes);
    hk_fmt(f, "</dl>\n");
}

/* ---- legend ---- */

/* One entry: a sample, a word, and what there is of it. */
static void put_key(struct hk_fmt *f, const char *cls, bool crossed, const char *name)
{
    hk_fmt(f,
           "<li><i class=\"k\"><svg viewBox=\"0 0 20 20\"><rect class=\"%s\" x=\"1\" y=\"1\" width=\"18\" "
           "height=\"18\"/>%s</svg></i><span>%s <small>",
           cls, crossed ? "<path class=\"x\" d=\"M1 19L19 1\"/>" : "", name);
}

/* A group of classes: its sizes, slabs, and how much of what its slabs hold is live. */
static void put_group(struct hk_fmt *f, const struct hk_usage *u, unsigned group)
{
    static const char *const names[HK_CLASS_GROUPS] = {"C0", "C1", "C2", "C3", "C4", "C5", "C6", "C7", "Mid"};
    char cls[] = {'g', (char)('0' + group), ' ', 'h', 0};
    size_t slabs = 0, live = 0, resident = 0, least = 0, most = 0;
    for (unsigned i = 1; i < HK_CLASS_COUNT; i++) {
        const struct hk_class_usage *c = &u->cls[i];
        if (hk_class_group(i) != group)
            continue;
        least = least == 0 ? hk_class_size(i - 1) + 1 : least;
        most = hk_class_size(i);
        slabs += c->slabs * hk_class_slabs(i);
        live += (c->used - hk_min(c->used, c->front + c->remote)) * hk_class_size(i);
        resident += c->resident;
    }
    if (most == 0)
        return; /* this choice of classes has none in the group */
    put_key(f, cls, false, names[group]);
    hk_fmt(f, "%zu to %zu bytes", least, most);
    hk_fmt(f, "<br/>");
    if (slabs == 0) {
        hk_fmt(f, "none");
    } else {
        hk_fmt(f, "%zu slabs, ", slabs);
        hk_stats_put_bytes(f, live);
        put_share(f, hk_min(live, resident), resident, " live (", ")");
    }
    hk_fmt(f, "</small></span></li>\n");
}

static void put_state(struct hk_fmt *f, const char *cls, bool crossed, const char *name, const char *text, size_t slabs)
{
    put_key(f, cls, crossed, name);
    hk_fmt(f, "%s<br/>%zu slabs</small></span></li>\n", text, slabs);
}

void hk_picture_legend(struct hk_fmt *f, const struct hk_usage *u, const struct hk_slab_sums *sums)
{
    hk_fmt(
        f,
        "<h2 id=\"superslabs\" data-count=\"%zu\">Slabs in %zu SuperSlab%s</h2>\n<p>A row is a SuperSlab of 2 MiB, "
        "lowest address first; its 32 cells are slabs of 64 KiB (a wide cell: a span of several), and behind it stands "
        "how much of it is used, by the program or in front caches. Colour tells the size of a slab's blocks: with it "
        "stand the slabs of that size, what is live in them, and its share of their resident pages. Shade tells how "
        "many blocks are used: a full block is hot, a frame is cold.</p>\n<ul id=\"groups\">\n",
        sums->superslabs, sums->superslabs, sums->superslabs == 1 ? "" : "s");
    for (unsigned g = 0; g < HK_CLASS_GROUPS; g++)
        put_group(f, u, g);
    hk_fmt(f, "</ul>\n<ul id=\"states\">\n");
    put_state(f, "g2 h", false, "hot", "more than three quarters used", sums->hot);
    hk_fmt(f,
           "<li><i class=\"k w\"><svg viewBox=\"0 0 84 20\"><rect class=\"g2 s3\" x=\"1\" y=\"1\" width=\"18\" "
           "height=\"18\"/><rect class=\"g2 s2\" x=\"22\" y=\"1\" width=\"18\" height=\"18\"/><rect class=\"g2 s1\" "
           "x=\"43\" y=\"1\" width=\"18\" height=\"18\"/><rect class=\"g2 s0\" x=\"64\" y=\"1\" width=\"18\" "
           "height=\"18\"/></svg></i><span>cold <small>up to 3/4, 1/2, 1/4 used, none<br/>%zu slabs</small></span>"
           "</li>\n",
           sums->cold);
    put_state(f, "g2 s3", true, "ABANDONED", "its thread has ended; others adopt it", sums->slabs[HK_CELL_ABANDONED]);
    put_state(f, "e", false, "EMPTY", "free for any class, may be resident", sums->slabs[HK_CELL_EMPTY]);
    put_state(f, "d", false, "purged", "was in use, given back to the system", sums->slabs[HK_CELL_PURGED]);
    put_state(f, "u", false, "UNUSED", "never used", sums->slabs[HK_CELL_UNUSED]);
    hk_fmt(f, "</ul>\n");
}
