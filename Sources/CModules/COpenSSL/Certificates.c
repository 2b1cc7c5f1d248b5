#include "COpenSSL.h"

#include <limits.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <openssl/x509_vfy.h>
#include <string.h>
#include <time.h>

// Nobody is there to type one.
static int refuse_passphrase(char *buffer, int size, int writing, void *user) {
  (void)buffer, (void)size, (void)writing, (void)user;
  return -1;
}

static BIO *text_of(const char *pem, size_t count) { return count <= INT_MAX ? BIO_new_mem_buf(pem, (int)count) : NULL; }

/// Copies what `bio` holds and wipes it there.
static long taken_from(BIO *bio, char *pem, size_t size) {
  char *content = NULL;
  long count = BIO_get_mem_data(bio, &content);
  if (count <= 0 || (size_t)count > size) return TG_CRYPTO_LIBRARY_FAILED;
  memcpy(pem, content, (size_t)count);
  OPENSSL_cleanse(content, (size_t)count);
  return count;
}

static EVP_PKEY *private_key(const char *pem, size_t count) {
  BIO *bio = text_of(pem, count);
  EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, refuse_passphrase, NULL);
  BIO_free(bio);
  return key;
}

long tg_key_new(char *pem, size_t size) {
  long count = TG_CRYPTO_LIBRARY_FAILED;
  EVP_PKEY *key = EVP_EC_gen("P-256");
  BIO *bio = BIO_new(BIO_s_secmem());
  if (key != NULL && bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1)
    count = taken_from(bio, pem, size);
  BIO_free(bio);
  EVP_PKEY_free(key);
  return count;
}

long tg_request_new(const char *key_pem, size_t key_count, const char *common_name, char *pem, size_t size) {
  ERR_clear_error();
  EVP_PKEY *key = private_key(key_pem, key_count);
  if (key == NULL) return TG_CRYPTO_NOT_AUTHENTIC;
  long count = TG_CRYPTO_LIBRARY_FAILED;
  X509_REQ *request = X509_REQ_new();
  BIO *bio = BIO_new(BIO_s_mem());
  const unsigned char *name = (const unsigned char *)common_name;
  if (request != NULL && bio != NULL && X509_REQ_set_version(request, X509_REQ_VERSION_1) == 1 &&
      X509_NAME_add_entry_by_txt(X509_REQ_get_subject_name(request), "CN", MBSTRING_UTF8, name, -1, -1, 0) == 1 &&
      X509_REQ_set_pubkey(request, key) == 1 && X509_REQ_sign(request, key, EVP_sha256()) > 0 &&
      PEM_write_bio_X509_REQ(bio, request) == 1)
    count = taken_from(bio, pem, size);
  BIO_free(bio);
  X509_REQ_free(request);
  EVP_PKEY_free(key);
  return count;
}

static int64_t seconds_since_epoch(const ASN1_TIME *time) {
  struct tm parts;
  if (ASN1_TIME_to_tm(time, &parts) != 1) return 0;
  return (int64_t)timegm(&parts);
}

/// The certificates of a text, at most 16.
static STACK_OF(X509) *certificates(const char *pem, size_t count) {
  BIO *bio = text_of(pem, count);
  STACK_OF(X509) *found = sk_X509_new_null();
  X509 *certificate;
  while (bio != NULL && found != NULL && sk_X509_num(found) < 16 &&
         (certificate = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL)) != NULL)
    sk_X509_push(found, certificate);
  BIO_free(bio);
  ERR_clear_error();
  return found;
}

long tg_certificates_count(const char *pem, size_t count) {
  ERR_clear_error();
  BIO *bio = text_of(pem, count);
  X509 *certificate;
  long found = 0;
  while (bio != NULL && found < TG_CERTIFICATES_MAX &&
         (certificate = PEM_read_bio_X509(bio, NULL, refuse_passphrase, NULL)) != NULL) {
    X509_free(certificate);
    found++;
  }
  // The end is "no further BEGIN line"; anything else is a certificate that is none.
  unsigned long reason = ERR_peek_last_error();
  int at_end = ERR_GET_LIB(reason) == ERR_LIB_PEM && ERR_GET_REASON(reason) == PEM_R_NO_START_LINE;
  BIO_free(bio);
  ERR_clear_error();
  return bio != NULL && at_end ? found : TG_CRYPTO_NOT_AUTHENTIC;
}

static int verify_chain(X509 *certificate, STACK_OF(X509) *between, STACK_OF(X509) *authorities) {
  int result = X509_V_ERR_OUT_OF_MEM;
  X509_STORE *store = X509_STORE_new();
  X509_STORE_CTX *context = X509_STORE_CTX_new();
  if (store != NULL && context != NULL) {
    for (int index = 0; index < sk_X509_num(authorities); index++)
      X509_STORE_add_cert(store, sk_X509_value(authorities, index));
    if (X509_STORE_CTX_init(context, store, certificate, between) == 1) {
      // A board without a battery may not know the date; the caller judges the dates. An authority may be an intermediate.
      X509_VERIFY_PARAM_set_flags(X509_STORE_CTX_get0_param(context),
                                  X509_V_FLAG_NO_CHECK_TIME | X509_V_FLAG_PARTIAL_CHAIN);
      result = X509_verify_cert(context) == 1 ? X509_V_OK : X509_STORE_CTX_get_error(context);
    }
  }
  X509_STORE_CTX_free(context);
  X509_STORE_free(store);
  return result;
}

int tg_certificate_examine(const char *certificate_pem, size_t certificate_count, const char *key_pem, size_t key_count,
                           const char *authority_pem, size_t authority_count, struct tg_certificate *found) {
  memset(found, 0, sizeof *found);
  found->fits_key = -1;
  found->chain = -1;
  int result = TG_CRYPTO_NOT_AUTHENTIC;
  STACK_OF(X509) *chain = certificates(certificate_pem, certificate_count);
  STACK_OF(X509) *authorities = authority_pem == NULL ? NULL : certificates(authority_pem, authority_count);
  EVP_PKEY *key = key_pem == NULL ? NULL : private_key(key_pem, key_count);
  int complete = chain != NULL && sk_X509_num(chain) > 0 && (key_pem == NULL || key != NULL) &&
                 (authority_pem == NULL || (authorities != NULL && sk_X509_num(authorities) > 0));
  if (complete) {
    X509 *certificate = sk_X509_value(chain, 0);
    found->not_before = seconds_since_epoch(X509_get0_notBefore(certificate));
    found->not_after = seconds_since_epoch(X509_get0_notAfter(certificate));
    X509_NAME *subject = X509_get_subject_name(certificate);
    if (X509_NAME_get_text_by_NID(subject, NID_commonName, found->common_name, sizeof found->common_name) < 0)
      found->common_name[0] = 0;
    X509_NAME_oneline(X509_get_issuer_name(certificate), found->issuer, sizeof found->issuer);
    if (key != NULL) found->fits_key = X509_check_private_key(certificate, key) == 1;
    if (authorities != NULL) found->chain = verify_chain(certificate, chain, authorities);
    result = TG_CRYPTO_OK;
  }
  EVP_PKEY_free(key);
  sk_X509_pop_free(chain, X509_free);
  sk_X509_pop_free(authorities, X509_free);
  ERR_clear_error();
  return result;
}

const char *tg_certificate_error_text(int code) { return X509_verify_cert_error_string(code); }
