/* SPDX-License-Identifier: MIT
 * The three registries of decision 0001 as functions; see there. */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* window: one byte per 64 KiB from a base on */
extern __attribute__((visibility("hidden"))) uintptr_t base, slots;
extern __attribute__((visibility("hidden"))) uint8_t *codes;
unsigned window(const void *p)
{
    uintptr_t slot = ((uintptr_t)p - base) >> 16;
    return slot < slots ? codes[slot] : 0;
}

/* flat: one byte per 64 KiB of the whole 47-bit space; a non-canonical pointer must not leave the table */
extern __attribute__((visibility("hidden"))) uint8_t *flat_codes;
unsigned flat(const void *p)
{
    return flat_codes[(uintptr_t)p << 17 >> 33];
}

/* two levels: an offset per GiB, then one byte per 64 KiB; offset 0 is a shared leaf of zeros */
extern __attribute__((visibility("hidden"))) uint32_t root[1 << 17];
extern __attribute__((visibility("hidden"))) uint8_t *leaves;
unsigned two_level(const void *p)
{
    uintptr_t a = (uintptr_t)p;
    uint32_t leaf = root[a << 17 >> 47];
    return leaves[leaf + (a >> 16 & 16383)];
}
