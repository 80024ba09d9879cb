/* SPDX-License-Identifier: MIT
 *
 * profile_report: a profile made ready to be written: what was sampled, each return address once, with the file that it
 * lies in and the function's name. Included by api/profile_ANY.c, api/profile_ANY.h,
 * api/leaks_ANY.h and api/report_frame.h only.
 *
 * A report is its caller's; all of it is in mappings of its own, and reads files. Nothing allocates. Never in malloc.
 */
#ifndef HK_API_PROFILE_REPORT_H
#define HK_API_PROFILE_REPORT_H

#include "front/profiled.h"
#include "os/maps.h"

/* A mapping of the process, of code. */
struct hk_module {
    uintptr_t from, to;
    uint64_t offset;    /* in the file */
    const char *path;   /* "" where it has none */
    char build_id[41];  /* in hexadecimal digits; "" where it has none */
    const uint8_t *elf; /* the file, or the one with its symbols; NULL: it was not read */
    size_t elf_size;
    bool named;     /* it has a table of symbols */
    uint64_t shift; /* what is added to an address to have it as the file counts */
};

struct hk_symbol {
    uint64_t from, size;
    const char *name;
};

/* A return address. */
struct hk_place {
    uintptr_t pc;
    unsigned module;  /* its number from 1 on; 0: none */
    const char *name; /* of the function; NULL: not known */
    uint64_t into;    /* how far behind the function's start the call is; 0 where that is not known either */
    const char *file; /* of the source, and the line in it; NULL: not known, or not asked for (api/leaks_lines.h) */
    unsigned line;
    unsigned function; /* the number, from 1 on, of the function; places of one function are neighbours */
};

struct hk_report {
    struct hk_profile_result result;
    struct hk_module *module; /* by address */
    unsigned modules;
    size_t module_room;
    struct hk_maps maps;    /* what paths point into */
    struct hk_place *place; /* by address */
    size_t places, place_room;
};

/* False: there is no memory for it, or no profile can be read now. */
bool hk_report_make(struct hk_report *r);

/* The same of rows that are there already, and nothing else of the report; false: they were dropped. */
bool hk_report_complete(struct hk_report *r);
void hk_report_drop(struct hk_report *r);

/* The number of an address's place. */
size_t hk_report_place(const struct hk_report *r, uintptr_t pc);

#define HK_NAME_BYTES 512u

/* What a place is called, for people: the function without its parameters, or the file and where in it the
 * function begins. */
void hk_report_name(const struct hk_report *r, const struct hk_place *place, char name[HK_NAME_BYTES]);

/* ---- the files that can be written ---- */

/* A sum as files have it: whole, and 0 where rounding has left less. */
static inline unsigned long long hk_profile_whole(double sum)
{
    return sum > 0 ? (unsigned long long)(sum + 0.5) : 0;
}

enum hk_profile_what { HK_PROFILE_LIVE, HK_PROFILE_PEAK, HK_PROFILE_TOTAL };

/* Each: false where a write fails. */
bool hk_profile_write_folded(const struct hk_report *r, int fd, enum hk_profile_what what);
bool hk_profile_write_proto(const struct hk_report *r, int fd);
bool hk_profile_write_page(const struct hk_report *r, int fd);

#endif
