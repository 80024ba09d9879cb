/* SPDX-License-Identifier: MIT
 *
 * stats: what is printed of the figures of api/statistics.h, on request and at exit.
 *
 * Any thread that holds no lock. Allocates nothing. Left out with -Dstats=disabled.
 */
#ifndef HK_API_STATS_H
#define HK_API_STATS_H

#include "api/statistics.h"

/* Was there ever anything of this class? */
bool hk_stats_has(const struct hak_class_stats *s);

/* The name of a bucket of struct hak_stats's first_pages. */
const char *hk_stats_bucket_name(unsigned bucket);

/* The tables of HAKMEM_SHARED_POOL_STAGE_STATS and HAKMEM_TINY_FRONT_METRICS. */
void hk_stats_print_stages(int fd);
void hk_stats_print_fronts(int fd);

/* Resident bytes of the whole process, or 0 without /proc. */
size_t hk_stats_process_resident(void);

#endif
