/* SPDX-License-Identifier: MIT
 *
 * Included before each source where libFuzzer runs the programs (tests/named/fuzz.py): the variables of the boxes lie
 * in sections of their own, so that each input begins with what they were before the first one (state.h).
 */
#pragma clang section bss = "hk_state_zero" data = "hk_state"
