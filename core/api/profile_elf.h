/* SPDX-License-Identifier: MIT
 *
 * profile_elf: the functions of a mapped object, from its file's own table of symbols, or that of the file with its
 * debugging information where the system has one. Included by api/profile_report.c and api/profile_elf.c only.
 *
 * A module is its caller's. Files are read with care: what does not fit into them is not there.
 */
#ifndef HK_API_PROFILE_ELF_H
#define HK_API_PROFILE_ELF_H

#include "api/profile_report.h"

/* Reads the file of a module that `n` places lie in, by address, and gives them their functions' names. hk_elf_drop
 * gives back what the names point into. */
void hk_elf_read(struct hk_module *module, struct hk_place *place, size_t n);
void hk_elf_drop(struct hk_module *module);

#endif
