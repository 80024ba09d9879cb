/* SPDX-License-Identifier: MIT
 *
 * Leaks that are known and not to be told: a file of lines leak:PATTERN, as LeakSanitizer has them. Other lines are
 * passed over, so that a file may serve both.
 */
#include "api/leaks_match.h"
#include "api/leaks_report.h"
#include "base/fmt.h"
#include "os/os.h"
#include "os/whole_file.h"

#include <string.h>

#define START "leak:"

/* ---- the file ---- */

struct ignored_file {
    const char *text;
    size_t size;
};

/* Does a line of the file describe a text? */
static bool has_match(const struct ignored_file *f, const char *text)
{
    for (size_t at = 0; at < f->size;) {
        const char *line = f->text + at, *end = memchr(line, '\n', f->size - at);
        size_t n = end != NULL ? (size_t)(end - line) : f->size - at;
        at += n + 1;
        while (n > 0 && (*line == ' ' || *line == '\t')) {
            line++;
            n--;
        }
        while (n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\r'))
            n--;
        if (n > strlen(START) && strncmp(line, START, strlen(START)) == 0 &&
            hk_leaks_match(line + strlen(START), n - strlen(START), text))
            return true;
    }
    return false;
}

/* A function, by its name as people or as linkers write it, its file, or that of its source. */
static bool is_ignored(const struct hk_report *r, const struct ignored_file *f, const struct hk_stack *stack)
{
    char name[HK_NAME_BYTES];
    for (unsigned d = 0; d < stack->depth; d++) {
        const struct hk_place *place = &r->place[hk_report_place(r, stack->pc[d])];
        hk_report_name(r, place, name);
        if (has_match(f, name) || (place->name != NULL && has_match(f, place->name)) ||
            (place->file != NULL && has_match(f, place->file)) ||
            (place->module != 0 && has_match(f, r->module[place->module - 1].path)))
            return true;
    }
    return false;
}

bool hk_leaks_ignored(const struct hk_report *r, const char *path, struct hk_leak_ignored *ignored, size_t *mapped)
{
    struct ignored_file f = {.size = 0};
    *mapped = hk_align_up((r->result.rows + 1) * sizeof *ignored->stack, hk_os_page_size());
    *ignored = (struct hk_leak_ignored){.count = 0};
    f.text = hk_file_map(path, &f.size);
    if (f.text == NULL) {
        struct hk_fmt out;
        hk_fmt_start(&out, 2);
        hk_fmt(&out, "hakmem: HAKMEM_LEAKS_IGNORED=%s: there is no such file, or nothing in it\n", path);
        hk_fmt_end(&out);
        return false;
    }
    ignored->stack = hk_os_map(*mapped);
    for (size_t i = 0; i < r->result.rows && ignored->stack != NULL; i++) {
        if (is_ignored(r, &f, r->result.row[i].stack))
            ignored->stack[ignored->count++] = r->result.row[i].stack;
    }
    hk_file_unmap(f.text, f.size);
    return ignored->stack != NULL;
}
