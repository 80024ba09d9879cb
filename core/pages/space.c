/* SPDX-License-Identifier: MIT */
#include "pages/space.h"

#include "base/atomic.h"
#include "os/os.h"

uintptr_t hk_space_base;
size_t hk_space_units;

/* From the stack to the base. With 47 bits HK_FARTHEST leaves 20 TiB below the base, which some programs ask for by
 * address, and 100 TiB behind all units, which a program may have in one piece. */
#define NEAREST (64 * HK_GIB)

/* A table grows by as much as it has, at most by so much. */
#define TABLE_STEP (256 * HK_KIB)

static char *start_of(enum hk_table_number number)
{
    return (char *)hk_space_base - HK_TABLES + (size_t)number * HK_TABLE_MOST;
}

/* ---- the base ---- */

/* The tables that every process has: a page of each is mapped with the first unit, so that they lie where nobody else
 * does. */
static const uint8_t common[] = {HK_TABLE_CODES, HK_TABLE_UNITS, HK_TABLE_EDGES,
                                 HK_TABLE_DIRTY, HK_TABLE_SETS,  HK_TABLE_INNER};

static bool is_common(enum hk_table_number number)
{
    for (unsigned i = 0; i < sizeof common; i++) {
        if (common[i] == number)
            return true;
    }
    return false;
}

static bool map_first_pages(void)
{
    size_t page = hk_os_page_size();
    for (unsigned i = 0; i < sizeof common; i++) {
        bool taken;
        if (hk_os_map_at(start_of(common[i]), page, &taken))
            continue;
        while (i-- > 0)
            hk_os_unmap(start_of(common[i]), page);
        return false;
    }
    return true;
}

/* Where some processors have more bits, a kernel grants, where it is asked for one, an address that codes and links
 * cannot hold. */
static HK_NOINLINE bool map_units(uintptr_t start, size_t units, bool *taken)
{
    size_t size = units * HK_UNIT_SIZE;
    *taken = false;
    return start <= ((uintptr_t)1 << HK_ADDRESS_BITS) - size && hk_os_map_at((void *)start, size, taken);
}

static bool begin_at(uintptr_t base, size_t units)
{
    bool taken;
    if (base < HK_TABLES || !map_units(base, units, &taken))
        return false;
    hk_space_base = base;
    hk_poke_release(&hk_space_units, units); /* pairs with hk_heap_give_pages */
    if (map_first_pages())
        return true;
    hk_os_unmap((void *)base, units * HK_UNIT_SIZE);
    hk_poke(&hk_space_units, 0);
    hk_space_base = 0;
    return false;
}

/* A number below `range`, random where the kernel places programs at random, and the same in each run where it does
 * not. It does not tell the addresses that it is made of. */
static uintptr_t scatter_below(uintptr_t here, uintptr_t range)
{
    uint64_t mixed = (uint64_t)here * 0x9e3779b97f4a7c15u ^ (uint64_t)(uintptr_t)&hk_space_base * 0xc2b2ae3d27d4eb4fu;
    mixed ^= mixed >> 29;
    mixed *= 0x165667b19e3779f9u;
    return (uintptr_t)(mixed >> 20) % range;
}

/* From far to near: how many bits an address has is not known, nor what the program has reserved. */
static bool choose_from_far(size_t units)
{
    uintptr_t here = hk_align_down((uintptr_t)&units, HK_UNIT_SIZE);
    for (size_t far = HK_FARTHEST; far >= NEAREST; far -= hk_min(far / 2, HK_SPACE_MOST)) {
        uintptr_t distance = far + scatter_below(here, far / 64);
        if ((here > distance && begin_at(hk_align_down(here - distance, HK_UNIT_SIZE), units)) ||
            begin_at(hk_align_down(here + distance, HK_UNIT_SIZE), units))
            return true;
    }
    return false;
}

/* Where memory came to none of these places, but to others, the system may take no hints. */
static bool choose_base(size_t units)
{
    return choose_from_far(units) || (hk_os_insist() && choose_from_far(units));
}

/* ---- units ---- */

/* Steps over what others have mapped behind our units, further each time. */
static bool map_behind(size_t units)
{
    bool taken = false;
    for (size_t step = 1, at = hk_space_units; at + units <= HK_SPACE_UNITS; at += step, step *= 2) {
        if (map_units((uintptr_t)hk_space_address(at), units, &taken)) {
            hk_poke(&hk_space_units, at + units);
            return true;
        }
        if (!taken)
            return false;
    }
    return false;
}

static bool map_at_end(size_t units)
{
    return hk_space_base == 0 ? choose_base(units) : map_behind(units);
}

size_t hk_space_extend(size_t least, size_t wish, size_t *first)
{
    size_t units = map_at_end(wish) ? wish : least < wish && map_at_end(least) ? least : 0;
    *first = hk_space_units - units;
    return units;
}

void hk_space_drop(size_t units)
{
    if (hk_os_unmap(hk_space_address(hk_space_units - units), units * HK_UNIT_SIZE))
        hk_poke_sub(&hk_space_units, units);
}

bool hk_space_return(size_t first, size_t units, bool *taken)
{
    return hk_os_map_at(hk_space_address(first), units * HK_UNIT_SIZE, taken);
}

/* ---- tables ---- */

bool hk_table_reach(struct hk_table *table, enum hk_table_number number, size_t size)
{
    bool taken;
    char *start = start_of(number);
    if (table->start == NULL && is_common(number)) {
        table->start = start;
        table->mapped = hk_os_page_size();
    }
    if (size <= table->mapped)
        return true;
    size = hk_align_up(size, hk_os_page_size());
    size_t wish = hk_max(size, table->mapped + hk_min(table->mapped, TABLE_STEP));
    if (!hk_os_map_at(start + table->mapped, wish - table->mapped, &taken)) {
        wish = size;
        if (!hk_os_map_at(start + table->mapped, wish - table->mapped, &taken))
            return false;
    }
    table->start = start;
    table->mapped = wish;
    return true;
}
