/* SPDX-License-Identifier: MIT
 *
 * parent: what the process that started this one was started with. Raw system calls, which open and close a file of
 * /proc; errno stays. For what is said at the start only: hardly any process comes here. Knows base.
 */
#ifndef HK_OS_PARENT_H
#define HK_OS_PARENT_H

#include "base/compiler.h"

/* Was the text (NAME=VALUE) an entry of the environment that the parent began with? False too where that is not told.
 */
bool hk_parent_began_with(const char *entry);

/* Is it one of the entries of a file, each of which ends with a zero byte? */
bool hk_environ_has(const char *path, const char *entry);

#endif
