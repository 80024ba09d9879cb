/* SPDX-License-Identifier: MIT
 *
 * options: what the user sets at run time: environment variables HAKMEM_<NAME>, read once at the start of the process,
 * and hak_option_set.
 *
 * Values are plain words, read without order by any thread at any time: each is one number whose change need not be
 * seen together with anything else. Texts are set once, at the start. Knows no box: each that has options brings their
 * rows, and core/meson.build puts them together.
 */
#ifndef HK_BASE_OPTIONS_H
#define HK_BASE_OPTIONS_H

#include "base/atomic.h"
#include "base/compiler.h"
#include "config.h"
#include "option_rows.h"

/* What the boxes bring, each in a header of its own, as one macro HK_<NAME>_OPTIONS(CHOICE, NUMBER, TEXT, WORD, PATH):
 *
 * CHOICE  something that an option may need: name, built in (0 or 1), the build option that puts it in, what this build
 *         has. ANY is always there
 * NUMBER  an option: name, default, least, most, unit, the choice that it needs, sentence
 * TEXT    one with a text: name, choice, sentence
 * WORD    what a number may be called: option, word, the number that it stands for
 * PATH    what may stand there instead of a number, which then is 0: option, what the value begins with, the variable
 *         that gets the rest */
#define HK_NO_ROW(...)
#define HK_OPTION_CHOICES(X) HK_OPTION_ROWS(X, HK_NO_ROW, HK_NO_ROW, HK_NO_ROW, HK_NO_ROW)
#define HK_OPTIONS(X) HK_OPTION_ROWS(HK_NO_ROW, X, HK_NO_ROW, HK_NO_ROW, HK_NO_ROW)
#define HK_TEXT_OPTIONS(X) HK_OPTION_ROWS(HK_NO_ROW, HK_NO_ROW, X, HK_NO_ROW, HK_NO_ROW)
#define HK_OPTION_WORDS(X) HK_OPTION_ROWS(HK_NO_ROW, HK_NO_ROW, HK_NO_ROW, X, HK_NO_ROW)
#define HK_OPTION_PATHS(X) HK_OPTION_ROWS(HK_NO_ROW, HK_NO_ROW, HK_NO_ROW, HK_NO_ROW, X)

enum hk_option {
#define X(name, def, least, most, unit, choice, text) HK_OPT_##name,
    HK_OPTIONS(X)
#undef X
        HK_OPTION_COUNT
};

enum hk_text_option {
#define X(name, choice, text) HK_TEXT_##name,
    HK_TEXT_OPTIONS(X)
#undef X
        HK_TEXT_COUNT
};

#define HK_TEXT_BYTES 256u /* room for one text and its final zero */

extern HK_HIDDEN char hk_option_texts[HK_TEXT_COUNT][HK_TEXT_BYTES];

/* Empty when not asked for. */
#define X(option, start, path) extern HK_HIDDEN char path[HK_TEXT_BYTES];
HK_OPTION_PATHS(X)
#undef X

extern HK_HIDDEN _Atomic int64_t hk_option_values[HK_OPTION_COUNT];

static inline int64_t hk_opt(enum hk_option option)
{
    return hk_load_relaxed(&hk_option_values[option]);
}

/* Empty when not asked for. Set before the program's main, constant from then on. */
static inline const char *hk_opt_text(enum hk_text_option option)
{
    return hk_option_texts[option];
}

/* Reads HAKMEM_ variables from envp. One line says that a value is wrong (the option keeps what it had), that a name is
 * unknown, or that the choice it needs is not built in, unless `was_said` (or NULL) knows that somebody has said so of
 * the same entry; an empty value is none. HAKMEM_OPTIONS=help prints the table of what is built in. Called once, before
 * the program's main; never in set-uid programs. */
HK_ONCE void hk_options_init(char **envp, bool (*was_said)(const char *entry));

/* Prints the table. (Not a part of hk_options_init, to lie apart from what every program runs.) */
HK_NOINLINE void hk_options_print(void);

/* By name without HAKMEM_; false for an unknown name. */
bool hk_option_find(const char *name, enum hk_option *option);

/* Whether what the option needs is part of this build. */
bool hk_option_is_built(enum hk_option option);

/* False when out of bounds. */
bool hk_option_store(enum hk_option option, int64_t value);

#endif
