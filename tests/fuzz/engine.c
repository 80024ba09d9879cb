/* SPDX-License-Identifier: MIT
 *
 * What differs where libFuzzer's main runs a program.
 */
#include "check.h"

/* libFuzzer keeps the input of a process that aborts. */
__attribute__((constructor)) static void abort_when_a_check_fails(void)
{
    check_aborts();
}
