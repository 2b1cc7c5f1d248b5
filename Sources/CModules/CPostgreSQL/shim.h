#include <libpq-fe.h>
#include <string.h>

/// The fields of an error or a notice; NULL when the server did not say. They are macros of characters in libpq.
static inline const char *cpostgresql_state(const PGresult *result) {
  return PQresultErrorField(result, PG_DIAG_SQLSTATE);
}
static inline const char *cpostgresql_message(const PGresult *result) {
  return PQresultErrorField(result, PG_DIAG_MESSAGE_PRIMARY);
}

/// A notice of severity WARNING, whatever the language of the server.
static inline int cpostgresql_is_warning(const PGresult *notice) {
  const char *severity = PQresultErrorField(notice, PG_DIAG_SEVERITY_NONLOCALIZED);
  return severity != NULL && strcmp(severity, "WARNING") == 0;
}
