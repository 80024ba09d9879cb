/* SPDX-License-Identifier: MIT
 *
 * The counters, in a library of their own: without -Dtelemetry=enabled no other has them.
 */
#include "base/telemetry.h"

_Atomic uint64_t hk_telemetry_pages[HK_PAGES_COUNT];
