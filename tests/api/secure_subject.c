/* SPDX-License-Identifier: MIT
 *
 * Prints AT_SECURE and the value of an option. For secure.py.
 */
#include "hakmem/hakmem.h"

#include <stdio.h>
#include <sys/auxv.h>

int main(void)
{
    printf("%lu %lld\n", getauxval(AT_SECURE), (long long)hak_option_get("PURGE_DELAY_MS"));
    return 0;
}
