#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct mosquitto;

/// A client's TLS context: TLS 1.2 at least, 1.3 preferred, the peer's chain and name verified, and the reason of the
/// last refusal kept. It belongs to one connection attempt; libmosquitto takes a reference of the OpenSSL context.
struct link_tls;

/// Which part of the configuration a failed `link_tls_new` could not use.
enum link_tls_fault {
  LINK_TLS_NO_FAULT,
  LINK_TLS_MEMORY,
  LINK_TLS_AUTHORITY_FILE,
  LINK_TLS_CERTIFICATE_FILE,
  LINK_TLS_KEY_FILE,
  LINK_TLS_KEY_MISMATCH,
  LINK_TLS_SERVER_NAME,
  LINK_TLS_APPLICATION_PROTOCOL,
};

/// `authority_file`: PEM with the certificates that may sign the broker's, or NULL for the system's store.
/// `certificate_file` and `key_file`: PEM of the client, both or neither; an encrypted key is refused, never asked for.
/// `server_name`: DNS name or IP address that the broker's certificate must carry (RFC 6125); a DNS name is also sent
/// as server name indication. `application_protocol`: one ALPN name, or NULL. On failure NULL, `*fault` says which part
/// and `text` OpenSSL's reason.
struct link_tls *link_tls_new(const char *authority_file, const char *certificate_file, const char *key_file,
                              const char *server_name, const char *application_protocol, enum link_tls_fault *fault,
                              char *text, size_t text_size);

void link_tls_free(struct link_tls *tls);

/// The SSL_CTX, for MOSQ_OPT_SSL_CTX.
void *link_tls_context(struct link_tls *tls);

/// The X509_V_ERR code with which the broker's chain was refused, 0 when it was not.
long link_tls_verify_error(const struct link_tls *tls);

/// OpenSSL's words for a code of `link_tls_verify_error`.
const char *link_tls_verify_error_text(long code);

/// The refused certificate's end of validity in seconds since 1970, 0 when unknown.
int64_t link_tls_refused_not_after(const struct link_tls *tls);

/// The code points of `link_tls_verify_error` that deserve words of their own.
bool link_tls_error_is_expired(long code);
bool link_tls_error_is_not_yet_valid(long code);
bool link_tls_error_is_wrong_name(long code);
bool link_tls_error_is_untrusted(long code);

/// Whether the connection uses TLS and its handshake is over.
bool link_tls_established(struct mosquitto *client);

/// The negotiated protocol, e.g. "TLSv1.3", or NULL without TLS.
const char *link_tls_protocol(struct mosquitto *client);

/// Reads the validity of the first certificate of a PEM file into seconds since 1970. Returns 0, or -1 with the reason
/// in `text`.
int link_certificate_validity(const char *file, int64_t *not_before, int64_t *not_after, char *text, size_t text_size);
