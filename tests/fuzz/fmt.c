/* SPDX-License-Identifier: MIT
 *
 * Formats and values read from bytes: what hk_fmt writes is what snprintf does. Left out is what C does not define, and
 * %p of NULL.
 *
 * A piece is: a byte whose low half is the length of the plain text before it, and that text; a byte for the
 * conversion, one for flags, one for the width, eight for the value (of %s: as many bytes as the first says).
 */
#include "check.h"
#include "fuzz.h"

#include "base/fmt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static int ends[2];
static const uint8_t *input;
static size_t left;

static struct {
    char text[16384];
    size_t used;
} expected, written;

static uint8_t take_byte(void)
{
    if (left == 0)
        return 0;
    left--;
    return *input++;
}

/* At most 255 bytes without a zero; text of a format also without a per cent sign. */
static void take_text(char *text, size_t length, bool format)
{
    size_t n = 0;
    for (; n < length && left > 0; n++) {
        char c = (char)take_byte();
        text[n] = c == 0 || (format && c == '%') ? 'x' : c;
    }
    text[n] = 0;
}

static uint64_t take_value(void)
{
    uint64_t value = 0;
    for (unsigned i = 0; i < 8; i++)
        value = value << 8 | take_byte();
    return value;
}

static void drain(void)
{
    for (ssize_t n; (n = read(ends[0], written.text + written.used, sizeof written.text - written.used)) > 0;)
        written.used += (size_t)n;
}

#define BOTH(value)                                                                                           \
    do {                                                                                                      \
        hk_fmt(f, format, value);                                                                             \
        int n = snprintf(expected.text + expected.used, sizeof expected.text - expected.used, format, value); \
        expected.used += (size_t)n;                                                                           \
    } while (0)

static void one_piece(struct hk_fmt *f)
{
    static const char *const kinds[] = {"d", "u", "x", "zu", "zx", "lu", "ld", "lld", "llu", "llx", "p", "c", "s", "%"};
    char format[64], text[256];
    take_text(text, take_byte() % 16, true);
    unsigned kind = take_byte() % HK_COUNT(kinds), flags = take_byte(), width = take_byte();
    bool zero = flags & 1 && kind < 10, left_side = flags & 2, wide = flags & 4 && kind < 13;
    snprintf(format, sizeof format, "%s%%%s%s", text, left_side && kind < 13 ? "-" : "", zero ? "0" : "");
    if (wide)
        snprintf(format + strlen(format), 8, "%u", 1 + width);
    strcat(format, kinds[kind]);
    uint64_t value = kind < 12 ? take_value() : 0;
    if (kind < 3)
        BOTH((unsigned)value);
    else if (kind < 10)
        BOTH(value);
    else if (kind == 10)
        BOTH((void *)(uintptr_t)(value | 1));
    else if (kind == 11)
        BOTH((int)(value % 255 + 1));
    else if (kind == 12)
        take_text(text, flags / 8 * 8, false);
    if (kind == 12)
        BOTH(text);
    else if (kind == 13)
        BOTH(0);
}

int LLVMFuzzerInitialize(int *count, char ***arguments)
{
    (void)count;
    (void)arguments;
    CHECK(pipe2(ends, O_NONBLOCK | O_CLOEXEC) == 0);
    return 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct hk_fmt f;
    input = data;
    left = size;
    expected.used = written.used = 0;
    hk_fmt_start(&f, ends[1]);
    errno = 77;
    while (left > 0 && expected.used < sizeof expected.text - 1024)
        one_piece(&f);
    CHECK(hk_fmt_end(&f) && errno == 77);
    drain();
    CHECKF(written.used == expected.used && memcmp(written.text, expected.text, expected.used) == 0,
           "hk_fmt wrote \"%.*s\", snprintf \"%.*s\"", (int)written.used, written.text, (int)expected.used,
           expected.text);
    return 0;
}
