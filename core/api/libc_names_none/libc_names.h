/* SPDX-License-Identifier: MIT
 *
 * libc_names, none: the C library has no names of its own malloc for programs. musl has such for itself, and means by
 * them its own malloc, also where another one is linked into a static program. Included by api/override.c only.
 */
#ifndef HK_API_LIBC_NAMES_H
#define HK_API_LIBC_NAMES_H

#define HK_LIBC_NAMES struct hk_no_libc_names

#endif
