/* SPDX-License-Identifier: MIT
 *
 * replaced.cpp's operators, numbered; replaced.py knows the order.
 */
#ifndef REPLACED_H
#define REPLACED_H

#define NEW 0
#define NEW_ARRAY 1
#define NEW_NOTHROW 2
#define NEW_ARRAY_NOTHROW 3
#define NEW_ALIGNED 4
#define NEW_ARRAY_ALIGNED 5
#define NEW_ALIGNED_NOTHROW 6
#define NEW_ARRAY_ALIGNED_NOTHROW 7
#define DELETE 8
#define DELETE_ARRAY 9
#define DELETE_SIZED 10
#define DELETE_ARRAY_SIZED 11
#define DELETE_NOTHROW 12
#define DELETE_ARRAY_NOTHROW 13
#define DELETE_ALIGNED 14
#define DELETE_ARRAY_ALIGNED 15
#define DELETE_ALIGNED_SIZED 16
#define DELETE_ARRAY_ALIGNED_SIZED 17
#define DELETE_ALIGNED_NOTHROW 18
#define DELETE_ARRAY_ALIGNED_NOTHROW 19
#define REPLACED_OPERATORS 20

#define REPLACED_ALIGN 64

extern int replaced_calls[REPLACED_OPERATORS];

#endif
