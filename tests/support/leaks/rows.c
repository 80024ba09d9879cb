/* SPDX-License-Identifier: MIT
 *
 * A program that fills and reads a table of SQLite's, and forgets a text that SQLite gave it, and what it was told of
 * an error.
 */
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NOINLINE __attribute__((noinline))

static NOINLINE void run(sqlite3 *db, const char *text)
{
    if (sqlite3_exec(db, text, NULL, NULL, NULL) != SQLITE_OK)
        exit(1);
}

/* The caller has to free what says what was wrong. */
static NOINLINE int try_wrong(sqlite3 *db)
{
    char *said = NULL;
    int result = sqlite3_exec(db, "insert into nowhere values (1)", NULL, NULL, &said); /* leaked: rows direct 1 */
    return said != NULL && result != SQLITE_OK ? (int)strlen(said) : 0;
}

static NOINLINE int insert(sqlite3 *db, int number)
{
    char *text = sqlite3_mprintf("insert into t values (%d, '%q')", number, "it's a text"); /* leaked: rows direct 10 */
    int result = sqlite3_exec(db, text, NULL, NULL, NULL);
    if (number % 100 != 0)
        sqlite3_free(text);
    return result;
}

int main(void)
{
    static sqlite3 *volatile kept;
    sqlite3 *db;
    if (sqlite3_open(":memory:", &db) != SQLITE_OK)
        return 1;
    kept = db;
    run(db, "create table t (a integer primary key, b text)");
    int wrong = try_wrong(db);
    for (int i = 1; i <= 1000; i++) {
        if (insert(db, i) != SQLITE_OK)
            return 1;
    }
    run(db, "delete from t where a % 3 = 0");
    printf("%d %d\n", wrong, sqlite3_total_changes(db));
    return 0; /* the data base stays open, and something points to it: it is no leak */
}
