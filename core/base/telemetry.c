/* SPDX-License-Identifier: MIT */
#include "base/telemetry.h"

_Atomic uint64_t hk_telemetry_pages[HK_PAGES_COUNT];
