/* SPDX-License-Identifier: MIT */
#ifndef HK_TEST_SEQUENCE_H
#define HK_TEST_SEQUENCE_H

#include <stddef.h>
#include <stdint.h>

/* Runs the calls that the bytes stand for (sequence.c); ends the process when the allocator is wrong. Returns 0. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#endif
