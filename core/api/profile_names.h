/* SPDX-License-Identifier: MIT
 *
 * profile_names: names of C++ and Rust functions as people write them. Included by api/profile_ANY.c only.
 *
 * Pure. Knows nobody.
 */
#ifndef HK_API_PROFILE_NAMES_H
#define HK_API_PROFILE_NAMES_H

#include "base/compiler.h"

/* The name without parameters, template arguments as <>, or as it is where it is not understood. At most `size` bytes
 * with the final zero. */
void hk_plain_name(const char *symbol, char *name, size_t size);

#endif
