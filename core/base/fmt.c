/* SPDX-License-Identifier: MIT */
#include "base/fmt.h"

#include "base/held.h"
#include "base/sys.h"

#include <errno.h>
#include <stdarg.h>

void hk_fmt_start(struct hk_fmt *f, int fd)
{
    f->fd = fd;
    f->failed = false;
    f->used = 0;
}

static void write_all(struct hk_fmt *f, const char *text, size_t size)
{
    size_t done = 0;
    hk_no_lock_held("writes a report");
    while (done < size && !f->failed) {
        long n = hk_sys3(SYS_write, f->fd, (long)(text + done), (long)(size - done));
        if (n > 0)
            done += (size_t)n;
        else if (n != -EINTR)
            f->failed = true;
    }
}

static void write_out(struct hk_fmt *f)
{
    write_all(f, f->buf, f->used);
    f->used = 0;
}

static void put_char(struct hk_fmt *f, char c)
{
    if (f->used == sizeof f->buf)
        write_out(f);
    f->buf[f->used++] = c;
}

struct spec {
    bool left, zero;
    unsigned width;
    unsigned longs; /* 0 int, 1 long or size_t, 2 long long */
};

static void put_times(struct hk_fmt *f, char c, size_t n)
{
    while (n-- > 0)
        put_char(f, c);
}

/* What is longer than the buffer is written as it lies there: a page's head and end are. */
static void put_text(struct hk_fmt *f, const char *text, size_t n)
{
    if (n > sizeof f->buf) {
        write_out(f);
        write_all(f, text, n);
        return;
    }
    while (n-- > 0)
        put_char(f, *text++);
}

static void put_padded(struct hk_fmt *f, const struct spec *s, const char *text, size_t n)
{
    size_t pad = s->width > n ? s->width - n : 0;
    put_times(f, ' ', s->left ? 0 : pad);
    put_text(f, text, n);
    put_times(f, ' ', s->left ? pad : 0);
}

/* Zeros stand between the prefix (sign or 0x) and the digits. */
static void put_number(struct hk_fmt *f, const struct spec *s, uint64_t v, unsigned base, const char *prefix)
{
    char text[24];
    size_t at = sizeof text, prefix_length = 0;
    while (prefix[prefix_length] != 0)
        prefix_length++;
    do {
        text[--at] = "0123456789abcdef"[v % base];
        v /= base;
    } while (v != 0);
    size_t n = sizeof text - at + prefix_length;
    if (s->zero && !s->left && s->width > n) {
        put_text(f, prefix, prefix_length);
        put_times(f, '0', s->width - n);
        put_text(f, text + at, sizeof text - at);
        return;
    }
    for (size_t i = prefix_length; i-- > 0;)
        text[--at] = prefix[i];
    put_padded(f, s, text + at, n);
}

static const char *parse_spec(const char *p, struct spec *s)
{
    for (; *p == '-' || *p == '0'; p++)
        *(*p == '-' ? &s->left : &s->zero) = true;
    for (; *p >= '0' && *p <= '9'; p++)
        s->width = s->width * 10 + (unsigned)(*p - '0');
    for (; *p == 'l' || *p == 'z'; p++)
        s->longs++;
    return p;
}

static uint64_t take_unsigned(const struct spec *s, va_list *args)
{
    return s->longs == 0   ? va_arg(*args, unsigned)
           : s->longs == 1 ? va_arg(*args, size_t)
                           : va_arg(*args, unsigned long long);
}

static int64_t take_signed(const struct spec *s, va_list *args)
{
    return s->longs == 0 ? va_arg(*args, int) : s->longs == 1 ? va_arg(*args, long) : va_arg(*args, long long);
}

static void put_one(struct hk_fmt *f, char kind, const struct spec *s, va_list *args)
{
    if (kind == 'd') {
        int64_t v = take_signed(s, args);
        put_number(f, s, v < 0 ? 0 - (uint64_t)v : (uint64_t)v, 10, v < 0 ? "-" : "");
    } else if (kind == 'u' || kind == 'x') {
        put_number(f, s, take_unsigned(s, args), kind == 'u' ? 10 : 16, "");
    } else if (kind == 'p') {
        put_number(f, s, (uintptr_t)va_arg(*args, void *), 16, "0x");
    } else if (kind == 's') {
        const char *text = va_arg(*args, const char *);
        size_t n = 0;
        while (text[n] != 0)
            n++;
        put_padded(f, s, text, n);
    } else if (kind == 'c') {
        char c = (char)va_arg(*args, int);
        put_padded(f, s, &c, 1);
    } else {
        put_char(f, kind); /* %% */
    }
}

void hk_fmt(struct hk_fmt *f, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    for (const char *p = format; *p != 0; p++) {
        struct spec s = {0};
        if (*p != '%') {
            put_char(f, *p);
            continue;
        }
        p = parse_spec(p + 1, &s);
        put_one(f, *p, &s, &args);
    }
    va_end(args);
}

bool hk_fmt_end(struct hk_fmt *f)
{
    write_out(f);
    return !f->failed;
}
