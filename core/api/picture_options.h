/* SPDX-License-Identifier: MIT
 *
 * picture_options: the options of the heap picture; rows of the table of base/options.h.
 */
#ifndef HK_API_PICTURE_OPTIONS_H
#define HK_API_PICTURE_OPTIONS_H

#define HK_PICTURE_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH)                                   \
    NUMBER(HEAP_PICTURE_SIGNAL, 0, 0, 64, "", ANY,                                             \
           "the signal that asks for a picture of the heap while the program runs; 0 is none") \
    TEXT(HEAP_PICTURE, ANY,                                                                    \
         "PATH of the page that shows the heap at exit; %p is the process id, %n the number of the page")

#endif
