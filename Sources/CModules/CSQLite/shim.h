#include <sqlite3.h>

/// Keeps the last connection from checkpointing and deleting the write-ahead log when it closes; variadic in SQLite,
/// so Swift cannot call it.
static inline int csqlite_keep_log_on_close(sqlite3 *database) {
  int was = 0;
  return sqlite3_db_config(database, SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1, &was);
}
