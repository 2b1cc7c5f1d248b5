#include "TLSContext.h"

#include <mosquitto.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509v3.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct link_tls {
  SSL_CTX *context;
  char *server_name;
  bool name_is_address;
  long verify_error;
  int64_t refused_not_after;
};

static void copy_last_error(char *text, size_t text_size) {
  unsigned long code = ERR_peek_last_error();
  const char *reason = code != 0 ? ERR_reason_error_string(code) : NULL;
  snprintf(text, text_size, "%s", reason != NULL ? reason : "no reason given");
  ERR_clear_error();
}

static int64_t seconds_since_epoch(const ASN1_TIME *time) {
  ASN1_TIME *epoch = ASN1_TIME_set(NULL, 0);
  int days = 0, seconds = 0;
  int64_t result = 0;
  if (epoch != NULL && ASN1_TIME_diff(&days, &seconds, epoch, time) == 1) result = (int64_t)days * 86400 + seconds;
  ASN1_TIME_free(epoch);
  return result;
}

// Without a callback OpenSSL would ask for the passphrase of an encrypted key on the terminal, and block.
static int refuse_passphrase(char *buffer, int size, int writing, void *user_data) {
  (void)buffer, (void)size, (void)writing, (void)user_data;
  return 0;
}

static int note_verification(int accepted, X509_STORE_CTX *store) {
  if (accepted) return 1;
  SSL *connection = X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx());
  struct link_tls *tls = connection != NULL ? SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection)) : NULL;
  if (tls != NULL && tls->verify_error == 0) {
    tls->verify_error = X509_STORE_CTX_get_error(store);
    X509 *certificate = X509_STORE_CTX_get_current_cert(store);
    if (certificate != NULL) tls->refused_not_after = seconds_since_epoch(X509_get0_notAfter(certificate));
  }
  return 0;
}

// libmosquitto names the host that it was told to connect to, which is an address because we resolve names ourselves.
// The indication is corrected when the handshake starts, before the first message is built.
static void name_the_server(const SSL *connection, int where, int value) {
  (void)value;
  if (!(where & SSL_CB_HANDSHAKE_START)) return;
  struct link_tls *tls = SSL_CTX_get_app_data(SSL_get_SSL_CTX(connection));
  if (tls == NULL) return;
  SSL_set_tlsext_host_name((SSL *)connection, tls->name_is_address ? NULL : tls->server_name);
}

static enum link_tls_fault configure(struct link_tls *tls, const char *authority_file, const char *certificate_file,
                                     const char *key_file, const char *application_protocol) {
  SSL_CTX *context = tls->context;
  if (SSL_CTX_set_min_proto_version(context, TLS1_2_VERSION) != 1) return LINK_TLS_MEMORY;
  SSL_CTX_set_options(context, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(context, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER |
                                SSL_MODE_RELEASE_BUFFERS);
  SSL_CTX_set_session_cache_mode(context, SSL_SESS_CACHE_OFF);
  SSL_CTX_set_app_data(context, tls);
  SSL_CTX_set_info_callback(context, name_the_server);
  SSL_CTX_set_verify(context, SSL_VERIFY_PEER, note_verification);
  SSL_CTX_set_default_passwd_cb(context, refuse_passphrase);

  int trusted = authority_file != NULL ? SSL_CTX_load_verify_locations(context, authority_file, NULL)
                                       : SSL_CTX_set_default_verify_paths(context);
  if (trusted != 1) return LINK_TLS_AUTHORITY_FILE;

  X509_VERIFY_PARAM *rules = SSL_CTX_get0_param(context);
  // RFC 9525 section 6.3: the name of a host stands in the subject's alternative names; its common name is none.
  X509_VERIFY_PARAM_set_hostflags(rules, X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
  tls->name_is_address = X509_VERIFY_PARAM_set1_ip_asc(rules, tls->server_name) == 1;
  if (!tls->name_is_address && X509_VERIFY_PARAM_set1_host(rules, tls->server_name, 0) != 1)
    return LINK_TLS_SERVER_NAME;

  if (certificate_file != NULL && SSL_CTX_use_certificate_chain_file(context, certificate_file) != 1)
    return LINK_TLS_CERTIFICATE_FILE;
  if (key_file != NULL) {
    if (SSL_CTX_use_PrivateKey_file(context, key_file, SSL_FILETYPE_PEM) != 1) {
      // With a certificate loaded, a key of another pair is refused here already.
      unsigned long code = ERR_peek_last_error();
      return ERR_GET_LIB(code) == ERR_LIB_X509 ? LINK_TLS_KEY_MISMATCH : LINK_TLS_KEY_FILE;
    }
    if (SSL_CTX_check_private_key(context) != 1) return LINK_TLS_KEY_MISMATCH;
  }

  if (application_protocol != NULL) {
    unsigned char wire[256];
    size_t length = strlen(application_protocol);
    if (length == 0 || length > 255) return LINK_TLS_APPLICATION_PROTOCOL;
    wire[0] = (unsigned char)length;
    memcpy(wire + 1, application_protocol, length);
    if (SSL_CTX_set_alpn_protos(context, wire, (unsigned)length + 1) != 0) return LINK_TLS_APPLICATION_PROTOCOL;
  }
  return LINK_TLS_NO_FAULT;
}

struct link_tls *link_tls_new(const char *authority_file, const char *certificate_file, const char *key_file,
                              const char *server_name, const char *application_protocol, enum link_tls_fault *fault,
                              char *text, size_t text_size) {
  ERR_clear_error();
  struct link_tls *tls = calloc(1, sizeof *tls);
  *fault = LINK_TLS_MEMORY;
  if (tls != NULL) {
    tls->context = SSL_CTX_new(TLS_client_method());
    tls->server_name = strdup(server_name);
    if (tls->context != NULL && tls->server_name != NULL)
      *fault = configure(tls, authority_file, certificate_file, key_file, application_protocol);
  }
  if (*fault != LINK_TLS_NO_FAULT) {
    copy_last_error(text, text_size);
    link_tls_free(tls);
    return NULL;
  }
  ERR_clear_error();
  return tls;
}

void link_tls_free(struct link_tls *tls) {
  if (tls == NULL) return;
  if (tls->context != NULL) {
    SSL_CTX_set_app_data(tls->context, NULL);
    SSL_CTX_free(tls->context);
  }
  free(tls->server_name);
  free(tls);
}

void *link_tls_context(struct link_tls *tls) { return tls->context; }

long link_tls_verify_error(const struct link_tls *tls) { return tls->verify_error; }

const char *link_tls_verify_error_text(long code) { return X509_verify_cert_error_string(code); }

int64_t link_tls_refused_not_after(const struct link_tls *tls) { return tls->refused_not_after; }

bool link_tls_error_is_expired(long code) { return code == X509_V_ERR_CERT_HAS_EXPIRED; }

bool link_tls_error_is_not_yet_valid(long code) { return code == X509_V_ERR_CERT_NOT_YET_VALID; }

bool link_tls_error_is_wrong_name(long code) {
  return code == X509_V_ERR_HOSTNAME_MISMATCH || code == X509_V_ERR_IP_ADDRESS_MISMATCH;
}

bool link_tls_error_is_untrusted(long code) {
  return code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT || code == X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY ||
         code == X509_V_ERR_DEPTH_ZERO_SELF_SIGNED_CERT || code == X509_V_ERR_SELF_SIGNED_CERT_IN_CHAIN ||
         code == X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE || code == X509_V_ERR_CERT_SIGNATURE_FAILURE;
}

bool link_tls_established(struct mosquitto *client) {
  SSL *connection = mosquitto_ssl_get(client);
  return connection != NULL && SSL_is_init_finished(connection);
}

const char *link_tls_protocol(struct mosquitto *client) {
  SSL *connection = mosquitto_ssl_get(client);
  return connection != NULL ? SSL_get_version(connection) : NULL;
}

int link_certificate_validity(const char *file, int64_t *not_before, int64_t *not_after, char *text,
                              size_t text_size) {
  ERR_clear_error();
  FILE *stream = fopen(file, "re");
  if (stream == NULL) {
    snprintf(text, text_size, "it cannot be opened");
    return -1;
  }
  X509 *certificate = PEM_read_X509(stream, NULL, refuse_passphrase, NULL);
  fclose(stream);
  if (certificate == NULL) {
    copy_last_error(text, text_size);
    return -1;
  }
  *not_before = seconds_since_epoch(X509_get0_notBefore(certificate));
  *not_after = seconds_since_epoch(X509_get0_notAfter(certificate));
  X509_free(certificate);
  return 0;
}
