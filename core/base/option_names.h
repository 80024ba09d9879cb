/* SPDX-License-Identifier: MIT
 *
 * option_names: which option was probably meant by a name that is none. Calls nothing, writes nothing; any thread.
 * Included by base/options.c and base/option_names.c only.
 */
#ifndef HK_BASE_OPTION_NAMES_H
#define HK_BASE_OPTION_NAMES_H

#define HK_OPTION_NAME_BYTES 40u /* room for a name; a longer one is nobody's */

/* The name of an option, without HAKMEM_: of a number, and behind HK_OPTION_COUNT of them of a text. */
const char *hk_option_name(unsigned i);

/* The name that is nearest to one that is shorter than HK_OPTION_NAME_BYTES; NULL: none is near. */
const char *hk_option_nearest(const char *name);

#endif
