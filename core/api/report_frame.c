/* SPDX-License-Identifier: MIT */
#include "api/report_frame.h"

void hk_report_put_frame(struct hk_fmt *f, const struct hk_report *r, unsigned number, uintptr_t pc)
{
    char name[HK_NAME_BYTES];
    const struct hk_place *place = &r->place[hk_report_place(r, pc)];
    const struct hk_module *m = place->module != 0 ? &r->module[place->module - 1] : NULL;
    hk_report_name(r, place, name);
    hk_fmt(f, "    #%u 0x%zx", number, (size_t)pc);
    if (place->name != NULL)
        hk_fmt(f, " in %s", name);
    if (place->file != NULL && place->name != NULL)
        hk_fmt(f, " %s:%u", place->file, place->line);
    if (m != NULL && m->path[0] == '/')
        hk_fmt(f, " (%s+0x%zx)", m->path, (size_t)(pc - 1 + m->shift));
    hk_fmt(f, "\n");
}
