#include "COpenSSL.h"

#include <limits.h>
#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <string.h>

struct tg_signing_key {
  EVP_PKEY *key;
};

/// 1 for the two kinds that are taken; `digest` is NULL where the algorithm hashes by itself.
static int known_kind(const EVP_PKEY *key, const EVP_MD **digest) {
  *digest = NULL;
  if (EVP_PKEY_is_a(key, "ED25519")) return 1;
  char group[16] = "";
  if (!EVP_PKEY_is_a(key, "EC") || EVP_PKEY_get_group_name(key, group, sizeof group, NULL) != 1) return 0;
  *digest = EVP_sha256();
  return strcmp(group, "prime256v1") == 0;
}

long tg_signing_key_new(char *pem, size_t size) {
  if (size > INT_MAX) return TG_CRYPTO_LIBRARY_FAILED;
  EVP_PKEY *key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
  BIO *bio = BIO_new(BIO_s_secmem());
  long count = TG_CRYPTO_LIBRARY_FAILED;
  if (key != NULL && bio != NULL && PEM_write_bio_PKCS8PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1 &&
      BIO_pending(bio) <= (int)size)
    count = BIO_read(bio, pem, (int)size);
  BIO_free(bio);
  EVP_PKEY_free(key);
  ERR_clear_error();
  return count > 0 ? count : TG_CRYPTO_LIBRARY_FAILED;
}

tg_signing_key *tg_signing_key_read(const char *pem, size_t count) {
  if (count > INT_MAX) return NULL;
  BIO *bio = BIO_new_mem_buf(pem, (int)count);
  // The empty passphrase: nobody is there to type one.
  EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, NULL, "");
  BIO_free(bio);
  ERR_clear_error();
  const EVP_MD *digest;
  tg_signing_key *result = NULL;
  if (key != NULL && known_kind(key, &digest)) result = OPENSSL_malloc(sizeof *result);
  if (result == NULL) {
    EVP_PKEY_free(key);
    return NULL;
  }
  result->key = key;
  return result;
}

void tg_signing_key_free(tg_signing_key *key) {
  if (key == NULL) return;
  EVP_PKEY_free(key->key);
  OPENSSL_free(key);
}

long tg_signing_key_public(const tg_signing_key *key, uint8_t *der, size_t size) {
  int count = i2d_PUBKEY(key->key, NULL);
  if (count <= 0 || (size_t)count > size) return TG_CRYPTO_LIBRARY_FAILED;
  return i2d_PUBKEY(key->key, &der);
}

long tg_sign(const tg_signing_key *key, const uint8_t *message, size_t count, uint8_t *signature, size_t size) {
  const EVP_MD *digest;
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  size_t written = size;
  int ok = context != NULL && known_kind(key->key, &digest) &&
           EVP_DigestSignInit(context, NULL, digest, NULL, key->key) == 1 &&
           EVP_DigestSign(context, signature, &written, message, count) == 1;
  EVP_MD_CTX_free(context);
  ERR_clear_error();
  return ok ? (long)written : TG_CRYPTO_LIBRARY_FAILED;
}

int tg_signature_verify(const uint8_t *der, size_t der_count, const uint8_t *message, size_t count,
                        const uint8_t *signature, size_t signature_count) {
  if (der_count > INT_MAX) return TG_CRYPTO_NOT_AUTHENTIC;
  const unsigned char *start = der;
  const EVP_MD *digest;
  EVP_PKEY *key = d2i_PUBKEY(NULL, &start, (long)der_count);
  EVP_MD_CTX *context = EVP_MD_CTX_new();
  int ok = key != NULL && context != NULL && start == der + der_count && known_kind(key, &digest) &&
           EVP_DigestVerifyInit(context, NULL, digest, NULL, key) == 1 &&
           EVP_DigestVerify(context, signature, signature_count, message, count) == 1;
  EVP_MD_CTX_free(context);
  EVP_PKEY_free(key);
  ERR_clear_error();
  return ok ? TG_CRYPTO_OK : TG_CRYPTO_NOT_AUTHENTIC;
}
