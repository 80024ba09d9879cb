/* SPDX-License-Identifier: MIT
 *
 * profile_options: the options of the heap profile; rows of the table of base/options.h.
 */
#ifndef HK_API_PROFILE_OPTIONS_H
#define HK_API_PROFILE_OPTIONS_H

#define HK_PROFILE_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH) \
    TEXT(PROFILE, ANY,                                       \
         "PATH[,BYTES] of a heap profile at exit: .html, .pb.gz, .folded; a sample each BYTES (512K); %p, %n")

#endif
